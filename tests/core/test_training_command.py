"""`train`: order, going on, time, bad input. The stages themselves are stand-ins."""

from __future__ import annotations

import errno
import json
import threading
import time
from pathlib import Path

import pytest

from storymem_core import disk
from storymem_core.errors import StoryMemError
from storymem_core.training import command, progress
from storymem_core.training.command import NEEDED, STAGES, main, train


@pytest.fixture
def ran(monkeypatch):
    """The stages that ran; `ran.short` names those that do not come to their end."""

    class Ran(list):
        short: set[str] = set()  # noqa: RUF012

    calls = Ran()

    def stage(name):
        def run(recipe, folder, minutes):
            calls.append((name, recipe.name, folder, minutes))
            return name not in calls.short

        return run

    monkeypatch.setattr(command, "_functions", lambda: {name: stage(name) for name in NEEDED})
    return calls


def test_every_stage_has_its_function():
    assert command._functions().keys() == NEEDED.keys() == {*STAGES, "full"}


def names(ran):
    return [call[0] for call in ran]


def test_all_runs_the_stages_in_order_and_once(ran, tmp_path):
    said: list[str] = []
    assert train("all", "tiny", tmp_path, None, said.append) == 0
    assert ran == [(name, "tiny", tmp_path, None) for name in ("vae", "decoder", "base", "lora", "export")]
    assert said[-1] == f"done: {tmp_path / 'models'}"
    assert train("all", "tiny", tmp_path, None, said.append) == 0
    assert len(ran) == 5
    assert "stage vae: done before" in said


def test_a_stage_that_is_not_done_goes_on_the_next_time(ran, tmp_path):
    said: list[str] = []
    ran.short = {"base"}
    assert train("all", "tiny", tmp_path, 5.0, said.append) == 0
    assert names(ran) == ["vae", "decoder", "base"]
    assert said[-1] == "stopped in stage base: nothing is lost, the same command goes on from here"
    ran.short = set()
    assert train("all", "tiny", tmp_path, None, said.append) == 0
    assert names(ran) == ["vae", "decoder", "base", "base", "lora", "export"]


def test_the_time_is_for_all_stages_together(ran, tmp_path, monkeypatch):
    clock = iter((0.0, 0.0, 120.0, 290.0, 300.0))  # begun, and as each of four stages is
    monkeypatch.setattr(command.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    assert train("all", "tiny", tmp_path, 5.0, said.append) == 0
    assert [(call[0], round(call[3], 2)) for call in ran] == [("vae", 5.0), ("decoder", 3.0), ("base", 0.17)]
    assert said[-1].startswith("stopped in stage lora")


def test_one_stage_by_itself(ran, tmp_path, capsys):
    words = ["--out", str(tmp_path), "--minutes", "9"]
    assert main(["base", "tiny", *words]) == 2
    assert "the stage base needs the stage vae, which is not finished" in capsys.readouterr().err
    assert not ran
    assert main(["vae", "tiny", *words]) == 0
    assert main(["base", "tiny", *words]) == 0
    assert main(["vae", "tiny", *words]) == 0, "again: the stage knows that it is done"
    assert names(ran) == ["vae", "base", "vae"]
    assert json.loads((tmp_path / "training.json").read_text()) == {"recipe": "tiny", "done": ["vae", "base"]}


def test_a_stage_that_is_not_of_all_runs_when_it_is_named(ran, tmp_path, capsys):
    assert main(["full", "tiny", "--out", str(tmp_path)]) == 2
    assert "needs the stage vae" in capsys.readouterr().err
    for stage in ("vae", "base", "full"):
        assert main([stage, "tiny", "--out", str(tmp_path)]) == 0
    assert names(ran) == ["vae", "base", "full"]


def test_bad_input_is_told_and_ends_with_2(ran, tmp_path):
    def error(*arguments):
        said: list[str] = []
        assert train(*arguments, said.append) == 2
        assert len(said) == 1
        return said[0]

    told = error("all", "huge", tmp_path, None)
    assert "no such size to train (got 'huge'). Choose one of small, tiny." in told
    assert not list(tmp_path.iterdir())
    for minutes in (0.0, -1.0, float("nan")):
        assert "a time in minutes is above 0" in error("all", "tiny", tmp_path, minutes)
    file = tmp_path / "file"
    file.touch()
    assert "the output folder cannot be written" in error("all", "tiny", file / "out", None)
    train("vae", "tiny", tmp_path / "tiny", None, print)
    assert "holds the training of another size: tiny" in error("all", "small", tmp_path / "tiny", None)
    assert names(ran) == ["vae"]
    assert json.loads((tmp_path / "tiny/training.json").read_text())["recipe"] == "tiny"


def test_a_full_disk_loses_nothing(ran, tmp_path, monkeypatch):
    train("vae", "tiny", tmp_path, None, print)
    before = (tmp_path / "training.json").read_bytes()
    monkeypatch.setattr(disk.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    said: list[str] = []
    assert train("all", "tiny", tmp_path, None, said.append) == 2
    assert "no space is left" in said[-1]
    assert (tmp_path / "training.json").read_bytes() == before


def test_an_error_of_a_stage_is_told(ran, tmp_path, monkeypatch):
    def broken(recipe, folder, minutes):
        raise StoryMemError("the loss is no number", value=1, remedy="Lower the rate.")

    monkeypatch.setattr(command, "_functions", lambda: {"vae": broken})
    said: list[str] = []
    assert train("all", "tiny", tmp_path, None, said.append) == 2
    assert said[-1] == "error: the loss is no number (got 1). Lower the rate."


def log(folder: Path, *rows: dict, end="\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + end)


def test_progress_tells_the_newest_row(tmp_path):
    assert progress.newest(tmp_path) is None
    log(tmp_path / "vae", {"step": 9, "loss": 0.5})
    assert progress.newest(tmp_path) == "vae: step 9, loss 0.5"
    time.sleep(0.02)
    log(tmp_path / "base/high", *({"step": step, "loss": 1 / step} for step in range(1, 400)))
    assert progress.newest(tmp_path) == "base/high: step 399, loss 0.002506"
    log(tmp_path / "base/high", {"step": 1, "loss": 2.0}, {"step": 2, "loss": 3.0}, end="")
    assert progress.newest(tmp_path) == "base/high: step 1, loss 2", "a row that is still being written"


def test_progress_is_told_while_a_stage_runs(tmp_path):
    log(tmp_path / "vae", {"step": 1, "loss": 0.5})
    told, heard = threading.Event(), []
    with progress.watching(tmp_path, lambda line: (heard.append(line), told.set()), every=0.01):
        assert not told.wait(0.1), "nothing new"
        log(tmp_path / "vae", {"step": 2, "loss": 0.25})
        assert told.wait(10)
    assert heard == ["vae: step 2, loss 0.25"]
