"""The pack passes the checks of the registry of custom nodes, and every graph passes comfy-lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

API = Path(__file__).resolve().parents[2] / "workflows" / "api"
NAMES = sorted(path.stem for path in API.glob("*.json"))


def test_the_registry_takes_the_pack(tool):
    done = tool("comfy", "--skip-prompt", "node", "validate")
    assert done.returncode == 0, done.stdout + done.stderr
    # It also ends well with warnings, of which it says that they are to become errors.
    assert "All validation checks passed" in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_comfy_lint_finds_nothing(lint, name):
    assert lint(API / f"{name}.json") == []


def test_comfy_lint_would_find_what_is_broken(lint, tmp_path: Path):
    """Also in inputs that grow, which it does not know by itself."""
    graph = json.loads((API / "any_sampler.json").read_text())
    [sampler, *_] = [node for node in graph.values() if node["class_type"] == "KSamplerAdvanced"]
    sampler["inputs"]["sampler_name"] = "none that exists"
    [batch] = [node for node in graph.values() if node["class_type"] == "BatchImagesNode"]
    del batch["inputs"]["images.image0"]
    (tmp_path / "broken.json").write_text(json.dumps(graph))
    found = {finding["rule"] for finding in lint(tmp_path / "broken.json")}
    assert found == {"invalid-enum", "missing-required"}
