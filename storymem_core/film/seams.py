"""The joins of a film: how far they jump in colour and motion, and colours that are led over them.

A shot that goes on from another repeats its last frames, so the same frames are there twice: as the shot
before ends, and as this shot has made them again. What differs between the two is the drift of sampling and
VAE alone, no matter what moves. The new frames behind them are corrected by it, less and less until they are
as they were made.

Colours are compared in BT.709's Y'CbCr, per channel by mean and standard deviation, as Reinhard et al. (2001)
do in their own opponent space: its channels hardly depend on each other, and it is linear in RGB, so that
the way there and back costs nothing. All numbers are in 8-bit steps, 0..255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import StoryMemError
from ..store.stored_shot import StoredShot

VERSION = 1
"""Raise it when the same shots give other numbers or colours."""

_LUMA = np.array([0.2126, 0.7152, 0.0722])
_OPPONENT = np.stack([_LUMA, (np.array([0, 0, 1]) - _LUMA) / 1.8556, (np.array([1, 0, 0]) - _LUMA) / 1.5748])
"""RGB -> Y', Cb, Cr; Cb and Cr are 0 for grey."""

_FLAT = 1.0
"""A standard deviation below which a channel has no contrast that could be matched."""


class Colours(NamedTuple):
    """Mean and standard deviation of Y', Cb and Cr over frames."""

    mean: np.ndarray
    spread: np.ndarray


class Correction(NamedTuple):
    """What leads the first frames of a shot over from the one before."""

    made: Colours
    """Of the repeated frames as this shot has made them."""
    true: Colours
    """Of the same frames as the shot before ends."""
    frames: int
    """Over how many frames it fades out."""

    def __call__(self, frame: np.ndarray, index: int) -> np.ndarray:
        """A frame of the shot, corrected.

        Args:
            frame: uint8 [H, W, 3], unchanged.
            index: its place in the film's part of the shot, where 0 is wholly corrected and `frames` is not.
        """
        if index >= self.frames:
            return frame
        weight = (self.frames - index) / self.frames
        matchable = (self.made.spread > _FLAT) & (self.true.spread > _FLAT)
        gain = np.where(matchable, self.true.spread / np.maximum(self.made.spread, _FLAT), 1.0)
        # Per channel true.mean + gain (x - made.mean), as one affine map of RGB.
        scale = (1 - weight) * np.eye(3) + weight * np.linalg.inv(_OPPONENT) @ np.diag(gain) @ _OPPONENT
        shift = weight * np.linalg.inv(_OPPONENT) @ (self.true.mean - gain * self.made.mean)
        values = frame.astype(np.float32) @ scale.T.astype(np.float32) + shift.astype(np.float32)
        return np.floor(values + np.float32(0.5)).clip(0, 255).astype(np.uint8)


class Seam(NamedTuple):
    """How a join looks. All is 0 where nothing jumps."""

    colour: float
    """Between the frames on both sides: the 2-Wasserstein distance of their colours, taken as normal
    distributions per channel: the root of the summed squares of all differences of means and deviations."""
    motion: float | None
    """How unequal the three steps are: the greatest less the smallest; None if there is but one."""
    before: float | None
    """The last step before the join: mean absolute difference of Y' from one frame to the next. None: the
    shot shows one frame only."""
    across: float
    """The step over the join."""
    after: float | None
    """The first step after it."""


def correction(before: StoredShot | None, shot: StoredShot, frames: int) -> Correction | None:
    """What corrects the first `frames` frames of a shot; None where it repeats nothing of the shot before.

    Raises:
        StoryMemError: `frames` is not a whole number >= 0.
    """
    if type(frames) is not int or frames < 0:
        raise StoryMemError(
            "colour_match must be a whole number >= 0", value=frames, remedy="Use 0 to turn it off."
        )
    # A kept shot may stand behind another take than it was made for, and then no frame is there twice.
    if before is None or not shot.repeats(before) or not frames:
        return None
    return Correction(colours(shot.pick(range(shot.dropped))), colours(before.last(shot.dropped)), frames)


def of(
    first: StoredShot | None, before: StoredShot, shot: StoredShot, colour_match: int
) -> dict[str, float | None]:
    """The seam between two shots as the film has them, in 8-bit steps, 0..255, rounded to 3 decimals.

    Args:
        first: the shot before `before`, whose colours it may have been led over from.
    """
    end = _own(first, before, range(before.count - before.dropped)[-2:], colour_match)
    start = _own(before, shot, range(shot.count - shot.dropped)[:2], colour_match)
    seam = measure(end, start)._asdict()
    return {name: None if value is None else round(value, 3) for name, value in seam.items()}


def _own(before: StoredShot | None, shot: StoredShot, indices: range, colour_match: int) -> np.ndarray:
    """Frames of a shot as the film has them; index 0 is the first that repeats nothing."""
    correct = correction(before, shot, colour_match)
    frames = shot.pick(range(shot.dropped + indices.start, shot.dropped + indices.stop))
    if correct is None:
        return frames
    return np.stack([correct(frame, index) for frame, index in zip(frames, indices, strict=True)])


def measure(end: np.ndarray, start: np.ndarray) -> Seam:
    """A join by the frames around it.

    Args:
        end: the last one or two frames before it, uint8 [N, H, W, 3].
        start: the first one or two frames after it.
    """
    steps = [_step(old, new) for old, new in pairwise((*end[-2:], *start[:2]))]
    before = steps[0] if len(end) > 1 else None
    after = steps[-1] if len(start) > 1 else None
    across = steps[len(end[-2:]) - 1]
    motion = max(steps) - min(steps) if len(steps) > 1 else None
    return Seam(distance(colours(end[-1:]), colours(start[:1])), motion, before, across, after)


def colours(frames: Iterable[np.ndarray]) -> Colours:
    """The colours of one frame or more, each uint8 [H, W, 3]."""
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for frame in frames:
        pixels = frame.reshape(-1, 3).astype(np.float64)
        # Whole numbers below 2**53: exact, in whatever order they are added up.
        count, total, products = count + len(pixels), total + pixels.sum(0), products + pixels.T @ pixels
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    variance = np.einsum("ci,ij,cj->c", _OPPONENT, covariance, _OPPONENT)
    return Colours(_OPPONENT @ mean, np.sqrt(np.maximum(variance, 0.0)))


def distance(one: Colours, other: Colours) -> float:
    """How far colours are apart, see `Seam.colour`; 0 for the same."""
    differences = np.concatenate([one.mean - other.mean, one.spread - other.spread])
    return math.sqrt(float((differences**2).sum()))


def _step(old: np.ndarray, new: np.ndarray) -> float:
    """Mean absolute difference of Y' from one frame to the next."""
    difference = (new.astype(np.int16) - old.astype(np.int16)).astype(np.float32)
    return float(np.abs(difference @ _LUMA.astype(np.float32)).mean(dtype=np.float64))
