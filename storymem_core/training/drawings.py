"""Clips of the small world, drawn once into a file that training maps into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..disk import replacing
from ..small_world import clip, stories

FRESH = 1_000_000
"""Seeds of stories from here on are never trained on by the VAE: it is measured on them."""


def draw(first: int, count: int, size: int, length: int) -> np.ndarray:
    """All clips of `count` stories from seed `first` on: uint8 [clips, T, H, W, 3]."""
    told = [stories.sample(seed) for seed in range(first, first + count)]
    scenes = [(scene, story.cast) for story in told for scene in story.clips]
    return np.stack([clip.render(scene, cast, size=size, length=length).frames for scene, cast in scenes])


def drawings(path: Path, count: int, size: int, length: int) -> np.ndarray:
    """As `draw` gives them from seed 0 on, mapped from a file that is drawn if it is missing."""
    if not path.exists():
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, draw(0, count, size, length))
    return np.load(path, mmap_mode="r")
