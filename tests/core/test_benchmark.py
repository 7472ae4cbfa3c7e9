"""What every benchmark tells."""

from __future__ import annotations

import json
import os

import pytest

from runner import benchmark

ROWS = [{"side": "ours", "seconds": 1.5, "shots": 8}, {"side": "theirs", "seconds": 12.25, "shots": 10}]


@pytest.fixture
def results(tmp_path, monkeypatch):
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.30.0"\n')
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_the_table_is_for_people():
    assert benchmark.table(ROWS).splitlines() == [
        "side    seconds  shots",
        "ours      1.500      8",
        "theirs   12.250     10",
    ]


def test_the_last_line_is_kept(results, capsys):
    benchmark.report("speed", ROWS, ratio=8.2)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == json.loads((results / "speed.json").read_text())
    assert told["benchmark"] == "speed"
    assert told["rows"] == ROWS
    assert told["ratio"] == 8.2
    assert set(told["machine"]) == {"cpu", "cores", "ram_gib"}
    assert set(told["versions"]) == {"python", "torch", "comfyui"}
    assert told["versions"]["comfyui"] == "0.30.0"


def test_it_does_not_tell_whose_machine_it_is(results):
    told = json.dumps(benchmark.report("speed", ROWS))
    assert os.uname().nodename not in told
    assert os.path.expanduser("~") not in told
