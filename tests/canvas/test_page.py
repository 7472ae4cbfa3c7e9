"""The pack on ComfyUI's page."""

from __future__ import annotations

NODES = [
    "StoryMemScript", "StoryMemMemoryBank", "StoryMemKeyframeSelect", "StoryMemAestheticFilter",
    "StoryMemEmbedderLoader", "StoryMemTextEncoderLoader", "StoryMemM2VLora", "StoryMemApplyMemory",
    "StoryMemShotConditioning", "StoryMemM2VSampler", "StoryMemShotStitch", "StoryMemShot",
    "StoryMemStoryLoop", "StoryMemStoryProject",
]  # fmt: skip


def test_every_node_can_be_added_by_hand(canvas):
    canvas.page.evaluate("app.graph.clear()")  # a fresh profile opens an example
    canvas.page.evaluate("ids => ids.forEach(id => app.graph.add(LiteGraph.createNode(id)))", NODES)
    assert [node["type"] for node in canvas.serialized()["nodes"]] == NODES
    assert canvas.missing_nodes() == []
    assert canvas.errors == []
