"""Filling a story's graph in, and reading its settings."""

from __future__ import annotations

import copy
import json

import pytest

from runner import graphs
from runner.errors import GraphError

STORY = {
    "1": {"class_type": "StoryMemScript", "inputs": {"text": "A boat."}},
    "2": {"class_type": "StoryMemMemoryBank", "inputs": {"sink": 3, "references.reference_0": ["9", 0]}},
    "3": {
        "class_type": "StoryMemStoryLoop",
        "inputs": {
            "script": ["1", 0],
            "memory": ["2", 0],
            "project": "",
            "seed": 7,
            "length": 17,
            "overlap": 5,
        },
    },
    "9": {"class_type": "LoadImage", "inputs": {"image": "old.png"}},
}


@pytest.fixture(autouse=True)
def the_graph_stays_as_it_was():
    before = copy.deepcopy(STORY)
    yield
    assert before == STORY


def test_script_seed_and_project_are_filled_in():
    filled = graphs.with_project(graphs.with_seed(graphs.with_script(STORY, "A ship."), 8), "tale")
    assert filled["1"]["inputs"] == {"text": "A ship."}
    assert filled["3"]["inputs"] == {**STORY["3"]["inputs"], "seed": 8, "project": "tale"}
    assert filled["2"] == STORY["2"]
    assert graphs.script(filled) == "A ship."


def test_another_seed_draws_another_hero():
    hero = {"class_type": "StoryMemSmallWorldHero", "inputs": {"seed": 7, "size": 64}}
    filled = graphs.with_seed({**STORY, "10": hero}, 8)
    assert filled["10"]["inputs"] == {"seed": 8, "size": 64}
    assert filled["3"]["inputs"]["seed"] == 8


def test_references_replace_the_graphs_own_in_order():
    filled = graphs.with_references(STORY, ["a.png", "b.png"])
    links = {name: link for name, link in filled["2"]["inputs"].items() if name != "sink"}
    assert list(links) == ["references.reference_0", "references.reference_1"]
    assert filled["2"]["inputs"]["sink"] == 3
    images = [filled[node]["inputs"]["image"] for node, output in links.values()]
    assert images == ["a.png", "b.png"]
    assert {filled[node]["class_type"] for node, _ in links.values()} == {"LoadImage"}


@pytest.mark.parametrize("class_type", ["StoryMemScript", "StoryMemMemoryBank", "StoryMemStoryLoop"])
@pytest.mark.parametrize("count", [0, 2])
def test_an_absent_or_doubled_node_is_named(class_type, count):
    graph = {id: node for id, node in STORY.items() if node["class_type"] != class_type}
    graph |= {f"x{i}": {"class_type": class_type, "inputs": {}} for i in range(count)}
    with pytest.raises(GraphError, match=f"one {class_type} node.*it has {count}"):
        if class_type == "StoryMemScript":
            graphs.with_script(graph, "")
        elif class_type == "StoryMemMemoryBank":
            graphs.with_references(graph, ["a.png"])
        else:
            graphs.with_seed(graph, 1)


def test_a_script_that_comes_from_elsewhere_is_refused():
    with pytest.raises(GraphError, match="must stand in the node itself"):
        graphs.script(graphs._with_inputs(STORY, "1", text=["5", 0]))


def test_settings_of_the_plan():
    assert graphs.plan_settings(STORY) == {
        "seed": 7, "length": 17, "overlap": 5, "t2v_first": False, "references": 1, "start_given": False,
    }  # fmt: skip
    more = graphs._with_inputs(STORY, "3", t2v_high_noise_model=["7", 0], start_frames=["8", 0])
    assert graphs.plan_settings(more)["t2v_first"] is True
    assert graphs.plan_settings(more)["start_given"] is True
    assert graphs.plan_settings(graphs.with_references(STORY, ["a", "b", "c"]))["references"] == 3


def test_widgets_that_primitive_nodes_fill():
    seed = {"class_type": "PrimitiveInt", "inputs": {"value": 12}}
    linked = {**graphs._with_inputs(STORY, "3", seed=["p", 0], only=["q", 0]), "p": seed}
    assert graphs.plan_settings(linked)["seed"] == 12
    with pytest.raises(
        GraphError, match=r"only of the graph's StoryMemStoryLoop node comes from another .*, q"
    ):
        graphs.only_shots(linked)
    other = {**linked, "p": {"class_type": "SeedGenerator", "inputs": {"value": 12}}}
    with pytest.raises(GraphError, match=r"seed of .*SeedGenerator.*Write it into the node itself"):
        graphs.plan_settings(other)


def test_the_shots_that_a_graph_makes():
    assert graphs.only_shots(STORY) == ""
    assert graphs.only_shots(graphs._with_inputs(STORY, "3", only="1-2")) == "1-2"


def test_a_graph_is_read(tmp_path):
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(STORY))
    assert graphs.load(file) == STORY


@pytest.mark.parametrize(
    "text, told",
    [
        ("{", "is not JSON"),
        ('{"nodes": [], "links": []}', "Export"),
        ("[]", "not an API graph"),
        ("{}", "not an API graph"),
        ('{"1": {"class_type": "A"}}', "not an API graph"),
        ('{"1": {"inputs": {}}}', "not an API graph"),
    ],
)
def test_other_files_are_refused_with_their_reason(tmp_path, text, told):
    file = tmp_path / "graph.json"
    file.write_text(text)
    with pytest.raises(GraphError, match=told):
        graphs.load(file)
