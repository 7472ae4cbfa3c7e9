"""The hero, an upright bear with round ears, and the friend, a smaller rabbit with long ones.

Colours go into the frames linearly: a part is its colour times the tint, and shade and light are black and
white laid over it. So frames painted with one-hot colours show how much of each colour a pixel holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .actions import Pose
from .canvas import Canvas, Number, Shape, ellipse
from .figure import BLACK, FOOT, WHITE, Figure, owner_of
from .looks import Colour, Hat, Looks, Pattern
from .owners import Kind, Owner

_CREAM: Colour = (1.0, 0.94, 0.84)
_INK: Colour = (0.12, 0.09, 0.13)
_BLUSH: Colour = (0.98, 0.42, 0.45)


def draw(
    canvas: Canvas,
    looks: Looks,
    pose: Pose,
    kind: Kind = "hero",
    tint: Sequence[float] | np.ndarray = (1, 1, 1),
) -> None:
    """Paint a character over the canvas.

    Args:
        canvas: T frames; changed in place.
        looks: its colours and features.
        pose: fields are floats or arrays [T, 1, 1].
        kind: a bear or a rabbit; also the owner of its pixels.
        tint: the light's rgb, on everything of the character; [3], or [T, 1, 1, 3].
    """
    figure = Figure.of(canvas, looks, pose, kind, np.asarray(tint, np.float32))
    _shadow(figure)
    _ears(figure)
    _legs(figure)
    _torso(figure)
    _feet(figure)
    _head(figure)
    _arms(figure)
    _HATS[looks.hat](figure)


def colours(looks: Looks, kind: Kind) -> dict[Owner, Colour]:
    """The four colours that a fit can find, by the owner of the pixels that show them."""
    return {
        owner_of(kind, "BODY"): looks.body,
        owner_of(kind, "PATTERN"): looks.pattern_colour,
        owner_of(kind, "HAT"): looks.hat_colour,
        owner_of(kind, "LIMBS"): looks.limbs,
    }


def _shadow(figure: Figure) -> None:
    pose = figure.pose
    wide = 0.5 * figure.size * (0.5 + 0.45 * np.abs(pose.lie)) / (1 + 2.5 * pose.rise)
    shadow = ellipse(pose.x, pose.y, wide, 0.09 * figure.size)
    figure.canvas.paint(shadow, np.asarray(BLACK), 0, 0.22, soft=0.012)


def _ears(figure: Figure) -> None:
    looks, wide, head, crown = figure.looks, figure.build.head[0], figure.head, figure.crown
    for side in (-1, 1):
        if figure.kind == "hero":
            u, v = side * 0.78 * wide, head + 0.74 * figure.build.head[1]
            figure.paint(figure.ellipse(u, v, 0.095, 0.095), looks.body, "BODY")
            figure.paint(figure.ellipse(u, v, 0.055, 0.055), looks.pattern_colour, "PATTERN")
        else:
            u, v = side * 0.74 * wide, crown + 0.12
            figure.paint(figure.ellipse(u, v, 0.085, 0.24, side * 0.3), looks.body, "BODY")
            figure.paint(figure.ellipse(u, v, 0.042, 0.17, side * 0.3), looks.pattern_colour, "PATTERN")


def _legs(figure: Figure) -> None:
    for u0, u1, v1, _, _ in _steps(figure):
        figure.paint(figure.line(u0, figure.hip + 0.03, u1, v1, 0.07, 0.06), figure.looks.limbs, "LIMBS")


def _feet(figure: Figure) -> None:
    pose = figure.pose
    for _, u1, v1, side, bend in _steps(figure):
        toe = 0.035 * (pose.facing + side * (1 - np.abs(pose.facing)))
        foot = figure.ellipse(u1 + toe, v1, 0.09, FOOT, -side * bend)
        figure.paint(foot, figure.looks.limbs, "LIMBS")
        # A foot that points up shows its sole.
        figure.shade(figure.ellipse(u1 + toe, v1, 0.05, 0.03, -side * bend), 0.45 * (bend > 1.0), WHITE)


def _steps(figure: Figure) -> Iterator[tuple[Number, Number, Number, int, Number]]:
    """Of each leg: u of its hip, u and v of its ankle, its side, and how far it is bent."""
    pose = figure.pose
    # From the side, and in sleep, the legs are closer.
    turned = 1 - np.maximum(0.4 * np.abs(pose.facing), 0.45 * np.abs(pose.lie))
    for side, bend in ((-1, pose.left_leg), (1, pose.right_leg)):
        hip = side * 0.56 * figure.build.torso[0] * turned
        ankle = figure.hip - np.cos(bend) * figure.build.leg
        yield hip, hip + side * np.sin(bend) * figure.build.leg, ankle, side, bend


def _torso(figure: Figure) -> None:
    ru, rv = figure.build.torso
    torso = figure.ellipse(0, figure.torso, ru, rv)
    figure.paint(torso, figure.looks.body, "BODY")
    for shape in _PATTERNS[figure.looks.pattern](figure):
        figure.paint(shape & torso, figure.looks.pattern_colour, "PATTERN")
    # The head's shadow parts it from the torso, which has the same colour.
    figure.shade(torso & figure.ellipse(0, figure.neck, 1.2 * ru, 0.35 * rv), 0.25)


def _bib(figure: Figure) -> list[Shape]:
    ru, rv = figure.build.torso
    return [figure.ellipse(0, figure.torso - 0.1 * rv, 0.68 * ru, 0.72 * rv)]


def _stripes(figure: Figure) -> list[Shape]:
    ru, rv = figure.build.torso
    bands = (figure.torso - 0.55 * rv, figure.torso + 0.15 * rv)
    return [figure.line(-ru, v, ru, v, 0.18 * rv, 0.18 * rv) for v in bands]


def _spots(figure: Figure) -> list[Shape]:
    ru, rv = figure.build.torso
    places = ((-0.5, 0.2), (0.45, 0.3), (-0.2, -0.5), (0.55, -0.4))
    return [figure.ellipse(a * ru, figure.torso + b * rv, 0.055, 0.055) for a, b in places]


_PATTERNS: dict[Pattern, Callable[[Figure], list[Shape]]] = {
    "plain": lambda figure: [],
    "stripes": _stripes,
    "spots": _spots,
    "bib": _bib,
}


def _arms(figure: Figure) -> None:
    pose, turned = figure.pose, 1 - 0.3 * np.abs(figure.pose.facing)
    for side, bend in ((-1, pose.left_arm), (1, pose.right_arm)):
        u0, v0 = side * 0.9 * figure.build.torso[0] * turned, figure.torso + 0.45 * figure.build.torso[1]
        u1 = u0 + side * np.sin(bend) * figure.build.arm
        v1 = v0 - np.cos(bend) * figure.build.arm
        figure.paint(figure.line(u0, v0, u1, v1, 0.045, 0.058), figure.looks.limbs, "LIMBS")


def _head(figure: Figure) -> None:
    ru, rv = figure.build.head
    skull = figure.ellipse(0, figure.head, ru, rv)
    figure.paint(skull, figure.looks.body, "BODY")
    figure.shade(skull - figure.ellipse(0, figure.head + 0.2 * rv, 1.1 * ru, 1.05 * rv), 0.16)
    look = 0.28 * ru * figure.pose.facing
    for side in (-1, 1):
        figure.shade(
            figure.ellipse(look + side * 0.62 * ru, figure.head - 0.3 * rv, 0.05, 0.036), 0.45, _BLUSH
        )
    _muzzle(figure, look)
    for side in (-1, 1):
        _eye(figure, skull, side, look + side * 0.42 * ru, figure.head + 0.12 * rv)
    if figure.looks.face == "glasses":
        brow = figure.head + 0.12 * rv
        bridge = figure.line(look - 0.1 * ru, brow, look + 0.1 * ru, brow, 0.013, 0.013)
        figure.paint(bridge, _INK, "FACE")


def _muzzle(figure: Figure, look: Number) -> None:
    ru, rv = figure.build.head
    low = figure.head - 0.42 * rv
    if figure.kind == "hero":
        figure.paint(figure.ellipse(1.15 * look, low, 0.4 * ru, 0.36 * rv), _CREAM, "FACE")
        figure.paint(figure.ellipse(1.25 * look, low + 0.16 * rv, 0.042, 0.03), _INK, "FACE")
    else:
        figure.paint(figure.ellipse(1.15 * look, low, 0.3 * ru, 0.24 * rv), _CREAM, "FACE")
        figure.paint(figure.ellipse(1.2 * look, low + 0.14 * rv, 0.04, 0.028), _BLUSH, "FACE")
    smile = figure.ellipse(1.2 * look, low - 0.06 * rv, 0.055, 0.04)
    smile -= figure.ellipse(1.2 * look, low + 0.04 * rv, 0.06, 0.042)
    figure.paint(smile, _INK, "FACE")


def _eye(figure: Figure, skull: Shape, side: int, u: Number, v: Number) -> None:
    face, opened, unit = figure.looks.face, figure.pose.eyes_open, figure.build.head[0]
    wide, high = 0.22 * unit, 0.27 * unit
    if face == "glasses":
        wide, high = 0.25 * unit, 0.25 * unit
        figure.paint(figure.ellipse(u, v, 0.33 * unit, 0.33 * unit), _INK, "FACE")
        figure.paint(figure.ellipse(u, v, wide, high), figure.looks.body, "BODY")
    glance = 0.07 * unit * figure.pose.facing
    figure.paint(figure.ellipse(u, v, wide, high), WHITE, "FACE", opened)
    figure.paint(figure.ellipse(u + glance, v - 0.03 * unit, 0.14 * unit, 0.17 * unit), _INK, "FACE", opened)
    if face == "sleepy":
        lid = figure.ellipse(u + side * 0.05 * unit, v + 0.24 * unit, 0.3 * unit, 0.2 * unit, side * 0.35)
        figure.paint(lid & skull, figure.looks.body, "BODY", opened)
    shut = figure.line(u - 0.16 * unit, v, u + 0.16 * unit, v, 0.05 * unit, 0.05 * unit)
    figure.paint(shut, _INK, "FACE", 1 - opened)


def _cap(figure: Figure) -> None:
    ru, top = figure.build.head[0], figure.crown
    dome = figure.ellipse(0, top - 0.03, 0.68 * ru, 0.13)
    front = 0.65 * ru * np.clip(3 * figure.pose.facing, -1, 1)
    brim = figure.line(front - 0.5 * ru, top - 0.1, front + 0.5 * ru, top - 0.1, 0.03, 0.03)
    figure.paint(dome | brim, figure.looks.hat_colour, "HAT")
    figure.shade(brim, 0.25)


def _cone(figure: Figure) -> None:
    ru, top = figure.build.head[0], figure.crown
    cone = figure.outline((-0.6 * ru, top - 0.07), (0, top + 0.3), (0.6 * ru, top - 0.07))
    tip = figure.ellipse(0, top + 0.3, 0.055, 0.055)
    figure.paint(cone | tip, figure.looks.hat_colour, "HAT")
    figure.shade(tip, 0.45, WHITE)
    figure.shade(figure.line(-0.5 * ru, top - 0.05, 0.5 * ru, top - 0.05, 0.03, 0.03), 0.25)


def _bow(figure: Figure) -> None:
    top = figure.crown + 0.01
    left, right = (
        figure.outline((0, top), (side * 0.24, top + 0.14), (side * 0.24, top - 0.12)) for side in (-1, 1)
    )
    knot = figure.ellipse(0, top, 0.065, 0.07)
    figure.paint(left | right | knot, figure.looks.hat_colour, "HAT")
    figure.shade(knot, 0.25)


def _crown(figure: Figure) -> None:
    wide, top = 0.66 * figure.build.head[0], figure.crown - 0.06
    crown = figure.outline(
        (-wide, top), (-1.15 * wide, top + 0.2), (-0.5 * wide, top + 0.11), (0, top + 0.23),
        (0.5 * wide, top + 0.11), (1.15 * wide, top + 0.2), (wide, top),
    )  # fmt: skip
    figure.paint(crown, figure.looks.hat_colour, "HAT")
    figure.shade(figure.line(-0.9 * wide, top + 0.02, 0.9 * wide, top + 0.02, 0.022, 0.022), 0.25)


_HATS: dict[Hat, Callable[[Figure], None]] = {"cap": _cap, "cone": _cone, "bow": _bow, "crown": _crown}
