"""A character taken apart: how much of each of its colours a pixel holds, for any looks of one shape.

Painting is linear in the colours (`characters`): a pixel is the sum of shares of the four colours, of what
never changes (eyes, blush, shade), and of what lies behind. One drawing gives all shares, whatever the
colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

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


def layers(canvas: Canvas, looks: Looks, pose: Pose, kind: Kind = "hero") -> Layers:
    """The shares of a character that would be drawn on this canvas; the canvas stays as it is.

    Args:
        looks: its build, hat, pattern and face; its colours do not matter.
    """
    coverages = _Coverages(
        canvas.x, canvas.y, canvas.pixel, np.zeros((*canvas.owner.shape, 1), np.float32), canvas.owner.copy()
    )
    characters.draw(coverages, looks, pose, kind)
    mixtures = _mixtures(_coloured(looks, (_NONE,) * 4), kind)
    shape = canvas.owner.shape
    made = Layers(
        np.zeros((*shape, 4), np.float32), np.zeros((*shape, 3), np.float32), np.ones(shape, np.float32)
    )
    # From the front to the back: what a layer adds, then how much it leaves to be seen of those behind.
    for (rows, columns, coverage), (shares, own) in zip(coverages.laid[::-1], mixtures[::-1], strict=True):
        behind = made.behind[:, rows, columns]
        seen = behind * coverage
        behind -= seen
        for part in np.flatnonzero(shares):
            made.shares[:, rows, columns, part] += seen * shares[part]
        if own.any():
            made.rest[:, rows, columns] += seen[..., None] * own
    return made


@dataclass
class _Coverages(Canvas):
    """Keeps how much of the pixels every shape covers, instead of painting it: (rows, columns, [T, h, w])."""

    laid: list[tuple[slice, slice, np.ndarray]] = field(default_factory=list)

    def paint(
        self, shape: Shape, colour: np.ndarray, owner: int, alpha: Number = 1.0, soft: float = 0.0
    ) -> None:
        rows, columns = self._within(shape.box, soft)
        area = self.rgb[:, rows, columns]
        area.fill(0)
        super().paint(shape, np.ones(1), owner, alpha, soft)
        self.laid.append((rows, columns, area[..., 0].copy()))


@dataclass
class _Colours(Canvas):
    """Keeps the colour of every shape, instead of painting it: [3]."""

    laid: list[np.ndarray] = field(default_factory=list)

    def paint(
        self, shape: Shape, colour: np.ndarray, owner: int, alpha: Number = 1.0, soft: float = 0.0
    ) -> None:
        self.laid.append(np.broadcast_to(np.asarray(colour, np.float32), 3))


def _coloured(looks: Looks, colours: Sequence[Colour]) -> Looks:
    """The same looks with colours of PARTS."""
    body, pattern, hat, limbs = colours
    return replace(looks, body=body, pattern_colour=pattern, hat_colour=hat, limbs=limbs)


@lru_cache(maxsize=512)
def _mixtures(looks: Looks, kind: Kind) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each shape of a character is painted with, in any pose: shares of PARTS [4], and a rest [3]."""
    plain, three, fourth = (
        _painted(_coloured(looks, colours), kind)
        for colours in ((_NONE,) * 4, (_RED, _GREEN, _BLUE, _NONE), (_NONE, _NONE, _NONE, _RED))
    )
    return [
        (np.append(of_three - own, of_fourth[0] - own[0]), own)
        for own, of_three, of_fourth in zip(plain, three, fourth, strict=True)
    ]


def _painted(looks: Looks, kind: Kind) -> list[np.ndarray]:
    blank = Canvas.new(1)
    recorder = _Colours(blank.x, blank.y, blank.pixel, blank.rgb, blank.owner)
    characters.draw(recorder, looks, Pose(), kind)
    return recorder.laid
