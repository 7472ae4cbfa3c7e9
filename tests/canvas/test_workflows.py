"""The workflows in the page: they open whole, queue what the API graphs say, and show their work."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from page import Canvas

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def without_titles(graph: dict) -> dict:
    """The graph without its titles, and without what the page adds where a node shows its video."""
    return {
        id: {
            "class_type": node["class_type"],
            "inputs": {name: value for name, value in node["inputs"].items() if name != "video-preview"},
        }
        for id, node in graph.items()
    }


@pytest.fixture(scope="module")
def open_page(chromium, full_server):
    """One page for all that only look at a graph."""
    opened = Canvas(chromium, full_server.url)
    yield opened
    opened.page.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_opens_it_whole_and_queues_the_api_graph(open_page, name):
    open_page.errors.clear()
    workflow = load(WORKFLOWS / f"{name}.json")
    open_page.load(workflow, name)
    prompt = open_page.prompt()
    assert open_page.missing_nodes() == []
    assert open_page.errors == []
    assert without_titles(prompt) == without_titles(load(WORKFLOWS / "api" / f"{name}.json"))
    least = open_page.least_sizes()
    for node in workflow["nodes"]:
        if node["type"] == "LoadVideo":  # it asks for more than it has, to show its video larger
            continue
        width, height = least[str(node["id"])]
        assert node["size"][0] >= width - 1 and node["size"][1] >= height - 1, f"node {node['id']}"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed_as_a_template_with_its_picture(open_page, full_server, name):
    listed = open_page.page.request.get(f"{full_server.url}/workflow_templates").json()
    assert name in listed["storymem"]
    served = open_page.page.request.get(f"{full_server.url}/api/workflow_templates/storymem/{name}.jpg")
    assert served.body() == (WORKFLOWS / f"{name}.jpg").read_bytes()


@pytest.mark.parametrize(("name", "last"), [("story_demo", "9"), ("any_sampler", "33")])
def test_it_runs_from_the_page_and_its_nodes_show_their_work(canvas, name, last):
    canvas.forget()
    graph = load(WORKFLOWS / "api" / f"{name}.json")
    canvas.load(load(WORKFLOWS / f"{name}.json"), name)
    record = canvas.finish(canvas.queue())
    assert record["status"]["status_str"] == "success"
    assert canvas.errors == []
    shown = canvas.shown()
    assert shown[last].video
    assert all("rslora" in shown[id].report for id in loras(graph))
    if name == "story_demo":
        assert "Hello, World: 8 shots" in shown["1"].report
    else:
        # Keyframes of shot 1, and behind the hero the same pictures as the memory of both experts of shot 2.
        assert shown["12"].pictures == shown["14"].pictures == 1 <= shown["18"].pictures
        assert 1 + shown["18"].pictures == shown["24"].pictures == shown["25"].pictures
    for one, other in itertools.combinations(canvas.boxes().items(), 2):
        assert apart(one[1], other[1]), f"node {one[0]} has grown over {other[0]}"
    # What a node tells stays out of what the page queues and saves.
    assert not any("storymem_report" in node["inputs"] for node in canvas.prompt().values())
    saved = {str(node["id"]): node.get("widgets_values") for node in canvas.serialized()["nodes"]}
    assert all(saved[id] == [graph[id]["inputs"]["lora_name"], 1, "auto"] for id in loras(graph))


def loras(graph: dict) -> list[str]:
    return [id for id, node in graph.items() if node["class_type"] == "StoryMemM2VLora"]


def apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
