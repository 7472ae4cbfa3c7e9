"""The pack passes the checks of the registry of custom nodes, and every graph passes comfy-lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import API

NAMES = sorted(path.stem for path in API.glob("*.json"))


def test_the_registry_takes_the_pack(tool):
    done = tool("comfy", "--skip-prompt", "node", "validate")
    assert done.returncode == 0, done.stdout + done.stderr
    # It also ends well with warnings, of which it says that they are to become errors.
    assert "All validation checks passed" in done.stdout, done.stdout
    assert "arning" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_comfy_lint_finds_no_error(lint, name):
    errors = [found for found in lint(API / f"{name}.json") if found["severity"] == "error"]
    assert errors == []


def test_comfy_lint_would_see_one(lint, tmp_path: Path):
    graph = json.loads((API / "story_demo.json").read_text())
    [loop] = [node for node in graph.values() if node["class_type"] == "StoryMemStoryLoop"]
    loop["inputs"]["sampler_name"] = "none that exists"
    (tmp_path / "broken.json").write_text(json.dumps(graph))
    assert [found["rule"] for found in lint(tmp_path / "broken.json")] == ["invalid-enum"]
