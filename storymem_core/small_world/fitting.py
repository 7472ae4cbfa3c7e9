"""A character drawn again and again until it fits: its pose, its features, and then its colours.

A spot is four numbers: x, lift above the ground (both in world units), zoom, and the part of the action's
cycle that is over. Every frame has its own, so a fit follows any motion. Colours are never tried: for one
drawing, the best ones follow from a least squares problem with four unknowns.
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
DAMPING, FAR = 0.02, 2.0
"""Of a refinement: how careful it is, and the largest move in steps."""
PHASES = 16
"""Parts of an action's cycle that are tried."""
BLURS = (0.0, 0.4, 0.7, 1.0, 1.4)
"""Standard deviations that are tried, in pixels."""


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

    def __getitem__(self, chosen: list[int] | slice | np.ndarray) -> View:
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
    """colours [N, 4, 3] of PARTS; what they leave unexplained, [N, pixels, 3], and its squares' sum: [N]."""

    colours: np.ndarray
    difference: np.ndarray
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
    canvas = Canvas.new(
        view.frames.shape[1], frames=len(x), **{k: v.reshape(-1, 1, 1) for k, v in windows.items()}
    )
    return layers(canvas, guess.looks, stacked(poses), view.kind)


def coloured(view: View, guess: Guess, *, together: bool = False, blur: float = 0.0) -> Colours:
    """The colours that explain the frames best.

    Args:
        together: all frames have the same colours; else each has its own.
        blur: of the frames, the standard deviation in pixels: the drawing is blurred as much. Without it thin
            parts would take on the colours beside them.
    """
    part = drawn(view, guess)
    shares, rest, ground = (
        blurred(picture, blur)
        for picture in (part.shares, part.rest, part.behind[..., None] * view.background)
    )
    count = len(view.frames)
    shares = shares.reshape(count, -1, 4)
    missing = ((view.frames - ground) / view.light - rest).reshape(count, -1, 3)
    missing -= GREY * shares.sum(-1, keepdims=True)
    products, toward = shares.swapaxes(1, 2) @ shares, shares.swapaxes(1, 2) @ missing
    if together:
        products, toward = (np.broadcast_to(sums.mean(0), sums.shape) for sums in (products, toward))
    colours = np.linalg.solve(products + RIDGE * np.eye(4, dtype=np.float32), toward)
    difference = (missing - shares @ colours) * view.light
    return Colours(colours + GREY, difference, (difference**2).sum((1, 2)))


def blur_of(view: View, guess: Guess) -> float:
    """How blurred the frames are: the deviation, of BLURS, with which the drawing is most like them."""
    return min(BLURS, key=lambda blur: float(coloured(view, guess, blur=blur).left_over.sum()))


def blurred(pictures: np.ndarray, deviation: float) -> np.ndarray:
    """Pictures [N, H, W, C] under a Gaussian blur, their edges repeated."""
    if deviation == 0:
        return pictures
    reach = int(np.ceil(2.5 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        length = pictures.shape[axis]
        edges = [(reach, reach) if each == axis else (0, 0) for each in range(4)]
        wide = np.moveaxis(np.pad(pictures, edges, mode="edge"), axis, 0)
        summed = sum(weight * wide[i : i + length] for i, weight in enumerate(weights))
        pictures = np.moveaxis(np.asarray(summed), 0, axis)
    return pictures


def featured(view: View, guess: Guess) -> Guess:
    """The guess with the hat, the pattern and the face that leave least unexplained."""
    blur = blur_of(view, guess)
    for feature, kinds in (("hat", Hat), ("pattern", Pattern), ("face", Face)):
        tries = [replace(guess, looks=replace(guess.looks, **{feature: kind})) for kind in get_args(kinds)]
        guess = min(
            tries, key=lambda tried: float(coloured(view, tried, together=True, blur=blur).left_over.sum())
        )
    return guess


def turned(view: View, guess: Guess) -> Guess:
    """The guess with the facing, and in each frame the part of the action's cycle, that explain most.

    Whatever part is tried, the middle of what is seen stays where it is: a body that leans stands elsewhere.
    """
    count, tries = len(guess.spots), []
    again = view[np.repeat(np.arange(count), PHASES)]
    middle = _middle(view, guess)
    for facing in (-1, 1):
        tried = np.repeat(guess.spots[:, None], PHASES, axis=1)
        tried[..., 3] += np.arange(PHASES) / PHASES
        turn = replace(guess, facing=facing, spots=tried.reshape(-1, 4))
        tried[..., 0] += middle[:, None] - _middle(again, turn).reshape(count, -1)
        left_over = coloured(again, replace(turn, spots=tried.reshape(-1, 4))).left_over.reshape(count, -1)
        spots = tried[np.arange(count), left_over.argmin(axis=1)]
        tries.append((float(left_over.min(axis=1).sum()), replace(guess, facing=facing, spots=spots)))
    return min(tries, key=lambda tried: tried[0])[1]


def _middle(view: View, guess: Guess) -> np.ndarray:
    """The mean x of what is seen of the character, in world units: [N]."""
    seen = drawn(view, guess).shares.sum(axis=(1, 3))  # [N, columns]
    centres = (np.arange(seen.shape[1]) + 0.5) / seen.shape[1]
    share = (seen @ centres) / np.maximum(seen.sum(axis=1), 1e-6)
    return view.windows[:, 0] + view.windows[:, 2] * share


def refined(view: View, guess: Guess, rounds: int) -> Guess:
    """The guess with spots that leave less unexplained, by Gauss and Newton's method.

    Each of the four numbers is moved a step to both sides; from what that does to every pixel follows where
    all four should go together. The best spots that were met are kept, for each frame its own.
    """
    count, size = len(guess.spots), view.windows[:, 2:]
    step = np.concatenate([STEPS[:2] * size, np.broadcast_to(STEPS[2:], (count, 2))], axis=1)  # [N, 4]
    offsets = np.concatenate([np.zeros((1, 4)), np.eye(4), -np.eye(4)])
    again = np.repeat(np.arange(count), len(offsets))
    spots = kept = guess.spots
    best = np.full(count, np.inf)
    for _ in range(rounds):
        tried = spots[:, None] + offsets * step[:, None]  # [N, 9, 4]
        found = coloured(view[again], replace(guess, spots=tried.reshape(-1, 4)))
        left_over = found.left_over.reshape(count, -1)
        lowest = left_over.argmin(axis=1)
        better = left_over.min(axis=1) < best
        kept = np.where(better[:, None], tried[np.arange(count), lowest], kept)
        best = np.minimum(best, left_over.min(axis=1))
        pixels = found.difference.reshape(count, len(offsets), -1)
        slopes = (pixels[:, 1:5] - pixels[:, 5:]) / 2  # [N, 4, pixels], for a step
        products = slopes @ slopes.swapaxes(1, 2)
        damped = products * (1 + DAMPING * np.eye(4)) + 1e-9 * np.eye(4)
        move = -np.linalg.solve(damped, slopes @ pixels[:, 0, :, None])[..., 0]
        spots = spots + step * move.clip(-FAR, FAR)
        spots[:, 2] = spots[:, 2].clip(*ZOOM)
        step = step / 2
    left_over = coloured(view, replace(guess, spots=spots)).left_over
    return replace(guess, spots=np.where((left_over < best)[:, None], spots, kept))


def with_colours(looks: Looks, colours: np.ndarray) -> Looks:
    """Looks in colours [4, 3], brought into 0..1."""
    named = {part: tuple(colour) for part, colour in zip(PARTS, colours.clip(0, 1).tolist(), strict=True)}
    return replace(looks, **named)  # type: ignore[arg-type]
