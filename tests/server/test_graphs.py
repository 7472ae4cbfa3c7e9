"""Every API graph is valid on the real server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner import graphs
from tests.model_files import named

API = Path(__file__).resolve().parents[2] / "workflows" / "api"
NAMES = sorted(path.stem for path in API.glob("*.json"))


def load(name: str) -> graphs.Graph:
    return graphs.load(API / f"{name}.json")


def post(url: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The server's answer, whatever its status."""
    sent, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, sent, kind)) as response:
            return json.loads(response.read() or "{}")
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


@pytest.fixture
def validated(full_server):
    """Ask the server what it has against a graph, and let it run nothing."""

    def ask(graph: graphs.Graph) -> dict[str, Any]:
        answer = post(full_server.url, "/prompt", {"prompt": graph})
        post(full_server.url, "/queue", {"clear": True})
        post(full_server.url, "/interrupt", {})
        return answer

    return ask


@pytest.mark.parametrize("name", NAMES)
def test_the_server_takes_the_graph(validated, name):
    answer = validated(load(name))
    assert answer.get("node_errors") == {}
    assert answer["prompt_id"]


@pytest.mark.parametrize("name", NAMES)
def test_the_server_would_refuse_it_without_any_one_of_its_values(validated, name):
    """So that being taken means something: no node stands outside of what the server looks at."""
    graph = load(name)
    for id, node in graph.items():
        input = next(iter(node["inputs"]))
        rest = {key: value for key, value in node["inputs"].items() if key != input}
        answer = validated({**graph, id: {**node, "inputs": rest}})
        assert id in answer["node_errors"], f"node {id} without {input}"


def test_wan22_has_its_files_by_their_official_names():
    assert named(load("story_wan22")) == {
        "diffusion_models/wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
        "diffusion_models/wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors",
        "diffusion_models/wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
        "diffusion_models/wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
        "loras/StoryMem/Wan2.2-MI2V-A14B/backbone_high_noise.safetensors",
        "loras/StoryMem/Wan2.2-MI2V-A14B/backbone_low_noise.safetensors",
        "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "vae/wan_2.1_vae.safetensors",
    }


def test_wan22_has_the_release_s_settings():
    graph = load("story_wan22")
    loop = graph[graphs.only(graph, graphs.LOOP)]["inputs"]
    release = {
        "width": 832, "height": 480, "length": 81, "fps": 16.0,
        "steps": 40, "sampler_name": "uni_pc", "scheduler": "simple", "cfg_high": 3.5, "cfg_low": 3.5,
        "shift": 4.0, "boundary": 0.9, "t2v_shift": 12.0, "t2v_boundary": 0.875,
        "spacing": 5.0, "overlap": 1, "keyframes": 3,
    }  # fmt: skip
    assert {name: loop[name] for name in release} == release
    bank = graph[graphs.only(graph, graphs.BANK)]["inputs"]
    assert (bank["sink"], bank["capacity"]) == (3, 10)
