"""A character drawn again and again until it fits: its pose, its features, and then its colours.

A spot is four numbers: x, lift above the ground (both in world units), zoom, and the part of the action's cycle
that is over. Every frame has its own, so a fit follows any motion. Colours are never tried: for one drawing, the
best ones follow from a least squares problem with four unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

import numpy as np

from .actions import FLOOR, Action, pose
from .canvas import Canvas
from .layers import PARTS, Layers, layers
from .looks import Face, Hat, Looks, Pattern
from .owners import Kind
from .silhouettes import GREY, stacked

RIDGE = 0.1
"""How strongly colours are drawn to grey, in pixels: what is hardly seen must not take on any colour."""
STEPS = np.array([0.012, 0.012, 0.04, 0.05])
"""First steps of a refinement; those of x and lift are in sides of the frame."""
ZOOM = (0.75, 1.33)


@dataclass(frozen=True)
class View:
    """N frames of a clip.

    Attributes:
        frames, background: [N, H, W, 3], 0..1.
        windows: [N, 3], left, top and side of what the camera sees, in world units.
        light: [3], on the character.
    """

    frames: np.ndarray
    background: np.ndarray
    windows: np.ndarray
    light: np.ndarray
    kind: Kind

    def __getitem__(self, chosen: object) -> View:
        return replace(
            self,
            frames=self.frames[chosen],
            background=self.background[chosen],
            windows=self.windows[chosen],
        )


@dataclass(frozen=True)
class Guess:
    """A character's looks (colours aside) and what it does, with its spots [N, 4]."""

    looks: Looks
    action: Action
    facing: int
    spots: np.ndarray


class Colours(NamedTuple):
    """colours [N, 4, 3] of PARTS, and the sum of squares that they leave unexplained in each frame: [N]."""

    colours: np.ndarray
    left_over: np.ndarray


def drawn(view: View, guess: Guess) -> Layers:
    """The character taken apart, as each frame of the view would show it."""
    x, lift, zoom, phase = guess.spots.T
    poses = [
        pose(guess.action, np.zeros(1), x0=x0, y=y, facing=guess.facing, phase=part)
        for x0, y, part in zip(x, FLOOR - lift, phase, strict=True)
    ]
    # A larger character is one that the camera is nearer to, looking past its feet.
    left, top, side = view.windows.T
    windows = {"left": x + (left - x) / zoom, "top": FLOOR + (top - FLOOR) / zoom, "side": side / zoom}
    canvas = Canvas.new(view.frames.shape[1], frames=len(x), **{k: v.reshape(-1, 1, 1) for k, v in windows.items()})
    return layers(canvas, guess.looks, stacked(poses), view.kind)


def coloured(view: View, guess: Guess, *, together: bool = False) -> Colours:
    """The colours that explain the frames best, each frame on its own or all with the same ones."""
    part = drawn(view, guess)
    count = len(view.frames)
    shares = part.shares.reshape(count, -1, 4)
    missing = (view.frames - part.behind[..., None] * view.background) / view.light - part.rest
    missing = missing.reshape(count, -1, 3) - GREY * shares.sum(-1, keepdims=True)
    products, toward = shares.swapaxes(1, 2) @ shares, shares.swapaxes(1, 2) @ missing
    if together:
        products, toward = (np.broadcast_to(sums.mean(0), sums.shape) for sums in (products, toward))
    colours = np.linalg.solve(products + RIDGE * np.eye(4, dtype=np.float32), toward)
    left_over = (((missing - shares @ colours) * view.light) ** 2).sum((1, 2))
    return Colours(colours + GREY, left_over)


def featured(view: View, guess: Guess) -> Guess:
    """The guess with the hat, the pattern and the face that leave least unexplained."""
    for feature, kinds in (("hat", Hat), ("pattern", Pattern), ("face", Face)):
        tries = [
            replace(guess, looks=replace(guess.looks, **{feature: kind})) for kind in get_args(kinds)
        ]
        guess = min(tries, key=lambda tried: float(coloured(view, tried, together=True).left_over.sum()))
    return guess


def refined(view: View, guess: Guess, rounds: int) -> Guess:
    """The guess with spots that leave less unexplained: each number is tried a step to both sides.

    The next round starts from where a parabola through the three values has its lowest point, with half the step.
    """
    count, size = len(guess.spots), view.windows[:, 2:]
    step = np.concatenate([STEPS[:2] * size, np.broadcast_to(STEPS[2:], (count, 2))], axis=1)  # [N, 4]
    offsets = np.concatenate([np.zeros((1, 4)), np.eye(4), -np.eye(4)])
    best, spots = np.full(count, np.inf), guess.spots
    kept = spots
    for _ in range(rounds):
        tried = spots[:, None] + offsets * step[:, None]  # [N, 9, 4]
        again = np.repeat(np.arange(count), len(offsets))
        found = coloured(view[again], replace(guess, spots=tried.reshape(-1, 4))).left_over.reshape(count, -1)
        lowest = found.argmin(1)
        better = found.min(1) < best
        kept = np.where(better[:, None], tried[np.arange(count), lowest], kept)
        best = np.minimum(best, found.min(1))
        spots = spots + step * _lowest(found[:, :1], found[:, 1:5], found[:, 5:])
        spots[:, 2] = spots[:, 2].clip(*ZOOM)
        step = step / 2
    found = coloured(view, replace(guess, spots=spots)).left_over
    return replace(guess, spots=np.where((found < best)[:, None], spots, kept))


def _lowest(middle: np.ndarray, above: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Where, in steps from -1 to 1, a parabola through three values at 1, 0 and -1 is lowest."""
    bend = above + under - 2 * middle
    tip = (under - above) / np.where(bend > 1e-9, 2 * bend, 1.0)
    return np.where(bend > 1e-9, tip.clip(-1, 1), np.where(above < under, 1.0, -1.0))


def with_colours(looks: Looks, colours: np.ndarray) -> Looks:
    """Looks in colours [4, 3], brought into 0..1."""
    named = {part: tuple(colour) for part, colour in zip(PARTS, colours.clip(0, 1).tolist(), strict=True)}
    return replace(looks, **named)  # type: ignore[arg-type]
