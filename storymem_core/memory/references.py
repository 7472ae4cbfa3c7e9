"""Named reference images (MR2V): what they are called, and which of them a shot needs (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, repeat

from ..errors import StoryMemError, at_node
from ..script.cast import mentioned, references_needed
from ..script.script import Script, Shot
from .bank import MemoryBank
from .frame import MemoryFrame

REFERENCE = "reference"
"""What a frame's origin says of an image that was given by hand."""

ALL = "*"
"""What a node's widget says for all references."""

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
            remedy="Give one name per connected input, in order, separated by commas.",
        )
    for name in names:
        if name and (":" in name or not any(map(str.isalpha, name))):
            raise StoryMemError(
                "a reference's name must contain a letter and no colon",
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
                "the memory has no reference with this name",
                value=given,
                remedy=f"It has: {', '.join(there) or 'none'}. Name the images in Memory Bank.",
            )
    return tuple(
        frame
        for frame in bank.frames
        if frame.origin.source != REFERENCE or frame.origin.shot.casefold() in wanted
    )


def as_text(names: Sequence[str] | None) -> str:
    """The references that a shot sees, as a node's widget says it: "*" for all, "" for none."""
    return ALL if names is None else ", ".join(names)


def from_text(text: str) -> tuple[str, ...] | None:
    """The way back."""
    if text.strip() == ALL:
        return None
    return tuple(name.strip() for name in _SEPARATORS.split(text) if name.strip())


def seen_by(bank: MemoryBank, names: Sequence[str] | None) -> MemoryBank:
    """What a shot sees of a bank: the frames that `picked` gives; those of the sink stay the sink."""
    frames = picked(bank, names)
    left_out = sum(frame not in frames for frame in bank.frames[: bank.sink])
    return replace(bank, frames=frames, sink=bank.sink - left_out)


def of_shots(script: Script, bank: MemoryBank, new: Sequence[int]) -> list[tuple[str, ...] | None]:
    """The references that each shot of a script sees, by name; None where it sees all.

    A shot that names none of its own sees those of the cast that it mentions, and all that are nobody's.

    Args:
        bank: the memory before the first shot.
        new: most new frames that each shot gives to it.

    Raises:
        StoryMemError: a shot or the cast names a reference that the bank has not, or one that may have slid
            out of the memory when the shot is made.
    """
    for name, character in script.cast.items():
        with at_node(f"cast, {name!r}"):
            picked(bank, character.references)
    needed = []
    for number, shot in enumerate(script.shots):
        with at_node(f"shot {number + 1} ({shot.id})"):
            needed.append(_needed(script, shot, bank, sum(new[:number])))
    return needed


def _needed(script: Script, shot: Shot, bank: MemoryBank, added: int) -> tuple[str, ...] | None:
    """Which references a shot sees when `added` new frames may have come before it."""
    names = shot.references
    if names is not None or shot.as_written:
        picked(bank, names)
        _check_stay(bank, names or (), added)
        return names
    names = references_needed(shot.prompt, script.cast, reference_names(bank))
    if names is None:
        return None
    for who in mentioned(shot.prompt, script.cast):
        _check_stay(bank, script.cast[who].references, added)
    # One that is nobody's was not asked for by name: it is seen for as long as it surely stays.
    stay = _staying(bank, added)
    return tuple(name for name in names if name.casefold() in stay)


def _check_stay(bank: MemoryBank, names: Sequence[str], added: int) -> None:
    """Refuse references that `added` new frames could push out of the memory."""
    stay = _staying(bank, added)
    for name in names:
        if name.strip().casefold() not in stay:
            raise StoryMemError(
                "this reference may have slid out of the memory by the time the shot is made",
                value=name,
                remedy="Pin it, or make the sink or the capacity larger.",
            )


def _staying(bank: MemoryBank, added: int) -> set[str]:
    """What stays in the memory however many of `added` new frames it takes: names, without capitals."""
    leaving = max(0, len(bank.frames) + added - bank.capacity)
    window = [frame for frame in bank.frames[bank.sink :] if not frame.pinned]
    return {frame.origin.shot.casefold() for frame in bank.frames if frame not in window[:leaving]}
