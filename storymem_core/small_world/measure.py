"""Who is seen in a clip, doing what, where and when: found by drawing it again (numpy only).

The backdrop comes first (`backdrop`), then every action, build and place in the frame, roughly
(`silhouettes`); then hat, pattern and face are tried and each frame's pose is refined on its own (`fitting`),
so no position, motion or colour is taken for granted. The colours follow by least squares, for painting is
linear in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import backdrop, places
from .actions import Action
from .backdrop import Backdrop, shrunk
from .canvas import Canvas
from .fitting import Guess, View, blur_of, coloured, drawn, featured, refined, turned, with_colours
from .layers import PARTS
from .looks import HomeLooks, Looks
from .owners import Kind
from .scene import FPS, Scene
from .silhouettes import ANYONE, SIZE, STANCES, unexplained

FULL = 64
"""Pixels of a frame's side while a pose is refined."""
GLANCES, STARES = 5, [0, 2, 4]
"""Frames of a clip, evenly spread, that tell place and action; those of them that are looked at closely."""


@dataclass(frozen=True)
class Seen:
    """What a clip shows.

    Attributes:
        backdrop: where it plays, when, and where the camera looks.
        guess: what the character does, its build, hat, pattern and face, and where it stands.
        view: the N frames that were looked at closely.
        colours: [N, 4, 3], of PARTS, in each of these frames.
        left_over: how far the frames are from the picture drawn again: root mean square, 0..1.
    """

    backdrop: Backdrop
    guess: Guess
    view: View
    colours: np.ndarray
    left_over: float

    @property
    def place(self) -> str:
        return self.backdrop.place

    @property
    def time(self) -> str:
        return self.backdrop.time

    @property
    def action(self) -> Action:
        return self.guess.action

    @property
    def looks(self) -> Looks:
        """The character's looks: of each colour, the median of the frames."""
        return with_colours(self.guess.looks, np.median(self.colours, axis=0))

    def identity_error(self, looks: Looks) -> float:
        """How far the character is from these looks: a mean absolute difference of colours in -1..1.

        Both are drawn in the pose that was found, by daylight, and compared pixel by pixel wherever one of
        them shows a colour of its own (eyes and shade tell nobody apart); of the frames, the median counts.
        The same looks give 0, two characters by chance about 0.6.
        """
        found = drawn(self.view, self.guess)
        asked = drawn(self.view, replace(self.guess, looks=replace(looks)))
        ground, day = self.view.background, np.ones(3, np.float32)
        theirs = np.array([getattr(looks, part) for part in PARTS], np.float32)
        unlike = np.abs(found.over(ground, self.colours[:, None], day) - asked.over(ground, theirs, day))
        weights = np.maximum(found.shares.sum(-1), asked.shares.sum(-1))
        return float(np.median((weights * 2 * unlike.mean(-1)).sum((1, 2)) / weights.sum((1, 2))))


def see(frames: np.ndarray, scene: Scene, home: HomeLooks | None = None, kind: Kind = "hero") -> Seen:
    """Look at a clip.

    Args:
        frames: uint8 [T, N, N, 3], 16 a second, N a multiple of 64.
        scene: what was asked for; only its framing, its camera's move and its beginning are believed.
        home: how the home looks, if the clip may play there.
        kind: of the character that is looked for.
    """
    chosen = np.linspace(0, len(frames) - 1, GLANCES).round().astype(int)
    pictures = shrunk(frames[chosen].astype(np.float32) / 255, FULL)
    seconds = scene.start + chosen / FPS
    small = shrunk(pictures, SIZE)
    behind = backdrop.find(small, seconds, scene.framing, scene.move, home)
    windows = np.array(
        [backdrop.window(scene.framing, scene.move, second, behind.focus) for second in seconds]
    )
    view = View(pictures, _painted(behind, windows, home), windows, places.tint(behind.time), kind)
    guess = _glance(view)
    view = view[STARES]
    guess = refined(view, replace(guess, spots=guess.spots[STARES]), 1)
    guess = refined(view, turned(view, featured(view, guess)), 3)
    found = coloured(view, guess, blur=blur_of(view, guess))
    return Seen(behind, guess, view, found.colours, float(np.sqrt(found.left_over.sum() / view.frames.size)))


def _painted(behind: Backdrop, windows: np.ndarray, home: HomeLooks | None) -> np.ndarray:
    """The backdrop alone: [N, FULL, FULL, 3]."""
    left, top, side = (column.reshape(-1, 1, 1) for column in windows.T)
    canvas = Canvas.new(FULL, left=left, top=top, side=side, frames=len(windows))
    places.draw(canvas, behind.place, behind.time, home)  # type: ignore[arg-type]
    return canvas.rgb


def _glance(view: View) -> Guess:
    """The action, build and facing that explain all frames best, and the best spot in each frame."""
    small, ground = shrunk(view.frames, SIZE), shrunk(view.background, SIZE)
    left = np.stack(
        [
            unexplained(frame, behind, view.light, top, side, view.kind)
            for frame, behind, (_, top, side) in zip(small, ground, view.windows, strict=True)
        ]
    )  # [N, STANCES, places]
    of_stance = left.min(axis=2)
    groups: dict[tuple, list[int]] = {}
    for index, stance in enumerate(STANCES):
        groups.setdefault(stance[:3], []).append(index)
    (action, build, facing), members = min(
        groups.items(), key=lambda group: float(of_stance[:, group[1]].min(axis=1).sum())
    )
    stances = np.array(members)[of_stance[:, members].argmin(axis=1)]
    at = left[np.arange(len(left)), stances].argmin(axis=1)
    x = view.windows[:, 0] + view.windows[:, 2] * at / SIZE
    phase = np.array([STANCES[index].phase for index in stances])
    spots = np.stack([x, np.zeros_like(x), np.ones_like(x), phase], axis=1)
    return Guess(replace(ANYONE, build=build), action, facing, spots)
