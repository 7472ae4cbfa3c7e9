"""Every workflow that people open in the page is the API graph of the same name, and can be read there."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.model_files import named

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in (WORKFLOWS / "api").glob("*.json"))
NOTES = {"MarkdownNote", "Note"}
# What the page adds behind the value of a seed.
CONTROLS = {"fixed", "randomize", "increment", "decrement"}
# A button: the page keeps a value for it, and leaves it out of what it queues.
BUTTON = "IMAGEUPLOAD"
TITLE = 30


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def ui(name: str) -> dict:
    return load(WORKFLOWS / f"{name}.json")


def nodes(workflow: dict) -> list[dict]:
    return [node for node in workflow["nodes"] if node["type"] not in NOTES]


def values(node: dict) -> dict:
    """A node's widget values by name: the page stores them in the order of the widgets' sockets."""
    found, rest = {}, list(node.get("widgets_values", []))
    for slot in node["inputs"]:
        if "widget" in slot:
            value = rest.pop(0)
            if slot["type"] != BUTTON:
                found[slot["widget"]["name"]] = value
            if slot["type"] == "INT" and rest and rest[0] in CONTROLS:
                rest.pop(0)
    assert rest == []
    return found


def as_api(workflow: dict) -> dict:
    """The workflow as an API graph, by the rules of the page's 'Export (API)'."""
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    return {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": values(node)
            | {slot["name"]: sources[slot["link"]] for slot in node["inputs"] if slot["link"] is not None},
        }
        for node in nodes(workflow)
    }


def without_titles(graph: dict) -> dict:
    return {id: {"class_type": node["class_type"], "inputs": node["inputs"]} for id, node in graph.items()}


def boxes(workflow: dict) -> dict[int, tuple[float, float, float, float]]:
    """Node id -> left, top, right, bottom; the title stands above the position."""
    return {
        node["id"]: (
            node["pos"][0], node["pos"][1] - TITLE,
            node["pos"][0] + node["size"][0], node["pos"][1] + node["size"][1],
        )
        for node in workflow["nodes"]
    }  # fmt: skip


def test_the_graphs_of_the_issues_are_there():
    assert {
        "any_sampler", "story_demo", "story_wan22", "story_wan22_4step", "story_wan22_gguf", "shot_by_shot",
        "mi2v_mm2v", "references", "upscale_interpolate", "own_loop", "draft_then_final",
        "extend_video", "baseline_independent", "baseline_keyframe_i2v",
    } <= set(NAMES)  # fmt: skip
    for kind in ("json", "jpg"):
        assert sorted(path.stem for path in WORKFLOWS.glob(f"*.{kind}")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nodes_links_and_values_are_those_of_the_api_graph(name):
    assert as_api(ui(name)) == without_titles(load(WORKFLOWS / "api" / f"{name}.json"))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_link_covers_is_nothing_of_another_graph(name):
    """A widget that is wired keeps a value, which counts again once the wire is gone."""
    for node in nodes(ui(name)):
        if node["type"] == "StoryMemStoryLoop":
            [project] = [slot for slot in node["inputs"] if slot["name"] == "project"]
            assert project["link"] is None or values(node)["project"] == ""


@pytest.mark.parametrize("name", NAMES)
def test_links_are_told_alike_at_both_ends(name):
    workflow = ui(name)
    found = {node["id"]: node for node in workflow["nodes"]}
    for id, origin, output, target, place, kind in workflow["links"]:
        assert id in found[origin]["outputs"][output]["links"]
        assert found[origin]["outputs"][output]["type"] == kind
        assert found[target]["inputs"][place]["link"] == id
    ends = [slot["link"] for node in workflow["nodes"] for slot in node["inputs"] if slot["link"] is not None]
    assert sorted(ends) == sorted(link[0] for link in workflow["links"])


@pytest.mark.parametrize("name", NAMES)
def test_no_node_lies_on_another_and_each_stands_in_a_group(name):
    workflow = ui(name)
    placed = boxes(workflow)
    for (one, a), (other, b) in itertools.combinations(placed.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} lies on {other}"
    frames = [group["bounding"] for group in workflow["groups"]]
    for node in nodes(workflow):
        left, top, right, bottom = placed[node["id"]]
        inside = [x <= left and y <= top and right <= x + w and bottom <= y + h for x, y, w, h in frames]
        assert sum(inside) == 1, f"node {node['id']} stands in {sum(inside)} groups"


@pytest.mark.parametrize("name", NAMES)
def test_data_flow_from_left_to_right_within_a_group(name):
    workflow = ui(name)
    placed = boxes(workflow)

    def group(id: int) -> int:
        left, top, *_ = placed[id]
        return next(
            g["id"]
            for g in workflow["groups"]
            if g["bounding"][0] <= left < g["bounding"][0] + g["bounding"][2]
            and g["bounding"][1] <= top < g["bounding"][1] + g["bounding"][3]
        )

    for _, origin, _, target, _, _ in workflow["links"]:
        if group(origin) == group(target):
            assert placed[origin][0] <= placed[target][0], f"{origin} -> {target} runs to the left"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_by_itself_between_two_runs(name):
    for node in nodes(ui(name)):
        for value in node.get("widgets_values", []):
            assert value == "fixed" or value not in CONTROLS


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_of_large_models_says_where_its_files_go_and_their_terms(name):
    files = [file for file in named(load(WORKFLOWS / "api" / f"{name}.json")) if "storymem_" not in file]
    notes = " ".join(n["widgets_values"][0] for n in ui(name)["nodes"] if n["type"] in NOTES)
    assert notes
    for file in files:
        folder, _, leaf = file.rpartition("/")
        assert f"{folder}/" in notes and leaf in notes
    assert not files or "Apache-2.0" in notes
    assert ("non-commercial" in notes) == any("backbone" in file for file in files)


def test_the_wan_graph_has_its_eight_files():
    assert len(named(load(WORKFLOWS / "api" / "story_wan22.json"))) == 8


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_small(name):
    picture = WORKFLOWS / f"{name}.jpg"
    assert picture.read_bytes()[:3] == b"\xff\xd8\xff"
    assert picture.stat().st_size < 300_000
