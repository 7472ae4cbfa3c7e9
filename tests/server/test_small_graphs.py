"""The workflows at work: on small models and in small sizes, else as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_story import decoded

from runner import graphs
from runner.client import run, saved_files
from runner.graphs import Graph
from runner.server import Server

API = Path(__file__).resolve().parents[2] / "workflows" / "api"
SIZE = 64
TEXT_ENCODER = {
    "class_type": "StoryMemTextEncoderLoader",
    "inputs": {"text_encoder": "storymem_small_text_encoder.safetensors"},
}


def shrunk(name: str, **settings: Any) -> Graph:
    """A workflow with small sizes, few steps and the first two shots of its script.

    Args:
        settings: widgets of all nodes that have them.
    """
    small = {"width": SIZE, "height": SIZE, "length": 5, "steps": 2, "sampler_name": "euler"} | settings
    graph = {id: _shrunk(node, small) for id, node in graphs.load(API / f"{name}.json").items()}
    if not any(node["class_type"] == graphs.SCRIPT for node in graph.values()):
        return graph
    paragraphs = graphs.script(graph).split("\n\n")
    head = [paragraph for paragraph in paragraphs if paragraph[0] in "#@"]
    shots = [paragraph for paragraph in paragraphs if paragraph[0] not in "#@-"]
    return graphs.with_script(graph, "\n\n".join((*head, *shots[:2])))


def _shrunk(node: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    if node["class_type"] in ("CLIPLoader", "CLIPLoaderGGUF"):  # they know umt5-xxl's sizes only
        return TEXT_ENCODER
    if node["class_type"] == "ImageFromBatch":  # its length is no shot's
        return node
    inputs = node["inputs"] | {key: value for key, value in small.items() if key in node["inputs"]}
    if "start_at_step" in inputs:  # the experts change after the first of two steps
        inputs |= {"start_at_step": min(inputs["start_at_step"], 1)}
        inputs |= {"end_at_step": 1} if inputs["start_at_step"] == 0 else {}
    return {**node, "inputs": inputs}


def told(server: Server, project: str) -> dict[str, Any]:
    """story.json of a project."""
    return json.loads((server.output / project / "story.json").read_text())


def rows(server: Server, project: str, name: str) -> list[Any]:
    return [row[name] for row in told(server, project)["shots"]]


def film(server: Server, graph: Graph) -> tuple[dict[str, Any], np.ndarray]:
    """Run a graph that saves one film: what its nodes show, and the film's frames, [N, H, W, 3]."""
    outputs = dict(run(server.url, graph))
    [path] = [path for path in saved_files(outputs, server.output) if path.name.endswith("_.mp4")]
    return outputs, decoded(path).astype(int)


def test_any_sampler_makes_two_shots_and_the_second_sees_memory(server):
    graph = graphs.load(API / "any_sampler.json")
    shown, frames = film(server, graph)
    assert frames.shape == (2 * 17, 64, 64, 3)
    assert frames.std(axis=(1, 2, 3)).min() > 5
    # The nodes show what each expert was given: the hero, and for the second shot what the first showed.
    assert len(shown["14"]["images"]) == len(shown["19"]["images"]) == 1
    assert len(shown["24"]["images"]) == len(shown["25"]["images"]) > 1

    def seeing_nothing(id: str) -> dict[str, Any]:
        return {**graph[id], "inputs": {**graph[id]["inputs"], "memory": ["empty", 0]}}

    empty = {"class_type": graphs.BANK, "inputs": {"sink": 3, "capacity": 10}}
    forgetting = {"empty": empty, "24": seeing_nothing("24"), "25": seeing_nothing("25")}
    _, forgetful = film(server, {**graph, **forgetting})
    assert abs(forgetful[0] - frames[0]).mean() < 1
    assert abs(forgetful[-1] - frames[-1]).mean() > 5


def test_four_steps_with_two_loras_on_each_expert(full_server):
    run(full_server.url, shrunk("story_wan22_4step", steps=4))
    project = "The Keeper of the Tide Clock"
    assert told(full_server, project)["frames"] == 5 + 4
    models = rows(full_server, project, "models")
    graph = shrunk("story_wan22_4step", steps=4, strength_model=0.0)
    run(full_server.url, graphs.with_project(graph, "without"))
    assert models[0]["high"] != rows(full_server, "without", "models")[0]["high"]
    assert [len(row["high"]) for row in rows(full_server, project, "lora")] == [1, 1]


