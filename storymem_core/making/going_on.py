"""A script that goes on with a story that is there already: with a given clip, or with an earlier film."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StoryMemError
from ..store.project import Project, Story
from ..store.stored_shot import StoredShot


def last_shot(
    story: Story | None, *, memory: object, start_frames: object, draft: bool = False
) -> StoredShot | None:
    """The shot that a script's first one comes after; None without a story, or where it has none yet.

    Raises:
        StoryMemError: the script's draft is asked for, which has a size and folder of its own; a memory or
            start frames are given too, which the story has of its own; that shot is no longer stored.
    """
    if story is None:
        return None
    if draft:
        raise StoryMemError(
            "a draft has half the size and its own folder, so it cannot continue a story",
            value="draft on",
            remedy="Switch draft off, or disconnect story.",
        )
    if not story.keys:
        return None
    for name, given in (("memory", memory), ("start_frames", start_frames)):
        if given is not None:
            raise StoryMemError(
                f"a continued story already has its memory and its last frames, and takes no {name}",
                value=f"story and {name}",
                remedy="Connect only one of the two; edit a story's memory with `memory_edits`.",
            )
    return Project.there(story.folder).stored(story.keys[-1])


def asked(story: Story | None) -> tuple[Mapping[str, Any], ...]:
    """The shots that a story has, as its outline keeps those that were given and not asked for.

    Raises:
        StoryMemError: as `earlier`.
    """
    return tuple({"shot_id": shot.id, "prompt": shot.row.get("prompt", "")} for shot in earlier(story))


def earlier(story: Story | None) -> tuple[StoredShot, ...]:
    """The shots that a story has, by their records alone: to check their frames too would cost every step of
    a story a look at all of it.

    Raises:
        StoryMemError: one of them is no longer stored, or its record is damaged.
    """
    return () if story is None else Project.there(story.folder).glanced(story.keys)


def check_ids(before: tuple[Mapping[str, Any], ...], ids: list[str]) -> None:
    """Refuse shots of which one has the id of a shot before them: locks and takes are kept by it.

    Raises:
        StoryMemError: it names the id.
    """
    both = [id for id in ids if id in {told["shot_id"] for told in before}]
    if both:
        raise StoryMemError(
            "an earlier shot of this story has the same id",
            value=both[0],
            remedy="Give it another id: `id` in a script, `shot_id` in Story Shot.",
        )


def check_size_of(before: StoredShot, width: int, height: int) -> None:
    """Refuse a shot of another size than the one before it.

    Raises:
        StoryMemError: names both.
    """
    if before.size != (width, height):
        raise StoryMemError(
            f"a shot must have the same size as the shots before it, {before.size[0]}x{before.size[1]}",
            value=f"{width}x{height}",
            remedy="Make all shots of a story at the same size, or start another story.",
        )
