"""Named reference images (MR2V): what they are called, and which of them a shot needs (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat

from .errors import StoryMemError
from .memory import MemoryBank
from .memory_frame import MemoryFrame

REFERENCE = "reference"
"""What a frame's origin says of an image that was given by hand."""

_SEPARATORS = re.compile(r"[,\n]")


def names_of_images(text: str, counts: Sequence[int]) -> list[str]:
    """A name for each image, "" for one without.

    Args:
        text: names separated by commas or new lines, one per batch of images; "hero, , castle" leaves the
            second without a name. One name may be given to several batches.
        counts: images in each batch; all of a batch share its name.

    Raises:
        StoryMemError: more names than batches; a name that could be taken for a frame's number, or has a
            colon, which stands between a name and a number.
    """
    names = [name.strip() for name in _SEPARATORS.split(text)] if text.strip() else []
    if len(names) > len(counts):
        raise StoryMemError(
            f"there are {len(names)} names for {len(counts)} reference inputs",
            value=text,
            remedy="Give one name per connected input, in their order, with commas between.",
        )
    for name in names:
        if ":" in name or name.isdigit():
            raise StoryMemError(
                "a reference's name must have a letter and no colon",
                value=name,
                remedy="Call it hero or castle, for example.",
            )
    names += [""] * (len(counts) - len(names))
    return list(chain.from_iterable(map(repeat, names, counts)))


def reference_names(bank: MemoryBank) -> tuple[str, ...]:
    """The names of a bank's reference images, each once, oldest first."""
    named = (frame.origin.shot for frame in bank.frames if frame.origin.source == REFERENCE)
    return tuple(dict.fromkeys(named))


def picked(bank: MemoryBank, names: Sequence[str] | None) -> tuple[MemoryFrame, ...]:
    """The frames of a bank that a shot sees which names the references that it needs.

    A shot that does not need a reference sees all else: the story's own keyframes, and the other references.
    The bank itself stays whole, so a later shot may need what this one did not.

    Args:
        names: of references, capitals do not count; () for none of them, None for a shot that does not say:
            it sees everything.

    Returns:
        Oldest first.

    Raises:
        StoryMemError: the bank has no reference of such a name.
    """
    if names is None:
        return bank.frames
    there = reference_names(bank)
    known = {name.casefold() for name in there}
    wanted = {name.strip().casefold(): name for name in names}
    for name, given in wanted.items():
        if name not in known:
            raise StoryMemError(
                "the memory has no reference of this name",
                value=given,
                remedy=f"It has: {', '.join(there) or 'none'}. Name the images at the Memory Bank.",
            )
    return tuple(
        frame
        for frame in bank.frames
        if frame.origin.source != REFERENCE or frame.origin.shot.casefold() in wanted
    )
