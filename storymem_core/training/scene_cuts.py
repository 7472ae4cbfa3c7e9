"""Where one take of a video ends and the next begins: cuts and dissolves, from tiny pictures of its frames.

A cut changes the picture for good. So the last frames before and the first after are compared each with each,
and the MOST alike pair counts: a flash or somebody who walks past the lens leaves frames on both sides that
are alike, a cut leaves none. That change must also stand out from how much the picture moves anyway.

In a dissolve or a fade every frame is a mixture of the frames before and after it, to which no moving camera
comes near: it moves edges, and the mean of two moved edges has two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

THUMBNAIL = (18, 32)
"""Rows and columns: enough to tell pictures apart, too few for grain or a shaking hand to show."""

REACH = 4
"""Frames on either side that are compared; what flashes or passes by for fewer is no cut."""

LEAST_CHANGE = 0.05  # mean difference of thumbnails in 0..1
STAND_OUT = 1.7  # times the greatest change between neighbours near the cut
MIXTURE = 0.2  # a dissolve's frames differ from the mixture by no more than this part of the change
HALF_DISSOLVE = 4  # frames: dissolves of half a second or more are found


class Shot(NamedTuple):
    """Frames start .. end - 1 of a video, one take."""

    start: int
    end: int


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [18, 32, 3] in 0..1: means over the cells of a grid."""
    rows, columns = THUMBNAIL
    tops = np.linspace(0, frame.shape[0], rows, endpoint=False).astype(int)
    lefts = np.linspace(0, frame.shape[1], columns, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(frame.astype(np.uint32), tops), lefts, axis=1)
    heights = np.diff(np.append(tops, frame.shape[0]))
    widths = np.diff(np.append(lefts, frame.shape[1]))
    return (sums / (255.0 * heights[:, None, None] * widths[:, None])).astype(np.float32)


def shots(thumbnails: np.ndarray) -> tuple[Shot, ...]:
    """The takes of a video in order, without the frames of dissolves and fades between them.

    Args:
        thumbnails: [N, rows, columns, 3] in 0..1, N >= 0, 16 a second.
    """
    count = len(thumbnails)
    breaks = set(cuts(thumbnails))
    outside = dissolving(thumbnails)
    found: list[Shot] = []
    start = 0
    for index in range(count + 1):
        ends = index == count or outside[index]
        if (ends or index in breaks) and index > start:
            found.append(Shot(start, index))
        if ends or index in breaks:
            start = index + 1 if ends else index
    return tuple(found)


def cuts(thumbnails: np.ndarray) -> tuple[int, ...]:
    """Numbers of the frames that begin a new take after a hard cut."""
    steps = _difference(thumbnails[1:], thumbnails[:-1])  # steps[i]: from frame i to i + 1
    found = []
    for index in range(1, len(thumbnails)):
        if steps[index - 1] < LEAST_CHANGE:
            continue
        low, high = max(index - REACH, 0), min(index + REACH, len(thumbnails))
        change = _least_difference(thumbnails[low:index], thumbnails[index:high])
        moving = max(steps[low : index - 1].max(initial=0), steps[index : high - 1].max(initial=0))
        if change >= max(LEAST_CHANGE, STAND_OUT * moving):
            found.append(index)
    return tuple(found)


def dissolving(thumbnails: np.ndarray) -> np.ndarray:
    """bool [N]: frames in the middle of a dissolve or a fade."""
    reach = HALF_DISSOLVE
    marked = np.zeros(len(thumbnails), bool)
    for middle in range(reach, len(thumbnails) - reach):
        window = thumbnails[middle - reach : middle + reach + 1]
        change = _difference(window[0], window[-1])
        if change < LEAST_CHANGE:
            continue
        share = np.linspace(0, 1, len(window), dtype=np.float32)[:, None, None, None]
        mixed = window[0] * (1 - share) + window[-1] * share
        if _difference(window, mixed).max() <= MIXTURE * change:
            marked[middle - reach : middle + reach + 1] = True
    return marked


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean absolute difference of pictures [..., rows, columns, 3] -> [...]."""
    return np.abs(one - other).mean(axis=(-3, -2, -1))


def _least_difference(before: np.ndarray, after: np.ndarray) -> float:
    return float(_difference(before[:, None], after[None]).min())
