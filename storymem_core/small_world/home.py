"""The home: one house with its tree on a meadow, in colours and forms that the story chose (`HomeLooks`)."""

from __future__ import annotations

import numpy as np

from .canvas import below, ellipse, polygon, rectangle
from .looks import HomeLooks
from .owners import Owner
from .sky import Brush, every

FLOWERS = ((0.0, 0.70, (0.93, 0.22, 0.30)), (0.09, 0.76, (1.0, 0.80, 0.20)), (0.18, 0.70, (0.96, 0.45, 0.75)))
"""x, y and colour of each."""

IRON = (0.24, 0.24, 0.30)
WOOD = (0.50, 0.34, 0.22)
GLASS = (0.50, 0.66, 0.78)
WHITE = (0.97, 0.95, 0.90)


def home(brush: Brush, looks: HomeLooks) -> None:
    """The house on the left, the tree on the right, the props between them."""
    brush.sky("home", 0.65, sun=0.62)
    brush(below(lambda x: 0.58 + 0.05 * np.sin(4 * x + 1), 0.52), (0.66, 0.84, 0.52), Owner.GROUND)
    brush.shade(
        below(lambda x: 0.73 + 0.01 * np.sin(6 * x), 0.72),
        (0.56, 0.78, 0.36),
        (0.42, 0.66, 0.30),
        (0.73, 1.0),
    )
    _tree(brush, looks)
    _props(brush, looks.props)
    _house(brush, looks)


def _house(brush: Brush, looks: HomeLooks) -> None:
    brush.dear(rectangle(0.40, 0.16, 0.04, 0.12), looks.wall, Owner.HOME_WALL)
    brush.dear(rectangle(0.20, 0.60, 0.29, 0.21), looks.wall, Owner.HOME_WALL)
    brush.dear(polygon((-0.17, 0.42), (0.03, 0.08), (0.37, 0.08), (0.57, 0.42)), looks.roof, Owner.HOME_ROOF)
    brush.dear(rectangle(0.13, 0.67, 0.085, 0.15, 0.03), looks.door, Owner.HOME_DOOR)
    brush(ellipse(0.185, 0.68, 0.014, 0.014), WHITE)
    brush(rectangle(0.36, 0.57, 0.085, 0.085), WHITE)
    for window in (rectangle(0.36, 0.57, 0.062, 0.062), ellipse(0.20, 0.26, 0.055, 0.055)):
        brush.lamp(window, GLASS)


def _tree(brush: Brush, looks: HomeLooks) -> None:
    brush(rectangle(0.86, 0.68, 0.03, 0.14), WOOD)
    if looks.tree == "round":
        crown = (
            ellipse(0.86, 0.38, 0.19, 0.19)
            | ellipse(0.75, 0.48, 0.11, 0.10)
            | ellipse(0.97, 0.48, 0.11, 0.10)
        )
    elif looks.tree == "pine":
        crown = polygon((0.64, 0.64), (0.86, 0.30), (1.08, 0.64)) | polygon(
            (0.69, 0.44), (0.86, 0.12), (1.03, 0.44)
        )
    else:
        crown = ellipse(0.86, 0.34, 0.095, 0.34)
    brush.dear(crown, looks.tree_colour, Owner.HOME_TREE)


def _props(brush: Brush, props: str) -> None:
    beside_house = rectangle(1.3, 0.7, 0.81, 0.2) | rectangle(-0.7, 0.7, 0.61, 0.2)
    if props == "fence":
        for y in (0.65, 0.73):
            brush(rectangle(0.5, y, 1.6, 0.016) & beside_house, WHITE)
        brush(every(0.11, rectangle(0.0, 0.69, 0.028, 0.10, 0.02)) & beside_house, WHITE)
    elif props == "flowers":
        for x, y, colour in FLOWERS:
            brush(every(0.27, ellipse(x, y, 0.048, 0.048)) & beside_house, colour)
    else:
        for x in (0.66, -0.34):
            brush(rectangle(x, 0.58, 0.016, 0.26), IRON)
            brush(polygon((x - 0.08, 0.30), (x, 0.22), (x + 0.08, 0.30)), IRON)
            brush.lamp(rectangle(x, 0.36, 0.055, 0.06), (0.98, 0.92, 0.70))
