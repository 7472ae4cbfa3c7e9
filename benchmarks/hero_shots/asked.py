"""A shot to be made, the memory that it may see, and who must be seen in it (no torch, no host).

Everything follows from a story's number, so that all rows of a benchmark ask for the same shots. The memory's
pictures are drawn, not made: they show the hero in other places, as keyframes of earlier shots would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storymem_core.small_world import clip, grammar
from storymem_core.small_world import scene as scenes
from storymem_core.small_world.looks import Cast, random_cast
from storymem_core.small_world.places import FIXED_PLACES
from storymem_core.small_world.scene import Scene
from storymem_core.training.recipes import TINY

LENGTH = 17
MOST = 10
"""Memory pictures that a story can give: as many as the bank holds."""
_SALT = 0xBE2C
"""Keeps these stories apart from those that were trained on."""


@dataclass(frozen=True)
class Asked:
    """One shot to be made.

    Attributes:
        cast: whose hero is asked for.
        other: a cast whose hero has nothing to do with it.
        scene: the shot, in one of the eight places; prompt says it.
        seen: the scenes that the memory's pictures come from, in other places.
    """

    number: int
    cast: Cast
    other: Cast
    scene: Scene
    prompt: str
    seen: tuple[Scene, ...]

    def truth(self, size: int) -> np.ndarray:
        """The shot as the world draws it, uint8 [LENGTH, size, size, 3]."""
        return clip.render(self.scene, self.cast, size=size, length=LENGTH).frames

    def memory(self, cast: Cast, count: int, size: int) -> list[np.ndarray]:
        """`count` pictures, uint8 [size, size, 3], of a cast's hero in the scenes that were seen."""
        return [clip.render(scene, cast, size=size, length=1).frames[0] for scene in self.seen[:count]]


def ask(number: int) -> Asked:
    """The shot of the story of this number, of what the shipped models know of the world."""
    rng = np.random.default_rng((_SALT, number))
    cast, other = random_cast(rng), random_cast(rng)
    alone = {"who": "hero", "newcomer": False, "spoil": "none"}
    place = str(rng.choice(FIXED_PLACES))
    shot = scenes.random(rng, TINY.scenes, place=place, **alone)
    elsewhere = rng.permutation([name for name in FIXED_PLACES if name != place])
    seen = tuple(
        scenes.random(rng, TINY.scenes, place=str(elsewhere[i % len(elsewhere)]), start=0.5, **alone)
        for i in range(MOST)
    )
    return Asked(number, cast, other, shot, grammar.prompt(shot, rng), seen)
