"""The bank through any sequence of shots, saves and changes, beside a plain list that does the same."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storymem_core.errors import StoryMemError
from storymem_core.memory import MemoryBank, MemoryFrame, Origin, load, save, update

THRESHOLD = 0.9
EMBEDDER = "toy"
DIRECTIONS = 128


def frame(number: int, view: int) -> MemoryFrame:
    """A frame whose cosine to every other is 1 if they share the view, else 0."""
    embedding = np.zeros(DIRECTIONS, np.float32)
    embedding[view % DIRECTIONS] = 1
    pixels = np.full((2, 2, 3), number % 256, np.uint8)
    return MemoryFrame(pixels, embedding, None, None, Origin("shot", f"shot {number}", number))


class Bank(RuleBasedStateMachine):
    """self.model: (number, view) of each frame that must be in the bank, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = MemoryBank(embedder=EMBEDDER)
        self.model: list[tuple[int, int]] = []
        self.made = 0
        self.folder = Path(tempfile.mkdtemp())

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(views=st.lists(st.integers(0, 20), max_size=4))
    def shot(self, views: list[int]) -> None:
        """A shot's keyframes; those alike to a frame of the bank must stay out."""
        told = [(self.made + place, view) for place, view in enumerate(views)]
        self.made += len(told)
        before, held = self.bank, self.bank.frames
        after = update(self.bank, [frame(*one) for one in told], THRESHOLD)
        fresh = [one for one in told if one[1] not in {view for _, view in self.model}]
        self.model += fresh
        while len(self.model) > self.bank.capacity:
            del self.model[self.bank.sink]
        assert (before.frames, self.bank) == (held, before)  # a value: nobody's bank has changed
        assert [kept.origin.frame for kept in after.kept] == [n for n, _ in fresh if (n, _) in self.model]
        assert len(after.kept) + len(after.rejected) == len(told)
        self.bank = after.bank

    @rule(sink=st.integers(-1, 6), capacity=st.integers(0, 12))
    def changed(self, sink: int, capacity: int) -> None:
        """Another size: refused where it cannot hold what is there, never cut in silence."""
        possible = capacity >= 1 and 0 <= sink <= capacity and len(self.model) <= capacity
        try:
            self.bank = replace(self.bank, sink=sink, capacity=capacity)
        except StoryMemError:
            assert not possible
        else:
            assert possible

    @rule()
    def saved(self) -> None:
        """Through a folder, over the bank that was saved there before."""
        save(self.bank, self.folder / "bank")
        again = load(self.folder / "bank")
        assert again == self.bank
        self.bank = again

    @rule()
    def another_embedder(self) -> None:
        try:
            self.bank.embedded_by("another")
        except StoryMemError:
            return
        raise AssertionError("two embedders in one bank")

    @invariant()
    def holds_what_it_should(self) -> None:
        assert [held.origin.frame for held in self.bank.frames] == [number for number, _ in self.model]
        assert len(self.bank.frames) <= self.bank.capacity


TestBank = Bank.TestCase
TestBank.settings = settings(deadline=None, stateful_step_count=12)
