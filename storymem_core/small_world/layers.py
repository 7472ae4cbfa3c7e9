"""A character taken apart: how much of each of its colours a pixel holds, for any looks of one shape.

Painting is linear in the colours (`characters`): a pixel is the sum of shares of the four colours, of what never
changes (eyes, blush, shade), and of what lies behind. One drawing gives all shares, whatever the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import characters
from .actions import Pose
from .canvas import Canvas, Number, Shape
from .looks import Colour, Looks
from .owners import Kind

PARTS = ("body", "pattern_colour", "hat_colour", "limbs")
"""The fields of Looks that are colours, in the order of all arrays here."""

_RED, _GREEN, _BLUE, _NONE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layers:
    """A character in T frames.

    Attributes:
        shares: float32 [T, H, W, 4], of each of PARTS.
        rest: float32 [T, H, W, 3], the sum of what has a colour of its own.
        behind: float32 [T, H, W], how much of the ground shows.
    """

    shares: np.ndarray
    rest: np.ndarray
    behind: np.ndarray

    def over(self, background: np.ndarray, colours: np.ndarray, light: np.ndarray) -> np.ndarray:
        """The picture [T, H, W, 3] of colours [4, 3] under a light [3], before a background [T, H, W, 3]."""
        return light * (self.shares @ colours + self.rest) + self.behind[..., None] * background

    def __getitem__(self, frames: slice) -> Layers:
        return Layers(self.shares[frames], self.rest[frames], self.behind[frames])


def layers(canvas: Canvas, looks: Looks, pose: Pose, kind: Kind = "hero") -> Layers:
    """The shares of a character that would be drawn on this canvas; the canvas stays as it is.

    Args:
        looks: its build, hat, pattern and face; its colours do not matter.
    """
    coverages = _Coverages.on(canvas)
    characters.draw(coverages, looks, pose, kind)
    plain, three, fourth = (
        _colours(canvas, looks, pose, kind, chosen)
        for chosen in ((_NONE,) * 4, (_RED, _GREEN, _BLUE, _NONE), (_NONE, _NONE, _NONE, _RED))
    )
    shape = canvas.owner.shape
    shares, rest = np.zeros((*shape, 4), np.float32), np.zeros((*shape, 3), np.float32)
    behind = np.ones(shape, np.float32)
    # From the front to the back: what a layer adds, then how much it leaves to be seen of those behind.
    for coverage, own, of_three, of_fourth in zip(
        coverages.laid[::-1], plain[::-1], three[::-1], fourth[::-1], strict=True
    ):
        seen = behind * coverage
        behind = behind - seen
        for part, share in enumerate((*np.moveaxis(of_three - own, -1, 0), (of_fourth - own)[..., 0])):
            if np.any(share):
                shares[..., part] += seen * share
        if np.any(own):
            rest += seen[..., None] * own
    return Layers(shares, rest, behind)


class _Coverages(Canvas):
    """Keeps how much of each pixel every shape covers, [T, H, W], instead of painting it."""

    laid: list[np.ndarray]

    @classmethod
    def on(cls, canvas: Canvas) -> _Coverages:
        made = cls(
            canvas.x,
            canvas.y,
            canvas.pixel,
            np.zeros((*canvas.owner.shape, 1), np.float32),
            canvas.owner.copy(),
        )
        made.laid = []
        return made

    def paint(
        self, shape: Shape, colour: np.ndarray, owner: int, alpha: Number = 1.0, soft: float = 0.0
    ) -> None:
        self.rgb.fill(0)
        super().paint(shape, np.ones(1), owner, alpha, soft)
        self.laid.append(self.rgb[..., 0].copy())


class _Colours(Canvas):
    """Keeps the colour of every shape."""

    laid: list[np.ndarray]

    def paint(
        self, shape: Shape, colour: np.ndarray, owner: int, alpha: Number = 1.0, soft: float = 0.0
    ) -> None:
        self.laid.append(np.asarray(colour, np.float32))


def _colours(
    canvas: Canvas, looks: Looks, pose: Pose, kind: Kind, colours: Sequence[Colour]
) -> list[np.ndarray]:
    recorder = _Colours(canvas.x, canvas.y, canvas.pixel, canvas.rgb, canvas.owner)
    recorder.laid = []
    characters.draw(recorder, replace(looks, **dict(zip(PARTS, colours, strict=True))), pose, kind)
    return recorder.laid
