"""The pictures that a shot is given: what it goes on from, what it begins with, what it ends on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..errors import StoryMemError
from ..frames.counts import next_start
from ..frames.pixels import quantise
from ..host.vae import resize
from ..store.stored_shot import StoredShot

OWN = ("start_image", "end_image")
"""What a shot may name, as fields of its plan and as sockets of its node."""


class Given(NamedTuple):
    """Frames of a shot's size; quantised, so that a broken and an unbroken run see the same pixels."""

    start: np.ndarray | None = None
    """The frames that it goes on from, or the one that a cut begins with: uint8 [n, H, W, 3]."""
    end: np.ndarray | None = None
    """The frame that it ends on: uint8 [1, H, W, 3]."""


def given(
    before: StoredShot | None,
    *,
    cut: bool,
    overlap: int,
    size: tuple[int, int],
    start_frames: Tensor | None = None,
    start_image: Tensor | None = None,
    end_image: Tensor | None = None,
) -> Given:
    """What a shot is given.

    Args:
        before: the shot before it; None for the first one, which goes on from `start_frames`.
        size: width and height; images of another size are scaled and cropped at the centre.
        start_image, end_image: [N, H, W, 3], 0..1, of which the first is taken.

    Raises:
        StoryMemError: a start image for a shot that goes on from another, too few start frames, or a shot
            before that is shorter than the overlap.
    """
    end = None if end_image is None else fitted(end_image[:1], size)
    if cut:
        return Given(None if start_image is None else fitted(start_image[:1], size), end)
    if start_image is not None:
        raise StoryMemError(
            "a continued shot takes its start from the previous shot, so it cannot have a start image",
            value="start_image, and cut off",
            remedy="Make it a cut, or disconnect start_image.",
        )
    return Given(_continued(before, start_frames, overlap, size), end)


def fitted(images: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Images [N, H, W, 3], 0..1, in a shot's size: uint8."""
    width, height = size
    return quantise(resize(images.cpu(), width=width, height=height))


def first_start(start_frames: Tensor | None, overlap: int) -> Tensor:
    """The frames that a story's first shot goes on from.

    Raises:
        StoryMemError: there are none, or fewer than the overlap.
    """
    if start_frames is None:
        raise StoryMemError(
            "the first shot of a story is a continued one, but there is nothing before it",
            value="no start_frames",
            remedy="Make it a cut, or connect start_frames.",
        )
    if len(start_frames) < overlap:
        raise StoryMemError(
            f"a first shot that continues from {overlap} frames needs at least {overlap} start_frames",
            value=len(start_frames),
            remedy="Connect more frames, or lower the overlap.",
        )
    return next_start(start_frames, overlap)


def _continued(
    before: StoredShot | None, start_frames: Tensor | None, overlap: int, size: tuple[int, int]
) -> np.ndarray:
    return fitted(first_start(start_frames, overlap), size) if before is None else before.last(overlap)
