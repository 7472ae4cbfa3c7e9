"""The camera: how near it is and how it moves, as the square of the world that each frame sees.

A wide shot shows a character with much of the place, a medium shot the whole character, a close shot head and
torso. A pan slides the square to the right by a quarter of its side each second; after two seconds it swings
back. A push in takes a quarter of the side away in a second and a little more until it rests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .canvas import Number

FRAMINGS = ("wide", "medium", "close")
MOVES = ("still", "pan", "push")

WORLD = (-1.0, -0.5, 2.0, 1.3)
"""Left, top, right and bottom of what the places paint, in world units."""

PAN = PUSH = 0.25
"""What a second of the move takes, over the side."""

PAN_SECONDS = 2.0
"""How long a pan goes one way: half of it before the camera faces the character, half after."""

PUSH_SECONDS = 1.5
"""After how long a push in rests."""

AIM = 0.47
"""The height y that a push in keeps where it is on the picture: a character's chest."""


class Framing(NamedTuple):
    """A square's top and side in world units, and how far off its middle one may be, over the side."""

    top: float
    side: float
    slack: float


_FRAMINGS = {
    "wide": Framing(top=-0.22, side=1.35, slack=0.25),
    "medium": Framing(top=0.0, side=1.0, slack=0.2),
    "close": Framing(top=0.26, side=0.55, slack=0.0),
}


def window(framing: str, move: str, time: Number, focus_x: float) -> tuple[Number, Number, Number]:
    """The square that the camera sees.

    Args:
        framing: of FRAMINGS.
        move: of MOVES.
        time: seconds since the shot's beginning, a float or an array [T, 1, 1].
        focus_x: where the character stands that the camera is on, in world units, about 0..1.

    Returns:
        Left, top and side in world units: floats for a still camera, else what moves is shaped like `time`.
    """
    top, side, slack = _FRAMINGS[framing]
    # The camera turns no further than it must, so that a place keeps its middle; a pan needs all of the room.
    room = 0.0 if move == "pan" else slack * side
    left = min(max(0.5, focus_x - room), focus_x + room) - side / 2
    if move == "pan":
        gone = PAN_SECONDS - np.abs(time % (2 * PAN_SECONDS) - PAN_SECONDS)
        return left + PAN * side * (gone - PAN_SECONDS / 2), top, side
    if move == "push":
        scale = 1.0 - PUSH * np.clip(time, 0.0, PUSH_SECONDS)
        return focus_x + (left - focus_x) * scale, AIM + (top - AIM) * scale, side * scale
    return left, top, side
