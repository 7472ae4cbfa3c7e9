"""The eight places that stay the same in every story: big flat shapes, each place in a mood of its own.

They are painted from x = -1 to 2 and from y = -0.5 to 1.3, the middle kept quiet for the characters, whose
feet stand at y = 0.86. What tells a place at once repeats along x, so that a close shot shows it too.
"""

from __future__ import annotations

import numpy as np

from .canvas import Shape, below, capsule, ellipse, polygon, rectangle
from .looks import Colour
from .owners import Owner
from .sky import Brush, above, dome, every

WHITE: Colour = (0.98, 0.97, 0.94)
RED: Colour = (0.87, 0.20, 0.16)


def forest(brush: Brush) -> None:
    """Green light between trunks, under a roof of leaves; red mushrooms."""
    brush.sky("forest", 0.7, sun=0.62)
    brush(every(0.21, rectangle(0.105, 0.3, 0.028, 0.6)), (0.56, 0.74, 0.44))
    brush(every(0.47, rectangle(0.28, 0.3, 0.042, 0.6)), (0.36, 0.55, 0.31))
    brush.shade(
        below(lambda x: 0.72 + 0.015 * np.sin(9 * x), 0.7), (0.36, 0.62, 0.26), (0.20, 0.42, 0.18), (0.7, 1.0)
    )
    trunk = polygon((-0.03, -0.6), (0.09, -0.6), (0.10, 0.66), (0.17, 0.83), (-0.11, 0.83), (-0.04, 0.66))
    brush(every(0.95, trunk), (0.42, 0.27, 0.17))
    brush(above(lambda x: 0.15 - 0.07 * np.abs(np.cos(9.9 * x)), 0.16), (0.24, 0.52, 0.20))
    brush(above(lambda x: 0.06 - 0.07 * np.abs(np.sin(8.3 * x + 1)), 0.07), (0.13, 0.37, 0.15))
    for x, y, size in ((0.21, 0.93, 0.055), (0.85, 0.95, 0.065), (0.32, 0.97, 0.035)):
        brush(every(1.2, rectangle(x, y, size * 0.35, size * 0.9, 0.01)), WHITE)
        brush(every(1.2, dome(x, y, size, size * 1.1)), RED)


def beach(brush: Brush) -> None:
    """A turquoise sea and yellow sand; a palm, a parasol, a sail."""
    brush.sky("beach", 0.5, sun=0.62)
    brush.shade(below(lambda x: 0.5 + 0 * x, 0.5), (0.06, 0.58, 0.74), (0.42, 0.88, 0.84), (0.5, 0.72))
    brush(every(0.75, polygon((0.34, 0.30), (0.34, 0.48), (0.23, 0.48))), WHITE)
    brush(every(0.75, polygon((0.21, 0.495), (0.39, 0.495), (0.35, 0.53), (0.25, 0.53))), (0.80, 0.32, 0.24))
    brush(below(lambda x: 0.70 + 0.015 * np.sin(8 * x), 0.68), WHITE, Owner.GROUND)
    brush.shade(
        below(lambda x: 0.73 + 0.015 * np.sin(8 * x), 0.71), (1.0, 0.88, 0.58), (0.96, 0.78, 0.44), (0.7, 1.0)
    )
    _palm(brush)
    brush(every(1.4, rectangle(0.08, 0.66, 0.012, 0.20)), WHITE)
    for width, colour in ((0.20, RED), (0.12, WHITE), (0.055, RED)):
        brush(every(1.4, dome(0.08, 0.54, width, 0.15)), colour)


def _palm(brush: Brush) -> None:
    for y0, x0, y1, x1 in ((0.82, 0.95, 0.55, 0.90), (0.55, 0.90, 0.24, 0.93)):
        brush(every(1.4, capsule(x0, y0, x1, y1, 0.035, 0.028)), (0.58, 0.40, 0.24))
    for angle, side, drop in ((0.35, -1, 0.02), (0.95, -1, 0.09), (0.35, 1, 0.02), (0.95, 1, 0.09)):
        leaf = ellipse(0.93 + side * 0.12, 0.22 + drop, 0.16, 0.042, -side * -angle)
        brush(every(1.4, leaf), (0.18, 0.56, 0.28) if drop > 0.05 else (0.26, 0.66, 0.32))


