"""The three times of day: the light on everything, the sky, and the brush that paints under that light.

A colour under another light is the day's colour times three numbers, so painting stays linear in the colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .canvas import Canvas, Shape, below, ellipse
from .looks import Colour
from .owners import Owner

TIMES = ("day", "evening", "night")

LIGHT: dict[str, Colour] = {"day": (1, 1, 1), "evening": (1.0, 0.74, 0.64), "night": (0.44, 0.51, 0.76)}
"""What a thing of the scenery reflects at each time."""

TINT: dict[str, Colour] = {"day": (1, 1, 1), "evening": (1.0, 0.89, 0.80), "night": (0.74, 0.80, 0.95)}
"""The same for characters: milder, so that one still knows them by their colours."""


class Sky(NamedTuple):
    """A sky's colours from the zenith to the horizon, each time of day its own."""

    day: tuple[Colour, Colour]
    evening: tuple[Colour, Colour]
    night: tuple[Colour, Colour]


STARS = (
    (0.08, 0.10, 0.016),
    (0.30, 0.05, 0.012),
    (0.44, 0.20, 0.016),
    (0.16, 0.30, 0.012),
    (0.60, 0.08, 0.014),
    (0.02, -0.12, 0.014),
    (0.50, -0.15, 0.016),
)
"""x, y and radius of each; they come again along x."""

SKIES = {
    "forest": Sky(
        day=((0.66, 0.84, 0.48), (0.93, 0.97, 0.70)),
        evening=((0.45, 0.40, 0.24), (0.98, 0.68, 0.30)),
        night=((0.03, 0.12, 0.14), (0.13, 0.32, 0.30)),
    ),
    "beach": Sky(
        day=((0.30, 0.68, 0.96), (0.80, 0.95, 0.99)),
        evening=((0.93, 0.45, 0.55), (1.00, 0.82, 0.50)),
        night=((0.04, 0.07, 0.25), (0.16, 0.28, 0.52)),
    ),
    "village": Sky(
        day=((0.52, 0.78, 0.93), (0.99, 0.94, 0.80)),
        evening=((0.72, 0.40, 0.50), (1.00, 0.74, 0.45)),
        night=((0.07, 0.07, 0.22), (0.26, 0.24, 0.42)),
    ),
    "desert": Sky(
        day=((0.99, 0.76, 0.40), (1.00, 0.93, 0.70)),
        evening=((0.50, 0.18, 0.42), (1.00, 0.50, 0.28)),
        night=((0.10, 0.05, 0.20), (0.38, 0.20, 0.36)),
    ),
    "garden": Sky(
        day=((0.78, 0.88, 0.99), (1.00, 0.92, 0.95)),
        evening=((0.72, 0.42, 0.72), (1.00, 0.72, 0.68)),
        night=((0.12, 0.06, 0.26), (0.34, 0.22, 0.44)),
    ),
    "castle": Sky(
        day=((0.66, 0.62, 0.93), (0.97, 0.88, 0.97)),
        evening=((0.45, 0.25, 0.60), (0.99, 0.60, 0.60)),
        night=((0.08, 0.04, 0.24), (0.30, 0.22, 0.52)),
    ),
    "harbour": Sky(
        day=((0.50, 0.72, 0.84), (0.92, 0.94, 0.90)),
        evening=((0.38, 0.36, 0.58), (0.99, 0.66, 0.42)),
        night=((0.03, 0.07, 0.16), (0.12, 0.22, 0.36)),
    ),
    "mountains": Sky(
        day=((0.48, 0.76, 0.97), (0.90, 0.97, 1.00)),
        evening=((0.55, 0.42, 0.72), (1.00, 0.78, 0.70)),
        night=((0.05, 0.10, 0.26), (0.24, 0.36, 0.56)),
    ),
    "home": Sky(
        day=((0.52, 0.80, 0.98), (0.92, 0.97, 0.96)),
        evening=((0.80, 0.45, 0.55), (1.00, 0.80, 0.55)),
        night=((0.05, 0.09, 0.25), (0.20, 0.30, 0.50)),
    ),
}
"""Over each place. A strong tone of its own is half of what tells the place."""


def tint(time: str) -> np.ndarray:
    """The factors [3] by which a character's colours are multiplied at a time of day."""
    return lit(TINT[time])


def lit(colour: Colour, light: Colour = (1, 1, 1)) -> np.ndarray:
    """A colour [3] under a light."""
    return np.array(colour, np.float32) * np.array(light, np.float32)


