"""What a person does to a memory: pin, unpin, drop, restore, move and cap, each a pure function of a bank.

Edits are also written as text, a line each, with commas between frames:

    pin hero, shot-3:42       these never leave the window by themselves
    unpin 5
    drop 7                    set aside: no shot sees it, but it can be restored
    restore 11                back into the window, as its newest
    move 5, 6 to 1            these stand first, in this order
    cap 2                     at most two frames of any shot; its later ones leave

In a whole story (story_edits.py) there is one more, which the bank itself cannot do, so here it is refused:

    add 2:40                  frame 40 of shot 2 enters the memory, though it was not selected

A frame is named by its number on the memory's picture (the frames that are set aside are counted on), by its
shot and its number there (shot-3:42), or, with all others of that name, by shot or reference alone (hero).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import StoryMemError
from .bank import MemoryBank
from .frame import MemoryFrame, Origin
from .references import REFERENCE

ADD, CAP = "add", "cap"
_FRAMES = re.compile(r"(pin|unpin|drop|restore|add)\s+([^,\s].*)", re.IGNORECASE)
_MOVE = re.compile(r"(move)\s+([^,\s].*?)\s+to\s+(\d+)", re.IGNORECASE)
_CAP = re.compile(r"(cap)\s+(\d+)", re.IGNORECASE)


class Name(NamedTuple):
    """What tells a frame from the others of its bank, whatever is done to it."""

    origin: Origin
    sha256: str


@dataclass(frozen=True)
class Edit:
    """One line. frames: as a person names them.  number: of "move ... to" and of "cap", else 0."""

    action: str
    frames: tuple[str, ...] = ()
    number: int = 0

    def __str__(self) -> str:
        named = ", ".join(self.frames)
        return {"move": f"move {named} to {self.number}", CAP: f"{CAP} {self.number}"}.get(
            self.action, f"{self.action} {named}"
        )


def name_of(frame: MemoryFrame) -> Name:
    return Name(frame.origin, frame.sha256)


def pin(bank: MemoryBank, names: Collection[Name]) -> MemoryBank:
    """These never leave the window by themselves.

    Raises:
        StoryMemError: sink and pinned frames together would leave no room for new ones.
    """
    return _pinned(bank, names, True)


def unpin(bank: MemoryBank, names: Collection[Name]) -> MemoryBank:
    """These slide through the window again."""
    return _pinned(bank, names, False)


def drop(bank: MemoryBank, names: Collection[Name]) -> MemoryBank:
    """These are set aside. Those behind them move up, so a window's frame may become one of the sink."""
    return replace(
        bank,
        frames=tuple(frame for frame in bank.frames if name_of(frame) not in names),
        aside=(*bank.aside, *(replace(f, pinned=False) for f in bank.frames if name_of(f) in names)),
    )


def restore(bank: MemoryBank, names: Collection[Name]) -> MemoryBank:
    """These come back from what was set aside, behind all others.

    Raises:
        StoryMemError: the bank has no room for them.
    """
    back = tuple(frame for frame in bank.aside if name_of(frame) in names)
    if len(bank.frames) + len(back) > bank.capacity:
        raise StoryMemError(
            f"{len(bank.frames)} frames in a memory of capacity {bank.capacity} leave no room to restore",
            value=len(back),
            remedy="Drop other frames first, or make the capacity larger.",
        )
    aside = tuple(frame for frame in bank.aside if name_of(frame) not in names)
    return replace(bank, frames=(*bank.frames, *back), aside=aside)


def move(bank: MemoryBank, names: Sequence[Name], to: int) -> MemoryBank:
    """These stand together in the order given, the first of them as frame number `to` (from 1).

    Raises:
        StoryMemError: the bank has no such number; pinned frames that leave the sink would leave no room.
    """
    ordered = sorted((f for f in bank.frames if name_of(f) in names), key=lambda f: names.index(name_of(f)))
    others = [frame for frame in bank.frames if name_of(frame) not in names]
    if not 1 <= to <= len(others) + 1:
        raise StoryMemError(
            "frames can only be moved to a number that exists in the memory",
            value=to,
            remedy=f"Use 1 to {len(others) + 1}.",
        )
    return replace(bank, frames=(*others[: to - 1], *ordered, *others[to - 1 :]))


def cap(bank: MemoryBank, most: int, added: Collection[Name] = ()) -> MemoryBank:
    """At most so many frames of any one shot, its first ones; references, pinned frames and those that a
    person has added are never taken.

    What leaves is not set aside: it is as if the window had let it go.

    Raises:
        StoryMemError: `most` is less than 1.
    """
    if most < 1:
        raise StoryMemError(
            "a cap must leave at least one frame per shot",
            value=most,
            remedy="Use 1 or more, or drop the frames.",
        )
    chosen = [frame.pinned or name_of(frame) in added for frame in bank.frames]
    count = Counter(frame.origin.shot for frame, stays in zip(bank.frames, chosen, strict=True) if stays)
    kept = []
    for frame, stays in zip(bank.frames, chosen, strict=True):
        free = not stays and frame.origin.source != REFERENCE
        if free and count[frame.origin.shot] >= most:
            continue
        count[frame.origin.shot] += free
        kept.append(frame)
    return replace(bank, frames=tuple(kept))


