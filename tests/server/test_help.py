"""The page of help of every node names exactly what the node has (the Chinese: core/test_help.py)."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "js" / "docs"
AUTOGROW = "COMFY_AUTOGROW_V3"
PAGES = sorted(path.stem for path in DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def nodes(server) -> dict[str, Any]:
    """The pack's nodes as the server tells of them."""
    with urllib.request.urlopen(f"{server.url}/object_info") as response:
        found = json.load(response)
    return {id: node for id, node in found.items() if id.startswith("StoryMem")}


def rows(page: str, heading: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    [part] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\w+)", part, re.MULTILINE)


def inputs(node: dict[str, Any]) -> list[str]:
    found = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
    # Of inputs that grow the page tells the first.
    grow = {name: f"{spec[1]['template']['prefix']}0" for name, spec in found.items() if spec[0] == AUTOGROW}
    return [grow.get(name, name) for name in found]


def test_every_node_has_a_page_and_every_page_a_node(nodes):
    assert sorted(nodes) == PAGES


@pytest.mark.parametrize("id", PAGES)
def test_a_page_names_every_input_and_output(nodes, id):
    page = (DOCS / f"{id}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {nodes[id]['display_name']}\n")
    assert sorted(rows(page, "Inputs")) == sorted(inputs(nodes[id]))
    assert rows(page, "Outputs") == nodes[id]["output_name"]


@pytest.mark.parametrize("id", PAGES)
def test_everything_on_a_node_is_explained(nodes, id):
    node = nodes[id]
    assert node["description"]
    for section in ("required", "optional"):
        for name, spec in node["input"].get(section, {}).items():
            assert spec[1].get("tooltip"), name
    assert all(node["output_tooltips"])


def test_the_page_finds_each_page_in_its_language(server):
    """ComfyUI asks for docs/<node>/<language>.md, then for docs/<node>.md: English is for all others."""
    for id in PAGES:
        for name in (f"{id}/zh", id):
            with urllib.request.urlopen(f"{server.url}/extensions/storymem/docs/{name}.md") as response:
                assert response.read() == (DOCS / f"{name}.md").read_bytes()
                assert "html" not in response.headers["Content-Type"]