def village(brush: Brush) -> None:
    """Narrow houses with red roofs along a cobbled street, and a church behind them."""
    brush.sky("village", 0.7, sun=0.40)
    brush(rectangle(0.60, 0.5, 0.055, 0.30), (0.93, 0.82, 0.66))
    brush(polygon((0.53, 0.22), (0.60, 0.02), (0.67, 0.22)), (0.62, 0.36, 0.32))
    for x, colour in ((0.30, (0.96, 0.80, 0.60)), (0.50, (0.93, 0.72, 0.58)), (0.70, (0.97, 0.86, 0.66))):
        brush(every(0.6, rectangle(x, 0.6, 0.09, 0.16)), colour)
        brush(every(0.6, polygon((x - 0.11, 0.46), (x, 0.34), (x + 0.11, 0.46))), (0.80, 0.42, 0.32))
        brush.lamp(every(0.6, rectangle(x, 0.55, 0.032, 0.04)), (0.62, 0.66, 0.70))
    brush.shade(below(lambda x: 0.74 + 0 * x, 0.74), (0.86, 0.78, 0.68), (0.68, 0.58, 0.50), (0.74, 1.0))
    for x, eaves, colour in ((0.06, 0.36, (0.93, 0.66, 0.28)), (0.96, 0.30, (0.86, 0.44, 0.36))):
        brush(every(1.4, rectangle(x, 0.41 + eaves / 2, 0.14, 0.41 - eaves / 2)), colour)
        brush(
            every(1.4, polygon((x - 0.18, eaves), (x, eaves - 0.26), (x + 0.18, eaves))), (0.66, 0.26, 0.20)
        )
        for window in (-0.06, 0.06):
            brush.lamp(every(1.4, rectangle(x + window, eaves + 0.12, 0.038, 0.05)), (0.36, 0.46, 0.56))
        brush(every(1.4, rectangle(x, 0.72, 0.045, 0.10)), (0.42, 0.26, 0.20))


def desert(brush: Brush) -> None:
    """Orange dunes and red table mountains under a yellow sky; cactuses."""
    brush.sky("desert", 0.65, sun=0.50)
    for x, top, half in ((0.12, 0.33, 0.15), (0.62, 0.42, 0.12)):
        mesa = polygon((x - half, top), (x + half, top), (x + half + 0.06, 0.72), (x - half - 0.06, 0.72))
        brush.shade(every(0.9, mesa), (0.82, 0.36, 0.22), (0.93, 0.58, 0.36), (0.35, 0.7), Owner.PROP)
    brush(below(lambda x: 0.63 + 0.035 * np.sin(5 * x + 1), 0.59), (0.95, 0.62, 0.30), Owner.GROUND)
    brush.shade(
        below(lambda x: 0.73 + 0.03 * np.sin(4 * x + 4), 0.69),
        (1.0, 0.78, 0.46),
        (0.94, 0.64, 0.32),
        (0.7, 1.0),
    )
    for x, foot, size in ((0.04, 0.84, 1.0), (0.93, 0.80, 0.75), (0.33, 0.70, 0.42)):
        _cactus(brush, x, foot, size)


def _cactus(brush: Brush, x: float, foot: float, size: float) -> None:
    arms = ((-0.10, 0.22, 0.34), (0.10, 0.16, 0.28))
    cactus = capsule(x, foot, x, foot - 0.46 * size, 0.05 * size)
    for out, low, high in arms:
        elbow = x + out * size
        cactus |= capsule(x, foot - low * size, elbow, foot - low * size, 0.03 * size)
        cactus |= capsule(elbow, foot - low * size, elbow, foot - high * size, 0.034 * size)
    brush(every(1.3, cactus), (0.22, 0.55, 0.34))


