"""Clips of the small world, drawn once into a file that training maps into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..disk import replacing
from ..small_world import clip, stories
from ..small_world.looks import Cast
from ..small_world.owners import Owner
from ..small_world.parts import EVERYTHING, Among
from ..small_world.scene import Scene

FRESH = 1_000_000
"""Seeds of stories from here on are never trained on by the VAE: it is measured on them."""


def draw(first: int, count: int, size: int, length: int, among: Among = EVERYTHING) -> np.ndarray:
    """All clips of `count` stories from seed `first` on, none of them spoiled, of a part of the world.

    Returns:
        uint8 [clips, T, H, W, 4]: the colours, and whether the pixel is a character's (1) or not (0).
    """
    told = (stories.sample(seed, among) for seed in range(first, first + count))
    scenes = [(scene, story.cast) for story in told for scene in story.clips]
    return np.stack([_painted(replace(scene, spoil="none"), cast, size, length) for scene, cast in scenes])


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array mapped from a file, which is made if it is not there."""
    if not path.exists():
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, make())
    return np.load(path, mmap_mode="r")


def _painted(scene: Scene, cast: Cast, size: int, length: int) -> np.ndarray:
    drawn = clip.render(scene, cast, size=size, length=length)
    character = drawn.owners >= Owner.HERO_BODY
    return np.concatenate([drawn.frames, character[..., None].astype(np.uint8)], axis=-1)
