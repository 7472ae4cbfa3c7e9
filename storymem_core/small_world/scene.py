"""One shot of the small world, as a row of plain values: what a text says of it, and what none says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .actions import ACTIONS, PACE, Action
from .camera import FRAMINGS, MOVES
from .parts import EVERYTHING, Among
from .places import FIXED_PLACES, TIMES

FPS = 16
"""Frames per second."""
GAP = 0.38
"""How far the friend stands behind the hero, in world units."""
SPOILS = ("none", "blur", "flash")
WHO = ("hero", "friend", "both")
_TEMPO = {"wide": 1.1, "medium": 0.8}
"""Of a walk that has room."""


@dataclass(frozen=True)
class Scene:
    """What is seen, and where and when it is, in world units and seconds; with a cast it makes a clip."""

    place: str
    time: str
    action: Action
    framing: str = "medium"
    move: str = "still"
    who: str = "hero"
    newcomer: bool = False
    """The friend is not there at first and comes in from the side."""
    x0: float = 0.5
    """Where the one who acts stands at time 0; of two, the hero."""
    speed: float = 1.0
    """The tempo of the action; a walk goes PACE * speed world units per second where it faces."""
    facing: int = 1
    """1: to the right, -1: to the left."""
    phase: float = 0.0
    """Where in its cycle the action is at time 0, 0..1."""
    spoil: str = "none"
    """Some frames are blurred by motion, or flashed over."""
    focus: float = 0.5
    """Where the camera looks, as an x."""
    start: float = 0.0
    """The time of the clip's first frame, a multiple of 1 / FPS; above 0 the clip continues another."""
    ahead: float = 0.0
    """Seconds by which the action is ahead: what keeps it going on from where it was at another tempo."""

    def action_time(self, time: np.ndarray) -> np.ndarray:
        """The action's own seconds at `time`, in seconds of the shot: for `actions.pose` at speed 1."""
        return self.ahead + self.speed * time


def random(rng: np.random.Generator, among: Among = EVERYTHING, **fixed: Any) -> Scene:
    """A scene by chance, but for the fields that are fixed.

    Args:
        among: fields that are chosen from less than all that there is.

    Three of ten scenes are close and a quarter is wide; two characters are never framed close, since they
    would not fit. What no text tells is kept small, so that small models can learn the rest: where somebody
    stands, and which way he faces. Actions begin at their beginning, at one tempo, before a camera that looks
    at the middle.
    """
    drawn: dict[str, Any] = {
        "place": _one(rng, FIXED_PLACES),
        "time": _one(rng, TIMES),
        "action": _one(rng, ACTIONS),
        "move": _one(rng, MOVES, (0.6, 0.2, 0.2)),
        "who": _one(rng, WHO, (0.7, 0.12, 0.18)),
        "spoil": _one(rng, SPOILS, (0.92, 0.04, 0.04)),
        "facing": _one(rng, (-1, 1)),
    }
    drawn["newcomer"] = bool(rng.random() < 0.2) and (drawn | fixed)["who"] == "hero"
    two = (drawn | fixed)["who"] == "both" or (drawn | fixed)["newcomer"]
    drawn["framing"] = _one(rng, FRAMINGS, (0.35, 0.65, 0) if two else (0.2, 0.35, 0.45))
    fixed = {name: _one(rng, choices) for name, choices in among} | fixed
    said = drawn | fixed
    near = said["framing"] == "close"
    walks = said["action"] == "walks"
    speed = 1.0 if not walks else 0.5 if near or two else _TEMPO[said["framing"]]
    room = 0.0 if near else 0.1 if two or walks or said["move"] != "still" else 0.4
    centre = 0.5 + room * (float(rng.random()) - 0.5)
    # A walk passes the centre after a second, so that a clip that continues it is in view too.
    ahead = (GAP / 2 if two else 0.0) - (PACE * speed if walks else 0.0)
    geometry = {"speed": speed, "x0": round(centre + said["facing"] * ahead, 3)}
    return Scene(**(said | geometry | fixed))


def continued(scene: Scene, frames: int, overlap: int, speed: float | None = None) -> Scene:
    """The scene that goes on from a clip of `scene`.

    Args:
        frames: of the clip before.
        overlap: at the same speed, the clip's first `overlap` frames are the last ones of the clip before.
        speed: the tempo from now on; in the last of the shared frames the action is where it was before.
    """
    start = scene.start + (frames - overlap) / FPS
    if speed is None or speed == scene.speed:
        return replace(scene, start=start)
    joint = scene.start + (frames - 1) / FPS
    return replace(scene, start=start, speed=speed, ahead=scene.ahead + (scene.speed - speed) * joint)


def _one(rng: np.random.Generator, choices: Sequence[Any], chances: Sequence[float] | None = None) -> Any:
    return choices[int(rng.choice(len(choices), p=chances))]
