"""What `run.py doctor` tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner import doctor, existing
from runner.arguments import Arguments
from runner.environment import Environment, Step
from runner.existing import Existing
from runner.model_files import WAN22
from tests.model_files import named

ROOT = Path(__file__).resolve().parents[2]
SEEN = {
    "installed": ["torch==2.9.0", "av==16.0.0"], "unmet": [], "device": {"name": "Some Card", "gib": 24.0},
    "models": {"diffusion_models": [], "loras": [], "text_encoders": [], "vae": ["wan_2.1_vae.safetensors"]},
}  # fmt: skip


def step(name: str) -> Step:
    return Step(name, "1", lambda folder, again: None)


@pytest.fixture
def at(tmp_path) -> Existing:
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.30.0"\n')
    return Existing(tmp_path, Path("/env/bin/python"))


def test_the_files_are_those_of_the_wan_graph():
    graph = json.loads((ROOT / "workflows" / "api" / "story_wan22.json").read_text())
    assert {f"{file.folder}/{file.name}" for file in WAN22} == named(graph)


def test_a_missing_model_has_the_command_that_puts_it_where_it_belongs():
    found = {f.what.partition(" ")[0]: f for f in doctor.models(SEEN["models"])}
    assert found["vae/wan_2.1_vae.safetensors"].remedy == ""
    text = found["text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors"].remedy
    assert text.endswith(
        "--local-dir . && mkdir -p text_encoders && "
        "mv split_files/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors text_encoders"
    )
    lora = found["loras/StoryMem/Wan2.2-MI2V-A14B/backbone_low_noise.safetensors"].remedy
    assert lora == (
        "hf download Kevin-thu/StoryMem Wan2.2-MI2V-A14B/backbone_low_noise.safetensors "
        "--local-dir loras/StoryMem"
    )
    assert not any(f.needed for f in found.values())


def test_of_a_host_it_tells_versions_the_card_and_what_is_missing(at):
    told = [f.what for f in doctor.host(at, SEEN)]
    assert told[:3] == [
        f"ComfyUI 0.30.0 in {at.host}", "torch 2.9.0, av 16.0.0 (/env/bin/python)", "Some Card, 24.0 GiB",
    ]  # fmt: skip
    assert told[-1] == "all packages that the pack wants"
    lacking = list(doctor.host(at, {**SEEN, "unmet": ["json5>=0.9"], "device": {"name": "cpu", "gib": None}}))
    assert "sees no GPU" in lacking[2].what
    assert lacking[3].remedy == "/env/bin/python -m pip install 'json5>=0.9'"
    assert list(doctor.host(at, {**SEEN, "device": None}))[2].remedy


def test_a_card_is_told_its_preset_and_whether_the_memory_is_enough():
    [preset] = doctor.fits(23.6, 64)
    assert preset.what == "for Wan2.2 14B: fp8 at 832x480, fp8 at 1280x720 (computed, see docs/cards.md)"
    [preset, memory] = doctor.fits(11.6, 16)
    assert "Q4_K at 832x480" in preset.what
    assert memory.what == "16 GiB of memory; 30 keep every model loaded" and not memory.needed
    [small] = doctor.fits(8, 64)
    assert "for 12 GB" in small.what and not small.needed


def test_a_set_up_is_absent_stopped_or_there(tmp_path):
    environment = Environment(tmp_path / "e", (step("venv"), step("torch")))
    [absent, little] = doctor.set_up(environment, 3)
    assert (absent.what, little.what) == ("not set up yet", "3.0 GiB are too little for it")
    assert absent.remedy.startswith("python3 run.py demo")
    Environment(environment.folder, environment.steps[:1]).prepare(lambda line: None)
    [stopped] = doctor.set_up(environment, 30)
    assert stopped.what == "set-up stopped before 'torch'"
    environment.prepare(lambda line: None)
    [there] = doctor.set_up(environment, 30)
    assert not there.remedy


def test_missing_models_are_no_failure_and_missing_packages_are(at, monkeypatch, capsys):
    (at.host / "custom_nodes").mkdir()
    (at.host / "custom_nodes" / "storymem").symlink_to(ROOT)
    monkeypatch.setattr(existing, "find", lambda folder: at)
    monkeypatch.setattr(existing, "look", lambda at, *more: SEEN)
    asked = Arguments("doctor", comfyui=at.host)
    assert doctor.tell(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  ok  stands in {at.host / 'custom_nodes'}" in lines
    assert len([line for line in lines if "GiB; " in line and "--" in line]) == len(WAN22) - 1
    monkeypatch.setattr(existing, "look", lambda at, *more: {**SEEN, "unmet": ["json5"]})
    assert doctor.tell(asked) == 1


def test_what_is_no_comfyui_is_told_and_nothing_is_looked_at(tmp_path, capsys):
    assert doctor.tell(Arguments("doctor", comfyui=tmp_path)) == 1
    assert "is no ComfyUI" in capsys.readouterr().out
