"""The pack on ComfyUI's page."""

from __future__ import annotations

from pathlib import Path

import pytest

NODES = (
    "StoryMemScript", "StoryMemMemoryBank", "StoryMemKeyframeSelect", "StoryMemAestheticFilter",
    "StoryMemEmbedderLoader", "StoryMemTextEncoderLoader", "StoryMemM2VLora", "StoryMemApplyMemory",
    "StoryMemShotConditioning", "StoryMemM2VSampler", "StoryMemShotStitch", "StoryMemShot",
    "StoryMemStoryLoop",
)  # fmt: skip


@pytest.mark.parametrize("node", NODES)
def test_a_node_can_be_added_by_hand(canvas, node):
    canvas.page.evaluate("id => app.graph.add(LiteGraph.createNode(id))", node)
    [added] = canvas.serialized()["nodes"]
    assert added["type"] == node
    assert canvas.missing_nodes() == []
    assert canvas.errors == []


@pytest.mark.parametrize("node", NODES)
def test_a_node_has_a_page_of_help(canvas, server, node):
    response = canvas.page.request.get(f"{server.url}/extensions/storymem/docs/{node}.md")
    file = Path(__file__).resolve().parents[2] / "js" / "docs" / f"{node}.md"
    assert response.ok, f"there is no {file.name}"
    assert response.text() == file.read_text(encoding="utf-8")
