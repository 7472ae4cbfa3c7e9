"""Frames to paint on, through a camera, and who owns each pixel.

Everything is drawn in world units: x runs to the right, y runs DOWN, and the square that a still medium shot
shows is [0, 1] x [0, 1]. A shape is a signed distance; its edge is softened over one pixel, so there is no
supersampling. All frames of a clip are painted at once: any number of a shape may be an array [T, 1, 1], one
value per frame. Painting is linear in the colours, which is what lets a fit recover them (`measure`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Number = float | np.ndarray
"""A float, or an array [T, 1, 1]: one value per frame."""

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Shape(NamedTuple):
    """A signed distance in world units, negative inside; `box` (left, top, right, bottom) holds the shape."""

    distance: Distance
    box: tuple[float, float, float, float]

    def __or__(self, other: Shape) -> Shape:
        """Both."""
        left, top, right, bottom = (
            pick(a, b) for pick, a, b in zip((min, min, max, max), self.box, other.box, strict=True)
        )
        return Shape(
            lambda x, y: np.minimum(self.distance(x, y), other.distance(x, y)), (left, top, right, bottom)
        )

    def __and__(self, other: Shape) -> Shape:
        """What both have in common."""
        return Shape(lambda x, y: np.maximum(self.distance(x, y), other.distance(x, y)), self.box)

    def __sub__(self, other: Shape) -> Shape:
        """This one without the other."""
        return Shape(lambda x, y: np.maximum(self.distance(x, y), -other.distance(x, y)), self.box)


def _box(xs: list[Number], ys: list[Number], margin: Number) -> tuple[float, float, float, float]:
    far = float(np.max(margin))
    left, right = min(np.min(x) for x in xs) - far, max(np.max(x) for x in xs) + far
    top, bottom = min(np.min(y) for y in ys) - far, max(np.max(y) for y in ys) + far
    return float(left), float(top), float(right), float(bottom)


def ellipse(cx: Number, cy: Number, rx: Number, ry: Number, angle: Number = 0.0) -> Shape:
    """An ellipse with half axes rx, ry, turned clockwise by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        dx, dy = x - cx, y - cy
        u, v = (dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry
        length = np.sqrt(u * u + v * v) + 1e-9
        # First order: the value over the length of its gradient. Exact for circles, right at every edge.
        slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2) + 1e-9
        return (length - 1) * length / slope

    return Shape(distance, _box([cx], [cy], np.maximum(rx, ry)))


def capsule(x0: Number, y0: Number, x1: Number, y1: Number, r0: Number, r1: Number | None = None) -> Shape:
    """A thick line with round ends of radius r0 and r1."""
    end = r0 if r1 is None else r1

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        ax, ay = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * ax + (y - y0) * ay) / (ax * ax + ay * ay + 1e-12), 0, 1)
        return np.hypot(x - x0 - along * ax, y - y0 - along * ay) - (r0 + (end - r0) * along)

    return Shape(distance, _box([x0, x1], [y0, y1], np.maximum(r0, end)))


