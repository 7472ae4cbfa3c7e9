"""The pack on ComfyUI's page."""

from __future__ import annotations

import json
from pathlib import Path


def test_every_node_can_be_added_by_hand(canvas, server):
    told = canvas.page.request.get(f"{server.url}/object_info").json()
    nodes = [id for id in told if id.startswith("StoryMem")]
    assert {"StoryMemScript", "StoryMemShot", "StoryMemStoryLoop", "StoryMemShotStitch"} <= set(nodes)
    canvas.page.evaluate("app.graph.clear()")  # a fresh profile opens an example
    canvas.page.evaluate("ids => ids.forEach(id => app.graph.add(LiteGraph.createNode(id)))", nodes)
    assert [node["type"] for node in canvas.serialized()["nodes"]] == nodes
    assert canvas.missing_nodes() == []
    assert canvas.errors == []


LABELS = Path(__file__).resolve().parents[2] / "locales" / "zh" / "nodeDefs.json"


def test_a_chinese_page_names_and_explains_the_nodes_in_chinese(canvas, server):
    canvas.page.request.post(f"{server.url}/settings/Comfy.Locale", data='"zh"')
    try:
        canvas.page.goto(server.url)
        canvas.page.wait_for_function("window.app?.graph?.nodes.length")
        title = canvas.page.evaluate("LiteGraph.createNode('StoryMemStoryLoop').title")
        # A tooltip is looked up in these when it is shown.
        told = canvas.page.request.get(f"{server.url}/i18n").json()["zh"]["nodeDefs"]
    finally:
        canvas.page.request.post(f"{server.url}/settings/Comfy.Locale", data='"en"')
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    assert title == labels["StoryMemStoryLoop"]["display_name"]
    assert {name: told[name] for name in labels} == labels


REPORTS = """[app.rootGraph, ...app.rootGraph.subgraphs.values()].flatMap(graph => graph.nodes)
    .filter(node => node.type === "StoryMemScript")
    .map(node => node.widgets.find(widget => widget.name === "storymem_report")?.element.value)"""


def test_reports_stay_on_their_nodes_over_another_tab_and_an_undo(canvas):
    """Also within a subgraph. The page makes all nodes of a graph anew for both."""

    def story(node: str, title: str) -> dict:
        script = {"class_type": "StoryMemScript", "inputs": {"text": f"# {title}\n\nA fox wakes up."}}
        return {node: script, f"{node}1": {"class_type": "PreviewAny", "inputs": {"source": [node, 1]}}}

    def command(name: str) -> None:
        canvas.page.evaluate("name => app.extensionManager.command.execute(name)", name)

    def reports() -> list:
        return sorted(canvas.page.evaluate(REPORTS), key=str)

    canvas.load_api({**story("1", "First"), **story("2", "Second")}, "reports")
    canvas.page.evaluate("void app.graph.convertToSubgraph(new Set([app.graph.getNodeById(2)]))")
    assert reports() == [None, None]
    canvas.finish(canvas.queue())
    told = reports()
    assert [report[:10] for report in told] == ["First: 1 s", "Second: 1 "]

    canvas.load_api(story("1", "Other"), "other")
    # The page gives the graph its tab a little later.
    canvas.page.wait_for_function("app.extensionManager.workflow.activeWorkflow.path.endsWith('other.json')")
    assert reports() == [None]
    command("Workspace.PreviousOpenedWorkflow")
    assert reports() == told

    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    titles = "app.graph.nodes.map(node => node.title)"
    before = canvas.page.evaluate(titles)
    canvas.page.evaluate(
        f"{tracker}.captureCanvasState(); app.graph.nodes[0].title = 'x'; {tracker}.captureCanvasState()"
    )
    command("Comfy.Undo")
    assert canvas.page.evaluate(titles) == before
    assert reports() == told
    assert canvas.errors == []
