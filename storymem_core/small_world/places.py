"""Where a scene plays: eight places that every story shares, and the story's own home."""

from __future__ import annotations

from . import lands
from .actions import FLOOR
from .canvas import Canvas, below
from .home import home as paint_home
from .looks import HomeLooks
from .owners import Owner
from .sky import TIMES, Brush, lit, tint

__all__ = ["FIXED_PLACES", "GROUND", "PLACES", "TIMES", "draw", "plain", "tint"]

_LANDS = {
    "forest": lands.forest,
    "beach": lands.beach,
    "village": lands.village,
    "desert": lands.desert,
    "garden": lands.garden,
    "castle": lands.castle,
    "harbour": lands.harbour,
    "mountains": lands.mountains,
}

FIXED_PLACES = tuple(_LANDS)
PLACES = (*FIXED_PLACES, "home")

GROUND = FLOOR
"""The height y at which feet stand, the same in every place."""


def draw(canvas: Canvas, place: str, time: str, home: HomeLooks) -> None:
    """Paint a place of PLACES at a time of TIMES over the whole canvas. Only "home" looks at `home`."""
    brush = Brush(canvas, time)
    if place == "home":
        paint_home(brush, home)
    else:
        _LANDS[place](brush)


def plain(canvas: Canvas) -> None:
    """The light ground of a reference picture: nothing but a wall and a floor."""
    canvas.rgb[...] = (0.93, 0.93, 0.91)
    canvas.owner[...] = Owner.SKY
    canvas.paint(below(lambda x: 0.78 + 0 * x, 0.78), lit((0.86, 0.85, 0.82)), Owner.GROUND)
