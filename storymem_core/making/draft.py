"""The draft of a film: the story at half the size in few steps, in a folder and with a memory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DRAFT = "draft"
"""The draft's folder, inside the story's own."""

STEPS = 8
_GRID = 16
"""What a width and height must be a multiple of."""


def cheaper(settings: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The settings of a film -> those of its draft: half the width and height, and at most so many steps."""
    return {
        **settings,
        "width": _half(settings["width"]),
        "height": _half(settings["height"]),
        "steps": min(settings["steps"], steps),
    }


def project_name(project: str, draft: bool) -> str:
    """The name of the project in which a film, or its draft, lies."""
    return f"{project}/{DRAFT}" if draft else project


def title(folder: Path) -> str:
    """What the film of a folder is called."""
    return f"{folder.parent.name} ({DRAFT})" if folder.name == DRAFT else folder.name


def _half(size: int) -> int:
    return max(_GRID, size // 2 // _GRID * _GRID)
