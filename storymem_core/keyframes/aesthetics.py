"""Aesthetic filters: which frames are too poor to be remembered.

StoryMem (arXiv 2512.19539) scores frames by HPSv3 and keeps those of 3.0 or more. A threshold belongs to its
scorer, as do the ends of its scale; the default here needs no download and looks for technical faults only.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import StoryMemError
from ..frames.images import checked_frames

SMALLEST = 16
FLAT = 1e-9  # squared differences below this are rounding


class Scorer(Protocol):
    """threshold: a frame is good enough at this score or above.  scale: the worst and the best score."""

    name: str
    threshold: float
    scale: tuple[float, float]

    def __call__(self, frames: Tensor) -> Tensor:
        """float [N, H, W, 3] in 0..1, left unchanged -> float32 [N] on the CPU."""
        ...


class TechnicalQuality:
    """Sharpness x exposure x contrast x coherence, each in 0..1: one bad fault is enough to reject a frame.

    All look at the luma of the frame, shrunk to about 120 rows, so that the size of a frame hardly matters.

    Sharpness and coherence compare D(k), the mean squared difference of pixels k apart. Sharpness is
    1 - D(5) / 25 D(1): 0 for a gradient, 0.8 for hard edges, however few, and the least over four directions,
    so that motion smears count. Coherence falls where neighbours correlate less than 0.3: pure noise would
    pass for very sharp. Exposure falls with the share of pixels that are black or white, contrast with a
    standard deviation below 0.03.

    benchmarks/calibrate_filter.py tells what the threshold rejects on real photographs. What the score cannot
    tell apart: grain and detail, noise in large blobs and texture, a white page and a blown-out scene.
    """

    name = "technical-quality"
    threshold = 0.50  # benchmarks/results/calibrate_filter.json
    scale = (0.0, 1.0)

    def __call__(self, frames: Tensor) -> Tensor:
        if min(checked_frames(frames).shape[1:3]) < SMALLEST:
            raise StoryMemError(
                f"frames must be at least {SMALLEST} pixels wide and high",
                value=tuple(frames.shape),
                remedy="Use the frames themselves, not thumbnails.",
            )
        return torch.cat([self._score(frame[None].float()) for frame in frames]).cpu()

    def _score(self, frames: Tensor) -> Tensor:
        luma = frames @ frames.new_tensor([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
        small = _shrunk(luma)
        variance = small.var(dim=(1, 2), correction=0)
        neighbours = (_difference(small, 0, 1) + _difference(small, 1, 0)) / 2
        coherence = (1 - neighbours / (2 * variance.clamp(min=FLAT))) / 0.3
        contrast = variance.sqrt() / 0.03
        return _sharpness(small) * _exposure(luma) * contrast.clamp(0, 1) * coherence.clamp(0, 1)


NAMES = {TechnicalQuality.name: TechnicalQuality}
HIGHEST = max(scorer.scale[1] for scorer in NAMES.values())
"""The highest score that any of them gives."""


def get(name: str = TechnicalQuality.name) -> Scorer:
    """The scorer of this name (see NAMES)."""
    if name not in NAMES:
        raise StoryMemError("unknown aesthetic filter", value=name, remedy=f"Choose {', '.join(NAMES)}.")
    return NAMES[name]()


def _shrunk(luma: Tensor, rows: int = 120) -> Tensor:
    # By a whole number: any other mixes neighbours unevenly, and noise would seem coherent.
    return F.avg_pool2d(luma[:, None], max(1, round(min(luma.shape[1:]) / rows)))[:, 0]


def _sharpness(luma: Tensor, lag: int = 5) -> Tensor:
    def along(image: Tensor, down: int, right: int) -> Tensor:
        near = _difference(image, down, right).clamp(min=FLAT)
        return 1 - _difference(image, lag * down, lag * right) / (lag**2 * near)

    mirrored = luma.flip(2)
    directions = [along(luma, 0, 1), along(luma, 1, 0), along(luma, 1, 1), along(mirrored, 1, 1)]
    return torch.stack(directions).amin(0).clamp(0, 1)


def _difference(luma: Tensor, down: int, right: int) -> Tensor:
    """Mean squared difference of pixels so far apart: [N, H, W] -> [N]."""
    _, height, width = luma.shape
    apart = luma[:, down:, right:] - luma[:, : height - down, : width - right]
    return apart.square().mean(dim=(1, 2))


def _exposure(luma: Tensor) -> Tensor:
    clipped = ((luma > 0.98) | (luma < 0.02)).float().mean(dim=(1, 2))
    return 1 - clipped**4  # a dark night or a white sky costs little, a frame of nothing else all
