"""The memory bank: an immutable value, and one pure function that moves it on.

m_i = f(m_{i-1}, v_i) (StoryMem, arXiv 2512.19539; exact rules as in the release): a keyframe too
similar to ANY frame that the bank holds is left out, the rest are added, and the bank keeps its first `sink`
frames for ever (the sink) beside the newest others (the sliding window). Beyond the release, a person may
pin frames, which then stay like the sink, and drop frames: they are set aside, and no shot sees them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import StoryMemError
from .frame import CROP, MemoryFrame, whole
from .frame import Origin as Origin

SINK, CAPACITY = 3, 10  # the release's run script
MARKS = ("memory pins", "memory set aside", "memory names", "memory fit")
_NAMELESS = re.compile(r"reference \d+")


@dataclass(frozen=True)
class MemoryBank:
    """What a story remembers. frames: oldest first, the sink in front.  embedder: the name of the embedder of
    all its embeddings, "" while unknown.  aside: frames that were dropped and may be restored; no shot sees
    them.  1 <= capacity, 0 <= sink <= capacity, len(frames) <= capacity, and pinned frames leave room for new
    ones."""

    frames: tuple[MemoryFrame, ...] = ()
    sink: int = SINK
    capacity: int = CAPACITY
    embedder: str = ""
    aside: tuple[MemoryFrame, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(self.frames))
        object.__setattr__(self, "aside", tuple(self.aside))
        if not whole(self.capacity) or self.capacity < 1:
            raise StoryMemError(
                "capacity must be a whole number, 1 or more", value=self.capacity, remedy="StoryMem uses 10."
            )
        if not whole(self.sink) or not 0 <= self.sink <= self.capacity:
            raise StoryMemError(
                f"sink must be a whole number from 0 to the capacity of {self.capacity}",
                value=self.sink,
                remedy="StoryMem uses 3.",
            )
        if len(self.frames) > self.capacity:
            raise StoryMemError(
                f"a bank of capacity {self.capacity} cannot hold this many frames",
                value=len(self.frames),
                remedy="Use fewer frames or a larger capacity (the LoRA was trained with at most 10).",
            )
        pinned = sum(frame.pinned for frame in self.frames[self.sink :])
        if pinned and self.sink + pinned >= self.capacity:
            raise StoryMemError(
                f"a sink of {self.sink} and {pinned} pinned frames leave no room for new ones in a bank of "
                f"capacity {self.capacity}",
                value=[f"{f.origin.shot}:{f.origin.frame}" for f in self.frames[self.sink :] if f.pinned],
                remedy="Unpin one, or make the capacity larger or the sink smaller.",
            )
        _same_embedder((*self.frames, *self.aside), self.embedder)

    def embedded_by(self, name: str) -> MemoryBank:
        """This bank, once it is known that `name` made (or will make) its embeddings."""
        if self.embedder not in ("", name):
            raise StoryMemError(
                f"this bank's embeddings were made by {self.embedder} and cannot be compared with others",
                value=name,
                remedy=f"Use {self.embedder} for the whole story, or start a new bank.",
            )
        return replace(self, embedder=name)


def marks(bank: MemoryBank) -> dict[str, Any]:
    """What a bank holds beside its pictures, sink and capacity, by the names under which people are told.

    A shot's key is made of it too: the memory after a shot keeps pins, names and what was set aside. What a
    bank has not is left out, so that shots which were stored before it could be had are found again.
    """
    everything = (*bank.frames, *bank.aside)
    found: tuple[list[Any], ...] = (
        [frame.sha256 for frame in bank.frames if frame.pinned],
        [frame.sha256 for frame in bank.aside],
        [
            frame.origin.shot
            for frame in everything
            if frame.origin.source == "reference" and not _NAMELESS.fullmatch(frame.origin.shot)
        ],
        [(frame.sha256, frame.fit) for frame in everything if frame.fit != CROP],
    )
    return {name: value for name, value in zip(MARKS, found, strict=True) if value}


MEMORY = ("memory", "memory sink", "memory capacity", *MARKS)
"""The names of `account`."""


def account(bank: MemoryBank) -> dict[str, Any]:
    """All of a bank that makes a shot which sees it, by the names under which people are told of a change."""
    frames = [frame.sha256 for frame in bank.frames]
    return {"memory": frames, "memory sink": bank.sink, "memory capacity": bank.capacity, **marks(bank)}


class RejectedFrame(NamedTuple):
    frame: MemoryFrame
    reason: str
    similarity: float | None  # cosine to the nearest frame of the bank; None where the bank was empty


class Update(NamedTuple):
    bank: MemoryBank
    kept: tuple[MemoryFrame, ...]  # the new frames that the bank now holds
    rejected: tuple[RejectedFrame, ...]


def update(
    bank: MemoryBank, frames: Sequence[MemoryFrame], threshold: float, wanted: Collection[int] = ()
) -> Update:
    """The bank after a shot: m_i = f(m_{i-1}, v_i). Of the window the oldest leave that are not pinned.

    Args:
        bank: the bank that the shot saw.
        frames: the shot's keyframes in order of time; they are not compared with each other.
        threshold: a frame with a cosine ABOVE it to any frame of `bank` is rejected: the embedder's own
            threshold, not the one that the keyframe scan came down to.
        wanted: indices of `frames` that a person chose: they are added however similar they are, and stay
            where others can leave.
    """
    _same_embedder((*bank.frames, *frames), bank.embedder)
    if not math.isfinite(threshold):
        raise StoryMemError(
            "threshold must be a number", value=threshold, remedy="Use the embedder's own threshold."
        )
    nearest = [likeness(frame, bank.frames) for frame in frames]
    fresh = [i for i, near in enumerate(nearest) if i in wanted or near is None or near <= threshold]
    everything = (*bank.frames, *(frames[i] for i in fresh))
    too_many = max(0, len(everything) - bank.capacity)
    window = [place for place in range(bank.sink, len(everything)) if not everything[place].pinned]
    chosen = {place for place, i in enumerate(fresh, len(bank.frames)) if i in wanted}
    leaving = sorted(window, key=lambda place: (place in chosen, place))[:too_many]
    kept = [i for place, i in enumerate(fresh, len(bank.frames)) if place not in leaving]
    return Update(
        replace(bank, frames=tuple(frame for place, frame in enumerate(everything) if place not in leaving)),
        tuple(frames[i] for i in kept),
        tuple(
            RejectedFrame(frame, "no room in the bank" if i in fresh else "similar to memory", nearest[i])
            for i, frame in enumerate(frames)
            if i not in kept
        ),
    )


def likeness(frame: MemoryFrame, others: Sequence[MemoryFrame]) -> float | None:
    """The cosine of a frame to that of the others which it is most like; None if there are none."""

    def unit(embedding: np.ndarray) -> np.ndarray:
        return embedding.astype(np.float64) / np.linalg.norm(embedding.astype(np.float64))

    cosines = [float(unit(frame.embedding) @ unit(other.embedding)) for other in others]
    return min(max(cosines), 1.0) if cosines else None  # rounding must not make a copy more than equal


def _same_embedder(frames: Sequence[MemoryFrame], name: str) -> None:
    sizes = sorted({len(frame.embedding) for frame in frames})
    if len(sizes) > 1:
        raise StoryMemError(
            "all embeddings of a bank must come from one embedder and have the same size",
            value=sizes,
            remedy=f"Use {name or 'one embedder'} for the whole story, or start a new bank.",
        )
