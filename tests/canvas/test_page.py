"""The pack on ComfyUI's page."""

from __future__ import annotations


def test_every_node_can_be_added_by_hand(canvas, server):
    told = canvas.page.request.get(f"{server.url}/object_info").json()
    nodes = [id for id in told if id.startswith("StoryMem")]
    assert {"StoryMemScript", "StoryMemShot", "StoryMemStoryLoop", "StoryMemShotStitch"} <= set(nodes)
    canvas.page.evaluate("app.graph.clear()")  # a fresh profile opens an example
    canvas.page.evaluate("ids => ids.forEach(id => app.graph.add(LiteGraph.createNode(id)))", nodes)
    assert [node["type"] for node in canvas.serialized()["nodes"]] == nodes
    assert canvas.missing_nodes() == []
    assert canvas.errors == []
