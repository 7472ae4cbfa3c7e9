"""The bank through any sequence of shots, edits, saves and changes, beside plain lists that do the same."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storymem_core.errors import StoryMemError
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin, update
from storymem_core.memory.bank_folder import load, save
from storymem_core.memory.edits import edited, parse

THRESHOLD = 0.9
EMBEDDER = "toy"
DIRECTIONS = 32


class Held(NamedTuple):
    """A frame of the plain list."""

    number: int
    view: int
    shot: str
    pinned: bool = False

    def frame(self) -> MemoryFrame:
        """Its cosine to every other is 1 if they share the view, else 0."""
        embedding = np.zeros(DIRECTIONS, np.float32)
        embedding[self.view] = 1
        pixels = np.frombuffer(self.number.to_bytes(12, "big"), np.uint8).reshape(2, 2, 3)
        return MemoryFrame(pixels, embedding, None, None, Origin("shot", self.shot, self.number), self.pinned)


places = st.lists(st.integers(0, 14), min_size=1, max_size=3, unique=True)


class Bank(RuleBasedStateMachine):
    """self.frames, self.aside: what must be in the bank, and set aside, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = MemoryBank(embedder=EMBEDDER)
        self.frames: list[Held] = []
        self.aside: list[Held] = []
        self.made, self.shots = 0, 0
        self.folder = Path(tempfile.mkdtemp())

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(views=st.lists(st.integers(0, 20), max_size=4))
    def shot(self, views: list[int]) -> None:
        """A shot's keyframes; those alike to a frame of the bank stay out, the oldest of the window leave."""
        self.shots += 1
        told = [Held(self.made + place, view, f"shot-{self.shots}") for place, view in enumerate(views)]
        self.made += len(told)
        before, held = self.bank, self.bank.frames
        after = update(self.bank, [one.frame() for one in told], THRESHOLD)
        known = {one.view for one in self.frames}
        fresh = [one for one in told if one.view not in known]
        self.frames += fresh
        while len(self.frames) > self.bank.capacity:
            self.frames.remove(next(one for one in self.frames[self.bank.sink :] if not one.pinned))
        assert (before.frames, self.bank) == (held, before)  # a value: nobody's bank has changed
        assert [kept.origin.frame for kept in after.kept] == [o.number for o in fresh if o in self.frames]
        assert len(after.kept) + len(after.rejected) == len(told)
        self.bank = after.bank

    @rule(places=places, pinned=st.booleans())
    def pin(self, places: list[int], pinned: bool) -> None:
        named = [one for place, one in enumerate(self.frames) if place in places]
        frames = [one._replace(pinned=pinned) if one in named else one for one in self.frames]
        self._edit("pin" if pinned else "unpin", places, named, frames, self.aside)

    @rule(places=places)
    def drop(self, places: list[int]) -> None:
        named = [one for place, one in enumerate(self.frames) if place in places]
        frames = [one for one in self.frames if one not in named]
        aside = [*self.aside, *(one._replace(pinned=False) for one in named)]
        self._edit("drop", places, named, frames, aside)

    @rule(places=places)
    def restore(self, places: list[int]) -> None:
        named = [one for place, one in enumerate(self.aside, len(self.frames)) if place in places]
        aside = [one for one in self.aside if one not in named]
        self._edit("restore", places, named, [*self.frames, *named], aside)

    @rule(places=places, to=st.integers(0, 14))
    def move(self, places: list[int], to: int) -> None:
        named = [self.frames[place] for place in places if place < len(self.frames)]
        others = [one for one in self.frames if one not in named]
        there = 1 <= to <= len(others) + 1
        frames = [*others[: to - 1], *named, *others[to - 1 :]] if there else self.frames
        self._edit("move", places, named if there else [], frames, self.aside, f" to {to}")

    @rule(most=st.integers(0, 3))
    def cap(self, most: int) -> None:
        count = Counter(one.shot for one in self.frames if one.pinned)
        frames = []
        for one in self.frames:
            if one.pinned or count[one.shot] < most:
                frames.append(one)
                count[one.shot] += not one.pinned
        self._try(lambda: edited(self.bank, parse(f"cap {most}")), most >= 1, frames, self.aside)

    @rule(sink=st.integers(-1, 6), capacity=st.integers(0, 12))
    def changed(self, sink: int, capacity: int) -> None:
        """Another size: refused where it cannot hold what is there, never cut in silence."""
        possible = capacity >= 1 and 0 <= sink <= capacity
        self._try(
            lambda: replace(self.bank, sink=sink, capacity=capacity),
            possible and fits(self.frames, sink, capacity),
            self.frames,
            self.aside,
        )

    @rule()
    def saved(self) -> None:
        """Through a folder, over the bank that was saved there before."""
        save(self.bank, self.folder / "bank")
        again = load(self.folder / "bank")
        assert again == self.bank
        self.bank = again

    @rule()
    def another_embedder(self) -> None:
        self._try(lambda: self.bank.embedded_by("another"), False, self.frames, self.aside)

    @invariant()
    def holds_what_it_should(self) -> None:
        assert self.bank.frames == tuple(one.frame() for one in self.frames)
        assert self.bank.aside == tuple(one.frame() for one in self.aside)
        assert len(self.bank.frames) <= self.bank.capacity

    def _edit(self, action, places, named, frames, aside, more="") -> None:
        """An edit as a person writes it; refused whole if one of its frames is not there."""
        numbers = ", ".join(str(place + 1) for place in places)
        possible = len(named) == len(places) and fits(frames, self.bank.sink, self.bank.capacity)
        self._try(lambda: edited(self.bank, parse(f"{action} {numbers}{more}")), possible, frames, aside)

    def _try(self, change, possible, frames, aside) -> None:
        try:
            self.bank = change()
        except StoryMemError as error:
            assert not possible, error
        else:
            assert possible
            self.frames, self.aside = [*frames], [*aside]


def fits(frames: list[Held], sink: int, capacity: int) -> bool:
    """Whether a bank can hold these, with room for new ones beside its sink and its pinned frames."""
    pinned = sum(one.pinned for one in frames[max(sink, 0) :])
    return len(frames) <= capacity and not (pinned and sink + pinned >= capacity)


TestBank = Bank.TestCase
TestBank.settings = settings(deadline=None, stateful_step_count=15)
