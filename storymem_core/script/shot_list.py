"""Which shots of a story a person means: numbers, ids and ranges in one line of text (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..errors import StoryMemError
from .script import Script

ALL = "all"
_LIMITS = re.compile(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?")


def picked(text: str, ids: Sequence[str]) -> tuple[int, ...]:
    """The places of the shots that a text names, from 0, in the story's order, each once.

    Args:
        text: "3", "2-4", an id, several of these with commas between, or "all". Numbers count from 1.
        ids: of the story's shots, in order.

    Raises:
        StoryMemError: the text is empty, names a shot that is not there, or could mean two.
    """
    parts = [part.strip() for part in text.split(",")]
    return tuple(sorted({place for part in parts for place in _places(part, ids)}))


def chosen(script: Script, text: str) -> Script:
    """The script with only the shots that a text names, as if the others were not in it; blank means all.

    Raises:
        StoryMemError: what `picked` raises; a shot goes on from one that is left out.
    """
    if not text.strip():
        return script
    places = picked(text, [shot.id for shot in script.shots])
    for place in places:
        shot = script.shots[place]
        if place and not shot.cut and place - 1 not in places:
            raise StoryMemError(
                f"shot {place + 1} ({shot.id}) continues from shot {place}, which is left out",
                value=text,
                remedy=f"Include shot {place} too, or start shot {place + 1} with a cut.",
            )
    return replace(script, shots=tuple(script.shots[place] for place in places))


def _places(part: str, ids: Sequence[str]) -> range | tuple[int, ...]:
    meant = _meant(part, len(ids))
    if part in ids:
        place = ids.index(part)
        if meant is not None and list(meant) != [place]:
            raise StoryMemError(
                f"this is the id of shot {place + 1}, but also means other shots",
                value=part,
                remedy=f"Write {place + 1} for that shot, or give it another id in the script.",
            )
        return (place,)
    if meant is None:
        raise StoryMemError(
            "the story has no such shot" if part else "no shot is given",
            value=part,
            remedy=f"Use numbers from 1 to {len(ids)}, ids, ranges such as 2-4, or all."
            if ids
            else "Run the story first: it has no shots yet.",
        )
    return meant


def _meant(part: str, count: int) -> range | None:
    """What a part means if it is no id; None where it names no shots, or some that are not there."""
    if part.lower() == ALL:
        return range(count)
    limits = _LIMITS.fullmatch(part)
    if limits is None:
        return None
    first, last = int(limits[1]), int(limits[2] or limits[1])
    return range(first - 1, last) if 1 <= first <= last <= count else None