def test_packed_weights_make_a_film(full_server):
    run(full_server.url, shrunk("story_wan22_gguf"))
    project = "The Lantern Moth"
    assert rows(full_server, project, "dropped") == [0, 1]
    assert all(row["high"][0]["mode"] == "mi2v" for row in rows(full_server, project, "lora"))
    assert len(decoded(full_server.output / project / "film.mp4")) == 5 + 4


def test_shot_by_shot(full_server):
    run(full_server.url, shrunk("shot_by_shot"))
    project = "The Noodle Shop"
    assert rows(full_server, project, "id") == ["shutters", "broth", "cat"]
    assert rows(full_server, project, "seed") == [11, 12, 13]
    assert rows(full_server, project, "mode") == ["m2v", "mi2v", "m2v"]
    assert len(decoded(full_server.output / project / "film.mp4")) == 5 + 4 + 5


def test_two_kinds_of_join_of_one_story(full_server):
    run(full_server.url, shrunk("mi2v_mm2v", length=9))
    for kind, overlap in (("mi2v", 1), ("mm2v", 5)):
        assert rows(full_server, f"The Skater/{kind}", "mode") == ["m2v", kind]
        assert rows(full_server, f"The Skater/{kind}", "dropped") == [0, overlap]
        loras = rows(full_server, f"The Skater/{kind}", "lora")
        assert all(row[expert][0]["mode"] == kind for row in loras for expert in ("high", "low"))


def test_references_are_the_oldest_memory_of_every_shot(full_server):
    run(full_server.url, shrunk("references"))
    memory = rows(full_server, "The Museum at Night", "memory")
    assert [[frame["source"] for frame in seen[:2]] for seen in memory] == [["reference"] * 2] * 2
    assert len(memory[1]) > 2


def test_16_frames_a_second_become_24_of_twice_the_size(full_server):
    _, frames = film(full_server, shrunk("upscale_interpolate"))
    made = 5 + 4
    assert frames.shape == ((3 * (made - 1) + 2) // 2, 2 * SIZE, 2 * SIZE, 3)


@pytest.mark.parametrize("name", ["baseline_independent", "baseline_keyframe_i2v"])
def test_a_baseline_is_three_shots_of_the_hosts_own_nodes(full_server, name):
    graph = shrunk(name)
    assert not any("StoryMem" in node["class_type"] for node in graph.values() if node is not TEXT_ENCODER)
    _, frames = film(full_server, graph)
    assert frames.shape == (3 * 5, SIZE, SIZE, 3)
    assert len({frame.tobytes() for frame in frames[[0, 5, 10]]}) == 3


def test_a_loop_of_the_hosts_own_nodes_makes_a_smoother_larger_film(full_server):
    run(full_server.url, shrunk("own_loop"))
    project = "The Glass Whale"
    story = told(full_server, project)
    assert (story["fps"], story["size"]) == (32.0, [2 * SIZE, 2 * SIZE])
    assert rows(full_server, project, "mode") == ["m2v", "mi2v"]
    assert rows(full_server, project, "memory")[1]
    frames = decoded(full_server.output / project / "film.mp4")
    made = 2 * 5 - 1  # of five frames, with one more between any two
    assert len(frames) == story["frames"] == sum(made - n for n in rows(full_server, project, "dropped"))


def test_a_draft_first_and_then_the_film_of_what_is_kept(full_server):
    draft = shrunk("draft_then_final")
    run(full_server.url, draft)
    project = "The Paper Crane"
    assert told(full_server, f"{project}/draft")["size"] == [SIZE // 2, SIZE // 2]
    assert not (full_server.output / project / "film.mp4").exists()
    loop = graphs.only(draft, graphs.LOOP)
    film = {
        **draft,
        "8": {**draft["8"], "inputs": {"value": False}},
        loop: {**draft[loop], "inputs": draft[loop]["inputs"] | {"only": "1"}},
    }
    run(full_server.url, film)
    assert (told(full_server, project)["size"], told(full_server, project)["frames"]) == ([SIZE, SIZE], 5)


def test_a_given_clip_is_shot_one_and_is_gone_on_with(full_server):
    run(full_server.url, shrunk("extend_video", length=9))
    project = "On From Here"
    assert rows(full_server, project, "mode") == ["given", "mm2v", "m2v"]
    assert rows(full_server, project, "dropped") == [0, 5, 0]
    clip = rows(full_server, project, "frames")[0]
    assert clip == 8  # half a second, at 16 frames in place of 24
    assert rows(full_server, project, "memory")[1][0]["shot"] == "clip"
    assert len(decoded(full_server.output / project / "film.mp4")) == clip + 4 + 9
