"""A memory that an earlier run has left, by the name of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..disk import digest, read_json
from ..errors import StoryMemError
from ..store.output_folder import output_folder
from ..store.project import Story
from ..store.story_folder import STORY
from . import bank_folder
from .bank import MemoryBank


def saved_memory(root: str | Path, name: str) -> MemoryBank:
    """The bank that lies in a folder, or the memory after the last shot of the story that lies there.

    Args:
        root: the host's output folder.
        name: of the folder, below `root`.

    Raises:
        StoryMemError: neither a bank nor a film lies there, or it is damaged.
    """
    folder = output_folder(root, name)
    story = read_json(folder / STORY)
    if story is None:
        return bank_folder.load(folder)
    keys, stale = _shots(story, folder)
    return Story(str(folder), keys, stale=stale).memory().load()


def saved_version(root: str | Path, name: str) -> str:
    """What tells the memory that lies in a folder from one that lay there before.

    Raises:
        StoryMemError: as `saved_memory`, but only where the folder's name or record is wrong.
    """
    folder = output_folder(root, name)
    story = read_json(folder / STORY)
    return digest(read_json(folder / bank_folder.RECORD) if story is None else _shots(story, folder))


def _shots(story: Mapping[str, Any], folder: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Of each shot its key, and what of it is stale."""
    try:
        rows = [(row["key"], tuple(row.get("stale", ()))) for row in story["shots"]]
        keys, stale = zip(*rows, strict=True)
    except (LookupError, TypeError, ValueError) as error:
        raise StoryMemError(
            f"{STORY} in this folder lists no shots",
            value=str(folder),
            remedy="Run the story again, or choose a folder that a memory was saved to.",
        ) from error
    return keys, stale