def ramp(canvas: Canvas, upper: np.ndarray, lower: np.ndarray, top: float, bottom: float) -> np.ndarray:
    """Colours [T, H, W, 3] that go from `upper` at y = top to `lower` at y = bottom."""
    share = np.clip((canvas.y - top) / (bottom - top), 0, 1)[..., None]
    rows = upper + share * (lower - upper)
    return np.broadcast_to(rows, canvas.rgb.shape)


def above(height: Callable[[np.ndarray], np.ndarray], bottom: float) -> Shape:
    """All that lies above the line y = height(x). `bottom` is the line's lowest place."""
    return Shape(lambda x, y: (y - height(x)) * 0.9, (-99.0, -99.0, 99.0, bottom))


def dome(cx: float, base: float, rx: float, ry: float) -> Shape:
    """The upper half of an ellipse, on the line y = base."""
    return ellipse(cx, base, rx, ry) - below(lambda x: base + 0 * x)


def every(period: float, shape: Shape) -> Shape:
    """The shape again and again along x; it must be less than `period` wide."""
    left, top, right, bottom = shape.box
    start = (left + right - period) / 2
    return Shape(lambda x, y: shape.distance(start + (x - start) % period, y), (-99.0, top, 99.0, bottom))


class Brush(NamedTuple):
    """Paints the scenery of one time of day."""

    canvas: Canvas
    time: str

    @property
    def night(self) -> bool:
        return self.time == "night"

    def __call__(self, shape: Shape, colour: Colour, owner: int = Owner.PROP, soft: float = 0.0) -> None:
        """A flat shape that the day's light falls on."""
        self.canvas.paint(shape, lit(colour, LIGHT[self.time]), owner, soft=soft)

    def dear(self, shape: Shape, colour: Colour, owner: int) -> None:
        """A flat shape under the milder light of the characters: its colour is to be remembered."""
        self.canvas.paint(shape, lit(colour, TINT[self.time]), owner)

    def shade(
        self, shape: Shape, upper: Colour, lower: Colour, span: tuple[float, float], owner: int = Owner.GROUND
    ) -> None:
        """A shape whose colour goes from `upper` to `lower` over the heights `span`."""
        colours = ramp(self.canvas, lit(upper, LIGHT[self.time]), lit(lower, LIGHT[self.time]), *span)
        self.canvas.paint(shape, colours, owner)

    def lamp(self, shape: Shape, colour: Colour, owner: int = Owner.PROP) -> None:
        """A window or a lantern: dusky glass by day, shining from the evening on."""
        shines = (1.0, 0.86, 0.45)
        self.canvas.paint(shape, lit(colour if self.time == "day" else shines), owner)

    def glow(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 0.5) -> None:
        """A round shimmer that fades outwards; it owns nothing."""
        # At this softness no pixel is covered by half, so that the owners below stay.
        self.canvas.paint(
            ellipse(x, y, radius / 2, radius / 2), lit(colour), Owner.SKY, min(alpha, 0.49), soft=radius
        )

    def sky(self, place: str, horizon: float, sun: float = 0.78) -> None:
        """The gradient down to the horizon, and the sun at x = sun, low in the evening, or moon and stars."""
        upper, lower = SKIES[place]._asdict()[self.time]
        self.canvas.rgb[...] = ramp(self.canvas, lit(upper), lit(lower), -0.1, horizon)
        if self.time == "day":
            self.glow(sun, 0.14, 0.26, (1, 0.97, 0.75))
            self.canvas.paint(ellipse(sun, 0.14, 0.085, 0.085), lit((1, 0.93, 0.45)), Owner.SKY)
        elif self.time == "evening":
            self.glow(sun, horizon - 0.1, 0.5, (1, 0.75, 0.4))
            self.canvas.paint(ellipse(sun, horizon - 0.1, 0.13, 0.13), lit((1, 0.62, 0.25)), Owner.SKY)
        else:
            self._night(sun)

    def _night(self, moon: float) -> None:
        white = lit((1, 0.97, 0.82))
        for x, y, radius in STARS:
            stars = every(0.95, ellipse(x, y, radius, radius)) - ellipse(moon, 0.17, 0.15, 0.15)
            self.canvas.paint(stars, white, Owner.SKY)
        self.glow(moon, 0.17, 0.3, (0.75, 0.8, 1.0), 0.4)
        crescent = ellipse(moon, 0.17, 0.095, 0.095) - ellipse(moon - 0.05, 0.14, 0.08, 0.08)
        self.canvas.paint(crescent, white, Owner.SKY)
