"""What a character does: six actions, each a pose per frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .canvas import Number

Action = Literal["walks", "jumps", "waves", "dances", "sits", "sleeps"]
ACTIONS: tuple[Action, ...] = ("walks", "jumps", "waves", "dances", "sits", "sleeps")
FLOOR = 0.86
"""Where feet stand in every place, in world units (y runs down)."""
PACE = 0.32
"""World units per second that a walk covers at speed 1."""


@dataclass(frozen=True)
class Pose:
    """How a character stands in each frame; every field is a float or an array [T, 1, 1].

    Attributes:
        x, y: the spot on the ground below it, in world units.
        rise: how far its feet are above that spot, in world units.
        lean: radians that it tilts to the right, about its feet.
        squash: its height over its usual height; its width makes up for it.
        left_arm, right_arm: radians outwards and up from hanging, on the viewer's left and right.
        left_leg, right_leg: radians outwards from straight down; below 0 the legs cross.
        lie: 0 upright, 1 on its side with the head to the right, -1 to the left.
        eyes_open: 0..1.
        facing: -1 to the left .. 1 to the right; 0 looks at the viewer.
    """

    x: Number = 0.5
    y: Number = FLOOR
    rise: Number = 0.0
    lean: Number = 0.0
    squash: Number = 1.0
    left_arm: Number = 0.45
    right_arm: Number = 0.45
    left_leg: Number = 0.1
    right_leg: Number = 0.1
    lie: Number = 0.0
    eyes_open: Number = 1.0
    facing: Number = 0.0


def pose(
    action: Action,
    time: np.ndarray,
    *,
    x0: float = 0.5,
    speed: float = 1.0,
    facing: float = 1.0,
    phase: float = 0.0,
    y: float = FLOOR,
) -> Pose:
    """A character in the middle of an action.

    Args:
        action: one of ACTIONS.
        time: [T] seconds.
        x0: where it stands at time 0, in world units. Only a walk goes anywhere: PACE * speed per second.
        speed: the tempo; 1 is usual, 0 stands still.
        facing: -1 to the left, 1 to the right.
        phase: where in its cycle the action is at time 0, in cycles (0..1).
        y: the ground that it stands on.

    Returns:
        A pose with float32 arrays [T, 1, 1] or floats as fields.
    """
    seconds = np.asarray(time, np.float32).reshape(-1, 1, 1) * np.float32(speed)
    moving = _MOTIONS[action](seconds, phase, facing)
    return replace(moving, x=x0 + moving.x, y=y)


def _walk(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    swing = _wave(seconds * 1.4 + phase)
    return Pose(
        x=facing * PACE * seconds,
        lean=facing * 0.07,
        left_leg=0.7 * swing,
        right_leg=0.7 * swing,
        left_arm=0.25 - 0.5 * swing,
        right_arm=0.25 - 0.5 * swing,
        eyes_open=_blink(seconds, phase),
        facing=facing,
    )


def _jump(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    cycle = (seconds * 1.15 + phase) % 1
    flight = np.clip((cycle - 0.3) / 0.7, 0, 1)
    height = 4 * flight * (1 - flight)
    crouch = np.sin(np.pi * np.clip(cycle / 0.3, 0, 1))
    arms = 0.45 + 1.6 * height + 0.4 * crouch
    return Pose(
        x=0.0,
        rise=0.17 * height,
        squash=1 - 0.24 * crouch + 0.08 * height,
        left_arm=arms,
        right_arm=arms,
        left_leg=0.15 + 0.5 * height,
        right_leg=0.15 + 0.5 * height,
        facing=0.3 * facing,
    )


def _wave_hand(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    high = 2.45 + 0.45 * _wave(seconds * 2 + phase)
    left = facing < 0
    return Pose(
        x=0.0,
        lean=-0.06 * facing + 0.02 * _wave(seconds + phase),
        left_arm=high if left else 0.45,
        right_arm=0.45 if left else high,
        eyes_open=_blink(seconds, phase),
        facing=0.3 * facing,
    )


def _dance(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    beat = facing * _wave(seconds * 1.2 + phase)
    step = np.abs(beat)
    return Pose(
        x=0.06 * beat,
        lean=0.34 * beat,
        squash=1.04 - 0.1 * (1 - step),
        left_arm=2.3 - 0.4 * beat,
        right_arm=2.3 + 0.4 * beat,
        left_leg=0.1 + 0.7 * np.maximum(beat, 0),
        right_leg=0.1 + 0.7 * np.maximum(-beat, 0),
        facing=0.5 * beat,
    )


def _sit(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    sway = _wave(seconds * 0.6 + phase)
    return Pose(
        x=0.0,
        lean=0.05 * sway,
        left_arm=0.9 + 0.1 * sway,
        right_arm=0.9 - 0.1 * sway,
        left_leg=1.3 + 0.06 * sway,
        right_leg=1.3 - 0.06 * sway,
        eyes_open=_blink(seconds, phase),
        facing=0.5 * facing,
    )


def _sleep(seconds: np.ndarray, phase: float, facing: float) -> Pose:
    breath = _wave(seconds * 0.5 + phase)
    return Pose(
        x=0.0,
        squash=1 - 0.03 * breath,
        left_arm=-0.35,
        right_arm=-0.35,
        left_leg=0.05,
        right_leg=0.05,
        lie=-1.0 if facing < 0 else 1.0,
        eyes_open=0.0,
    )


def _wave(cycles: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * cycles)


def _blink(seconds: np.ndarray, phase: float) -> np.ndarray:
    """Shut for a tenth of a second, every two and a half."""
    return ((seconds / 2.5 + phase + 0.5) % 1 > 0.05).astype(np.float32)


_MOTIONS: dict[Action, Callable[[np.ndarray, float, float], Pose]] = {
    "walks": _walk,
    "jumps": _jump,
    "waves": _wave_hand,
    "dances": _dance,
    "sits": _sit,
    "sleeps": _sleep,
}
