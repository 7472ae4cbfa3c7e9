"""A ComfyUI that is somebody's own: the pack runs in it, with its folders, and ends when it is told to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from runner import existing
from runner.server import Server, answers, free_port

ROOT = Path(__file__).resolve().parents[2]
SMALL_VAE = "storymem_small_vae.safetensors"


@pytest.fixture(scope="module")
def own(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's ComfyUI, with a model of their own and a broken pack, which is none of our business."""
    folder = tmp_path_factory.mktemp("own") / "ComfyUI"
    shutil.copytree(comfyui, folder, ignore=shutil.ignore_patterns("user", "output", "temp"))
    (folder / "models" / "vae").mkdir(parents=True, exist_ok=True)
    (folder / "models" / "vae" / "theirs.safetensors").touch()
    (folder / "custom_nodes" / "broken").mkdir()
    (folder / "custom_nodes" / "broken" / "__init__.py").write_text("raise RuntimeError('not today')\n")
    return folder


def info(url: str, node: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/object_info/{node}") as answer:
        return json.load(answer)


def vaes(url: str) -> list[str]:
    return info(url, "VAELoader")["VAELoader"]["input"]["required"]["vae_name"][0]


def test_serve_links_the_pack_says_where_it_is_and_ends(own: Path, models: Path):
    before = set(os.listdir(own / "custom_nodes"))
    port = free_port()
    command = [sys.executable, str(ROOT / "run.py"), "serve", "--comfyui", str(own), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    url = f"http://127.0.0.1:{port}"
    try:
        told = []
        while not any("ready" in line for line in told):
            line = process.stderr.readline()
            assert line, "".join(told)
            told.append(line)
        assert f"open {url} " in told[-1]
        assert info(url, "StoryMemStoryLoop")
        # Theirs and the small ones, so that the demo's template works.
        assert {"theirs.safetensors", SMALL_VAE} <= set(vaes(url))
        assert set(os.listdir(own / "custom_nodes")) - before <= {"storymem", "__pycache__"}
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    assert not answers(url)


def test_a_film_s_server_has_its_models_and_folders_of_its_own(own: Path, models: Path, tmp_path: Path):
    existing.link(own, print)
    with Server(own, None, tmp_path / "output", more_models=(models,), cpu=True) as server:
        assert {"theirs.safetensors", SMALL_VAE} <= set(vaes(server.url))
        (server.input / "hero.png").touch()
        images = info(server.url, "LoadImage")["LoadImage"]["input"]["required"]["image"][0]
        assert images == ["hero.png"]
        assert server.output == tmp_path / "output"
