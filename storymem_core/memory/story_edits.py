"""Edits of the memory that hold for a whole story: whatever shot comes next sees the memory with them.

They are the edits of `edits`, but name frames by their shot (2:57 is frame 57 of shot 2, as on the
contact sheet) or reference; a number on the memory's picture would mean another frame at each shot. An edit
is passed over while its frame does not exist yet and once the window has let it go: shots before it stay as
they are.

`add 2:40` belongs to shot 2 itself: when its keyframes are selected, frame 40 is one of them in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from ..errors import StoryMemError
from .bank import MemoryBank
from .edits import ADD, Edit, edited, means, parse

_NUMBERED = re.compile(r"(?:shot[- ]?)?(\d+)(:\d+)?", re.IGNORECASE)
_EXACT = "@"
"""Stands before an id that looks like a number: a step of the story, which does not know later shots yet,
would else take it for the number of another shot."""
_NOT_DONE = (
    " An add must stand where its shot is made: in that Story Shot, or in the loop that makes it. "
    "A locked shot keeps its keyframes; Given Clip selects its own."
)
"""Why an `add` was not done."""


def for_story(text: str, shots: Sequence[str], bank: MemoryBank) -> str:
    """The edits of a story with the ids of its shots in place of their numbers.

    Args:
        text: as a person wrote it.
        shots: the ids of all shots, in order.
        bank: the memory before the first shot.

    Returns:
        The same edits as text, for `seen_by_next`.

    Raises:
        StoryMemError: a line that is no edit; a shot or reference that the story does not have; an `add` of
            anything but a frame of a shot.
    """
    edits = [_by_id(edit, shots) for edit in parse(text)]
    for named in _adds(edits):
        if named.shot not in shots:
            raise StoryMemError(
                "a memory edit adds a frame of a shot that this story does not have",
                value=str(named),
                remedy=f"It has {len(shots)} shots; add 2:40 adds frame 40 of shot 2.",
            )
    for reference in chain.from_iterable(edit.frames for edit in edits):
        shot = reference.rpartition(":")[0] or reference
        if {shot, reference} & set(shots) or any(means(reference, f) for f in (*bank.frames, *bank.aside)):
            continue
        raise StoryMemError(
            "a memory edit names a shot or reference that this story does not have",
            value=reference,
            remedy=f"It has {len(shots)} shots; 2:57 is frame 57 of shot 2. "
            "References have the names set in Memory Bank.",
        )
    return exact(text, shots)


def exact(text: str, shots: Sequence[str]) -> str:
    """The edits with ids in place of numbers, for `seen_by_next` where no shots are known.

    Args:
        shots: the ids of the shots by whose places they are numbered.
    """
    edits = [_by_id(edit, shots) for edit in parse(text)]
    return "\n".join(str(_each(edit, lambda reference: _exact(reference, shots))) for edit in edits)


def added(text: str, shots: Sequence[str], shot: str) -> tuple[int, ...]:
    """The numbers of those frames of a shot that a person adds to the memory, in the order of the edits.

    Args:
        text: the edits, of the whole story.
        shots: the ids of its shots up to this one, or all.

    Raises:
        StoryMemError: an `add` of anything but a frame of a shot.
    """
    adds = _adds([_by_id(edit, shots) for edit in parse(text)])
    return tuple(dict.fromkeys(one.frame for one in adds if one.shot == shot))


def check_added(shot: str, numbers: Collection[int], frames: range, bank: MemoryBank) -> None:
    """Refuse added frames that cannot be in the memory after the shot, before it is made.

    Args:
        shot: its id.
        numbers: see `added`.
        frames: the numbers of the shot's own frames: those before them repeat the shot before.
        bank: the memory before the shot, or before the story.

    Raises:
        StoryMemError: the shot will not have such a frame; the memory has no room for so many.
    """
    for number in numbers:
        if number not in frames:
            raise StoryMemError(
                f"a memory edit adds a frame that shot {shot!r} does not have",
                value=str(_Add(shot, number)),
                remedy=f"Its own frames are {frames.start} to {frames.stop - 1}.",
            )
    room = bank.capacity - bank.sink - sum(frame.pinned for frame in bank.frames[bank.sink :])
    if len(numbers) > room:
        raise StoryMemError(
            f"memory edits add more frames of shot {shot!r} than the window of the memory holds",
            value=len(numbers),
            remedy=f"Add at most {room}, or make the capacity larger.",
        )


def seen_by_next(bank: MemoryBank, text: str, given: Mapping[str, Collection[int]]) -> MemoryBank:
    """The memory that the next shot of a story sees.

    Args:
        bank: the memory after the shot before.
        text: the edits, of the whole story.
        given: what each shot so far gave to the memory, in order: its id -> numbers of its frames.

    Raises:
        StoryMemError: an edit names a frame that a shot did not give; what the edits themselves refuse.
    """
    edits = [_by_id(edit, tuple(given)) for edit in parse(text)]
    for action, reference in ((edit.action, reference) for edit in edits for reference in edit.frames):
        shot, _, number = reference.rpartition(":")
        frames = given.get(shot, ())
        if shot in given and number.isdecimal() and int(number) not in frames:
            raise StoryMemError(
                f"shot {shot!r} added no frame {number} to the memory",
                value=reference,
                remedy=f"It added: {', '.join(map(str, frames)) or 'none'}. Correct this edit, or delete it."
                + (_NOT_DONE if action == ADD else ""),
            )
    return edited(bank, edits, standing=True)


class _Add(NamedTuple):
    shot: str
    frame: int

    def __str__(self) -> str:
        return f"{ADD} {self.shot}:{self.frame}"


def _adds(edits: Sequence[Edit]) -> list[_Add]:
    return [_add(reference) for edit in edits if edit.action == ADD for reference in edit.frames]


def _add(reference: str) -> _Add:
    shot, _, number = reference.rpartition(":")
    if not shot or not number.isdecimal():
        raise StoryMemError(
            "only a frame of a shot can be added to the memory",
            value=f"{ADD} {reference}",
            remedy="Name shot and frame, such as add 2:40 for frame 40 of shot 2.",
        )
    return _Add(shot, int(number))


def _by_id(edit: Edit, shots: Sequence[str]) -> Edit:
    return _each(edit, lambda reference: _shot_by_id(reference, shots))


def _each(edit: Edit, change: Callable[[str], str]) -> Edit:
    return replace(edit, frames=tuple(map(change, edit.frames)))


def _is_id(reference: str, shots: Sequence[str]) -> bool:
    """Whether it names a shot, or a frame of one, by the shot's id."""
    return reference in shots or reference.rpartition(":")[0] in shots


def _exact(reference: str, shots: Sequence[str]) -> str:
    return _EXACT + reference if _NUMBERED.fullmatch(reference) and _is_id(reference, shots) else reference


def _shot_by_id(reference: str, shots: Sequence[str]) -> str:
    exact = reference.removeprefix(_EXACT)
    if exact != reference and _NUMBERED.fullmatch(exact):
        return exact
    if reference.isdecimal() and reference not in shots:
        raise StoryMemError(
            "a number alone would mean a different frame for each shot of a story",
            value=reference,
            remedy=f"Write {reference}:0 for frame 0 of shot {reference}, or shot-{reference} for all of it.",
        )
    match = _NUMBERED.fullmatch(reference)
    if _is_id(reference, shots) or not match or not 1 <= int(match[1]) <= len(shots):
        return reference
    return shots[int(match[1]) - 1] + (match[2] or "")
