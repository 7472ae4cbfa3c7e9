"""The models that come with the pack: memory tells them who is seen, the text tells them where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.hero_shots import demo, made
from benchmarks.hero_shots.asked import LENGTH, Asked, ask
from storymem_core.making.shot import Settings
from storymem_core.models.weights import FOLDER
from storymem_core.small_world.measure import see

STORIES = range(6)
PICTURES = 3


class Shown(NamedTuple):
    """How far a shot's hero is from the asked one and from the other; whether place and time are right."""

    asked: float
    other: float
    place: bool


@pytest.fixture(scope="module")
def shown() -> dict[str, np.ndarray]:
    """What is seen without memory, with the hero's, and with another hero's: the mean of all stories, [3]."""
    widgets, size = demo.sampling(None)
    settings = Settings(width=size, height=size, spacing=5.0, **widgets)
    _, models = made.load(FOLDER)

    def shot(asked: Asked, memory: list[np.ndarray]) -> Shown:
        frames = made.inside(models, settings, asked.prompt, memory, seed=asked.number, length=LENGTH)
        seen = see(frames, asked.scene)
        right = (seen.place, seen.time) == (asked.scene.place, asked.scene.time)
        return Shown(seen.identity_error(asked.cast.hero), seen.identity_error(asked.other.hero), right)

    shots = [
        {
            "none": shot(asked, []),
            "own": shot(asked, asked.memory(asked.cast, PICTURES, size)),
            "swapped": shot(asked, asked.memory(asked.other, PICTURES, size)),
        }
        for asked in map(ask, STORIES)
    ]
    return {source: np.mean([row[source] for row in shots], axis=0) for source in shots[0]}


def test_memory_tells_who_is_seen(shown):
    none, own, swapped = (Shown(*shown[source]) for source in ("none", "own", "swapped"))
    assert own.asked < none.asked / 2
    assert swapped.asked > 0.8 * none.asked
    assert swapped.other < swapped.asked / 2


def test_the_text_tells_where(shown):
    assert all(row[Shown._fields.index("place")] >= 5 / 6 for row in shown.values())
