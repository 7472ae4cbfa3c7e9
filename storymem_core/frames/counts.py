"""Counting frames: what a shot's length may be, what it shares with the shot before, what it hands on.

Wan's VAE packs four pixel frames into one latent frame and gives the first pixel frame a latent frame of
its own, so every run of frames that is encoded by itself has a length of 4k+1.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from ..errors import StoryMemError

TEMPORAL_STRIDE = 4
"""Pixel frames in one latent frame of Wan's VAE."""


class Frames(Protocol):
    """Anything with frames along its first axis: a list, a NumPy array, a tensor [N, H, W, 3]."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


FramesT = TypeVar("FramesT", bound=Frames)


def is_length(frames: object) -> bool:
    """Whether `frames` is a whole number 4k+1, k >= 0; True and False are not numbers here."""
    return type(frames) is int and frames >= 1 and frames % TEMPORAL_STRIDE == 1


def check_length(frames: int, what: str) -> None:
    """Refuse what is not a whole number 4k+1; `what` names it in the error.

    Raises:
        StoryMemError: names the nearest lengths that would do.
    """
    if is_length(frames):
        return
    below = (max(frames, 1) - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1 if type(frames) is int else 77
    raise StoryMemError(
        f"{what} must be a whole number of the form 4k+1",
        value=frames,
        remedy=f"Use {below} or {below + TEMPORAL_STRIDE}.",
    )


def latent_frames(length: int) -> int:
    """Latent frames f of a run of pixel frames: 81 -> 21, 5 -> 2, 1 -> 1.

    Raises:
        StoryMemError: `length` is not a whole number 4k+1.
    """
    check_length(length, "a length")
    return (length - 1) // TEMPORAL_STRIDE + 1


def dropped(cut: bool, overlap: int) -> int:
    """Frames at a shot's start that the film already has: 0 after a cut, else the whole overlap.

    StoryMem, arXiv 2512.19539: of 81 frames 81 are left after a cut, 80 with MI2V (overlap 1) and 76 with
    MM2V (overlap 5).

    Raises:
        StoryMemError: `overlap` is not a whole number 4k+1.
    """
    check_length(overlap, "an overlap")
    return 0 if cut else overlap


def next_start(frames: FramesT, overlap: int) -> FramesT:
    """The last `overlap` frames of a shot, from which the next one goes on.

    Args:
        frames: N frames, in order of time; unchanged (the result may be a view of it).
        overlap: 1 for MI2V; 5, 9, ... for MM2V.

    Raises:
        StoryMemError: `overlap` is not a whole number 4k+1, or the shot has fewer frames.
    """
    check_length(overlap, "an overlap")
    if len(frames) < overlap:
        raise StoryMemError(
            f"a shot of {len(frames)} frames is too short to hand on its last {overlap}",
            value=len(frames),
            remedy="Make the shot longer or the overlap shorter.",
        )
    return frames[len(frames) - overlap :]