def garden(brush: Brush) -> None:
    """Pink blossom trees, a hedge with big flowers, a light lawn."""
    brush.sky("garden", 0.6, sun=0.52)
    brush(below(lambda x: 0.50 - 0.045 * np.abs(np.sin(11 * x)), 0.45), (0.36, 0.66, 0.40))
    for x, y, colour in (
        (0.05, 0.60, RED),
        (0.15, 0.67, WHITE),
        (0.25, 0.60, (1.0, 0.50, 0.70)),
        (0.35, 0.67, (1.0, 0.80, 0.25)),
    ):
        brush(every(0.4, ellipse(x, y, 0.042, 0.042)), colour)
    brush.shade(
        below(lambda x: 0.74 + 0.01 * np.sin(7 * x), 0.73),
        (0.70, 0.88, 0.48),
        (0.50, 0.76, 0.38),
        (0.74, 1.0),
    )
    brush(every(0.98, rectangle(0.0, 0.60, 0.035, 0.22)), (0.50, 0.34, 0.30))
    for x, y, radius, colour in (
        (0.0, 0.16, 0.24, (0.98, 0.56, 0.72)), (-0.15, 0.28, 0.15, (1.0, 0.66, 0.78)),
        (0.15, 0.27, 0.15, (0.99, 0.60, 0.75)), (-0.04, 0.14, 0.14, (1.0, 0.74, 0.84)),
    ):  # fmt: skip
        brush(every(0.98, ellipse(x, y, radius, radius)), colour)
    _tulips(brush)


def _tulips(brush: Brush) -> None:
    for x, y, colour in (
        (0.10, 0.92, RED),
        (0.21, 0.96, (1.0, 0.82, 0.25)),
        (0.86, 0.93, (0.95, 0.40, 0.65)),
    ):
        brush(every(1.1, capsule(x, y, x, y + 0.14, 0.010)), (0.24, 0.52, 0.28))
        brush(every(1.1, ellipse(x, y, 0.04, 0.05)), colour)


def castle(brush: Brush) -> None:
    """A pale castle with violet roofs and red flags under a lilac sky."""
    brush.sky("castle", 0.7, sun=0.98)
    brush(below(lambda x: 0.60 + 0.06 * np.sin(5 * x + 2), 0.54), (0.58, 0.56, 0.76), Owner.GROUND)
    battlements = every(0.12, rectangle(0.02, 0.47, 0.032, 0.05)) & rectangle(0.5, 0.47, 0.36, 0.06)
    brush(rectangle(0.5, 0.63, 0.36, 0.15) | battlements, (0.80, 0.75, 0.84))
    for x, top, half in ((0.31, 0.42, 0.065), (0.69, 0.42, 0.065), (0.10, 0.30, 0.10), (0.90, 0.30, 0.10)):
        _tower(brush, x, top, half)
    brush(rectangle(0.5, 0.72, 0.085, 0.10) | dome(0.5, 0.63, 0.085, 0.09), (0.42, 0.32, 0.46))
    brush.shade(
        below(lambda x: 0.76 + 0.01 * np.sin(6 * x), 0.75),
        (0.62, 0.68, 0.56),
        (0.46, 0.52, 0.46),
        (0.76, 1.0),
    )
    brush(polygon((0.41, 0.765), (0.59, 0.765), (0.85, 1.35), (0.15, 1.35)), (0.90, 0.84, 0.80), Owner.GROUND)


def _tower(brush: Brush, x: float, top: float, half: float) -> None:
    brush(every(1.6, rectangle(x, (top + 0.80) / 2, half, (0.80 - top) / 2)), (0.88, 0.84, 0.90))
    peak = top - 3.4 * half
    roof = polygon((x - 1.3 * half, top), (x, peak), (x + 1.3 * half, top))
    brush(every(1.6, roof), (0.46, 0.24, 0.64))
    brush(every(1.6, polygon((x, peak - 0.09), (x + 0.09, peak - 0.055), (x, peak - 0.02))), RED)
    brush.lamp(every(1.6, rectangle(x, top + 0.12, half * 0.32, 0.045, 0.01)), (0.42, 0.34, 0.50))


def harbour(brush: Brush) -> None:
    """A dark blue sea behind brown planks; a red and white lighthouse, boats with orange sails."""
    brush.sky("harbour", 0.5, sun=0.55)
    brush.shade(below(lambda x: 0.52 + 0 * x, 0.52), (0.16, 0.42, 0.62), (0.08, 0.28, 0.48), (0.52, 0.76))
    for x, size in ((0.22, 1.0), (0.62, 0.55)):
        _boat(brush, x, 0.52 + 0.10 * size, size)
    _lighthouse(brush)
    brush.shade(below(lambda x: 0.77 + 0 * x, 0.77), (0.76, 0.55, 0.36), (0.58, 0.39, 0.25), (0.77, 1.0))
    brush(rectangle(0.5, 0.785, 3.0, 0.018), (0.50, 0.33, 0.22), Owner.GROUND)
    brush(every(0.33, capsule(0.04, 0.72, 0.04, 0.82, 0.032)), (0.44, 0.29, 0.20))