def rectangle(
    cx: Number, cy: Number, rx: Number, ry: Number, round_: Number = 0.0, angle: Number = 0.0
) -> Shape:
    """A rectangle with half sides rx, ry and round corners, turned clockwise by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        dx, dy = x - cx, y - cy
        u = np.abs(dx * cos + dy * sin) - (rx - round_)
        v = np.abs(dy * cos - dx * sin) - (ry - round_)
        outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
        return outside + np.minimum(np.maximum(u, v), 0) - round_

    return Shape(distance, _box([cx], [cy], np.hypot(rx, ry)))


def polygon(*points: tuple[Number, Number]) -> Shape:
    """A closed polygon through the points; it may be concave."""

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        best: np.ndarray | None = None
        sign = np.ones(np.broadcast_shapes(x.shape, y.shape, *(np.shape(px) for px, _ in points)))
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            ex, ey = bx - ax, by - ay
            wx, wy = x - ax, y - ay
            along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-12), 0, 1)
            squared = (wx - along * ex) ** 2 + (wy - along * ey) ** 2
            best = squared if best is None else np.minimum(best, squared)
            rises = (ay > y) != (by > y)
            crosses = rises & ((wx * ey < wy * ex) ^ (ey < 0))
            sign = np.where(crosses, -sign, sign)
        assert best is not None
        return sign * np.sqrt(best)

    return Shape(distance, _box([p[0] for p in points], [p[1] for p in points], 0.0))


def below(height: Callable[[np.ndarray], np.ndarray], top: float = -9.0) -> Shape:
    """All that lies below the line y = height(x): hills, water, a floor; `top` is its highest place."""
    return Shape(lambda x, y: (height(x) - y) * 0.9, (-99.0, top, 99.0, 99.0))


@dataclass
class Canvas:
    """Frames [T, H, W] seen by a camera.

    Attributes:
        x, y: world units at each pixel's centre, [T, 1, W] and [T, H, 1].
        pixel: a pixel's side in world units, [T, 1, 1].
        rgb: float32 [T, H, W, 3] in 0..1.
        owner: uint8 [T, H, W], whose pixel each is (`owners`): the last to cover at least half of it.
    """

    x: np.ndarray
    y: np.ndarray
    pixel: np.ndarray
    rgb: np.ndarray
    owner: np.ndarray

    @classmethod
    def new(
        cls, size: int, *, left: Number = 0.0, top: Number = 0.0, side: Number = 1.0, frames: int = 1
    ) -> Canvas:
        """Black frames that see the square [left, left + side] x [top, top + side]."""
        shape = (frames, 1, 1)
        left, top, side = (np.broadcast_to(np.float32(value), shape) for value in (left, top, side))
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        return cls(
            x=left + side * centres.reshape(1, 1, size),
            y=top + side * centres.reshape(1, size, 1),
            pixel=side / size,
            rgb=np.zeros((frames, size, size, 3), np.float32),
            owner=np.zeros((frames, size, size), np.uint8),
        )

    def paint(
        self, shape: Shape, colour: np.ndarray, owner: int, alpha: Number = 1.0, soft: float = 0.0
    ) -> None:
        """Lay a shape over the frames.

        Args:
            shape: what is painted.
            colour: [3], or anything that broadcasts to [T, H, W, 3], in 0..1.
            owner: of the pixels that it covers by half or more.
            alpha: 0..1, how opaque.
            soft: widens the soft edge, in world units: 0 is one pixel.
        """
        rows, columns = self._within(shape.box, soft)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return
        distance = shape.distance(self.x[:, :, columns], self.y[:, rows, :])
        coverage = np.clip(0.5 - distance / (self.pixel + soft), 0, 1) * alpha
        coverage = np.broadcast_to(coverage, self.owner[:, rows, columns].shape).astype(np.float32)
        colour = np.asarray(colour, np.float32)
        if colour.shape[:-1] == self.owner.shape:
            colour = colour[:, rows, columns]
        area = self.rgb[:, rows, columns]
        area += coverage[..., None] * (colour - area)
        self.owner[:, rows, columns][coverage >= 0.5] = owner

    def _within(self, box: tuple[float, float, float, float], soft: float) -> tuple[slice, slice]:
        left, top, right, bottom = box
        edge = self.pixel + soft

        def span(centres: np.ndarray, low: float, high: float) -> slice:
            # [T, n] of a straight and rising line: the pixels that the box can touch in any frame.
            hit = np.flatnonzero(((centres > low) & (centres < high)).any(axis=0))
            return slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0)

        margin = float(edge.max())
        return (
            span(self.y[:, :, 0], top - margin, bottom + margin),
            span(self.x[:, 0, :], left - margin, right + margin),
        )

    def repeat(self, frames: int) -> Canvas:
        """One painted frame as the ground of many; moving things are then painted on the copies."""
        return Canvas(
            *(np.repeat(part, frames, axis=0) for part in (self.x, self.y, self.pixel, self.rgb, self.owner))
        )