def parse(text: str) -> tuple[Edit, ...]:
    """Edits as a person writes them, in order; empty lines do not count.

    Raises:
        StoryMemError: a line that is none.
    """
    return tuple(_edit(line.strip()) for line in text.splitlines() if line.strip())


def edited(bank: MemoryBank, edits: Sequence[Edit], *, standing: bool = False) -> MemoryBank:
    """A bank after edits in their order; numbers are those of the bank as it came in.

    Args:
        standing: the edits hold for a whole story, so frames that are not there (yet, or any more) are passed
            over, and a number is the id of a shot. Otherwise they must be there.

    Raises:
        StoryMemError: a frame that is not there; an `add` of no story; what an edit itself refuses.
    """
    numbered = (*bank.frames, *bank.aside)
    references = [reference for edit in edits if edit.action == ADD for reference in edit.frames]
    added = [name_of(frame) for frame in bank.frames if spelt(frame) in references]
    for edit in edits:
        if edit.action == ADD:
            if not standing:
                raise StoryMemError(
                    "a memory holds none of its shots' other frames, so they cannot be added to it here",
                    value=str(edit),
                    remedy="Write this line into `memory_edits` of Story Loop or Story Shot.",
                )
            continue
        if edit.action == CAP:
            bank = cap(bank, edit.number, added)
        elif names := _found(bank, numbered, edit, standing):
            bank = _ACTIONS[edit.action](bank, names, edit.number)
    return bank


_ACTIONS: dict[str, Callable[[MemoryBank, Sequence[Name], int], MemoryBank]] = {
    "pin": lambda bank, names, _: pin(bank, names),
    "unpin": lambda bank, names, _: unpin(bank, names),
    "drop": lambda bank, names, _: drop(bank, names),
    "restore": lambda bank, names, _: restore(bank, names),
    "move": move,
}


def spelt(frame: MemoryFrame) -> str:
    """A frame's own name, as edits spell it: "shot-3:42"."""
    return f"{frame.origin.shot}:{frame.origin.frame}"


def means(reference: str, frame: MemoryFrame) -> bool:
    """Whether a person who writes `reference` names this frame; capitals count in ids of shots alone."""
    if frame.origin.source == REFERENCE:
        return reference.casefold() in (frame.origin.shot.casefold(), spelt(frame).casefold())
    return reference in (frame.origin.shot, spelt(frame))


def _pinned(bank: MemoryBank, names: Collection[Name], pinned: bool) -> MemoryBank:
    return replace(
        bank, frames=tuple(replace(f, pinned=pinned) if name_of(f) in names else f for f in bank.frames)
    )


def _edit(line: str) -> Edit:
    if match := _FRAMES.fullmatch(line):
        action, frames, number = match[1], match[2], 0
    elif match := _MOVE.fullmatch(line):
        action, frames, number = match[1], match[2], int(match[3])
    elif match := _CAP.fullmatch(line):
        action, frames, number = match[1], "", int(match[2])
    else:
        raise StoryMemError(
            "this line is not a memory edit",
            value=line,
            remedy="Write pin, unpin, drop or restore and frames separated by commas (pin hero, shot-3:42), "
            "move 5 to 1, or cap 2; in a story also add 2:40; one edit per line.",
        )
    return Edit(action.lower(), tuple(name.strip() for name in frames.split(",") if name.strip()), number)


def _found(bank: MemoryBank, numbered: Sequence[MemoryFrame], edit: Edit, standing: bool) -> tuple[Name, ...]:
    """The frames that an edit names, in the order in which it names them, each once."""
    pool = bank.aside if edit.action == "restore" else bank.frames
    there = [name_of(frame) for frame in pool]
    found: dict[Name, None] = {}
    for reference in edit.frames:
        if reference.isdecimal() and not standing:
            place = int(reference) - 1
            named = [name_of(frame) for frame in numbered[place : place + 1]] if place >= 0 else []
        else:
            named = [name_of(frame) for frame in pool if means(reference, frame)]
        named = [name for name in named if name in there]
        if not named and not standing:
            raise StoryMemError(
                "no frame with this name or number is set aside"
                if edit.action == "restore"
                else "the memory has no frame with this name or number",
                value=f"{edit.action} {reference}",
                remedy=f"Available: {', '.join(map(spelt, pool)) or 'nothing'}.",
            )
        found |= dict.fromkeys(named)
    return tuple(found)