def _boat(brush: Brush, x: float, y: float, size: float) -> None:
    def at(*points: tuple[float, float]) -> Shape:
        return every(1.15, polygon(*((x + size * px, y + size * py) for px, py in points)))

    brush(every(1.15, rectangle(x, y - 0.22 * size, 0.010, 0.24 * size)), (0.40, 0.28, 0.20))
    brush(at((0.02, -0.46), (0.02, -0.06), (0.18, -0.06)), (0.97, 0.60, 0.22))
    brush(at((-0.02, -0.38), (-0.02, -0.06), (-0.14, -0.06)), WHITE)
    brush(at((-0.19, -0.03), (0.21, -0.03), (0.14, 0.07), (-0.13, 0.07)), (0.70, 0.24, 0.20))


def _lighthouse(brush: Brush) -> None:
    brush(every(1.3, dome(0.92, 0.80, 0.24, 0.16)), (0.46, 0.46, 0.50))
    brush(every(1.3, polygon((0.85, 0.20), (0.99, 0.20), (1.03, 0.70), (0.81, 0.70))), WHITE)
    for top, half in ((0.28, 0.075), (0.46, 0.090), (0.62, 0.102)):
        stripe = (
            (0.92 - half, top),
            (0.92 + half, top),
            (0.92 + half + 0.007, top + 0.09),
            (0.913 - half, top + 0.09),
        )
        brush(every(1.3, polygon(*stripe)), RED)
    brush.lamp(every(1.3, rectangle(0.92, 0.14, 0.05, 0.06)), (1.0, 0.90, 0.55))
    brush(every(1.3, dome(0.92, 0.09, 0.075, 0.08)), RED)


def mountains(brush: Brush) -> None:
    """Blue mountains with white tops over a field of snow; firs."""
    brush.sky("mountains", 0.65, sun=0.52)
    for x, peak, slope in ((0.70, 0.26, 1.25), (0.20, 0.10, 1.5)):
        _mountain(brush, x, peak, slope)
    brush.shade(
        below(lambda x: 0.71 + 0.025 * np.sin(4 * x), 0.68), (1.0, 1.0, 1.0), (0.80, 0.88, 0.97), (0.7, 1.05)
    )
    for x, foot, size in ((0.04, 0.84, 0.9), (0.95, 0.88, 1.1), (0.80, 0.76, 0.5)):
        _fir(brush, x, foot, size)


def _mountain(brush: Brush, x: float, peak: float, slope: float) -> None:
    half, snow = (0.75 - peak) / slope, 0.20 / slope
    brush.shade(every(1.0, polygon((x - half, 0.75), (x, peak), (x + half, 0.75))),
                (0.40, 0.52, 0.74), (0.62, 0.74, 0.88), (peak, 0.75), Owner.PROP)  # fmt: skip
    edge = peak + 0.20
    cap = polygon(
        (x, peak),
        (x + snow, edge),
        (x + snow / 3, edge - 0.04),
        (x, edge + 0.02),
        (x - snow / 3, edge - 0.04),
        (x - snow, edge),
    )
    brush(every(1.0, cap), (1.0, 1.0, 1.0))


def _fir(brush: Brush, x: float, foot: float, size: float) -> None:
    brush(every(1.2, rectangle(x, foot, 0.02 * size, 0.05 * size)), (0.36, 0.26, 0.22))
    for low, high, half in ((0.03, 0.26, 0.15), (0.17, 0.38, 0.12), (0.30, 0.50, 0.085)):
        tier = polygon(
            (x - half * size, foot - low * size),
            (x, foot - high * size),
            (x + half * size, foot - low * size),
        )
        brush(every(1.2, tier), (0.13, 0.40, 0.40))
    tip = polygon(
        (x - 0.045 * size, foot - 0.395 * size),
        (x, foot - 0.50 * size),
        (x + 0.045 * size, foot - 0.395 * size),
    )
    brush(every(1.2, tip), (1.0, 1.0, 1.0))
