"""What a shot is told about its own frames: start frames, then mid-grey, and a mask of what is known (pure).

Dimension letters: F pixel frames, n start frames, f = (F-1)/4+1 latent frames, H and W pixels, h = H/8 and
w = W/8 latent pixels, 3 colours. Three cases (StoryMem, arXiv 2512.19539):

- cut: no start frame; all F frames are grey, nothing is known;
- MI2V: one start frame, the last of the shot before; the first latent frame is known;
- MM2V: n = 5, 9, ... start frames, the last n of the shot before; (n-1)/4+1 latent frames are known.

The VAE's encoding of these pixels is the model's condition. For a cut that is the encoding of grey, neither
zeros nor nothing. The mask is in the host's convention, 0 = known: ComfyUI inverts it and gives it to the
model on four channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import StoryMemError
from .frames import is_length, latent_frames

GREY = 0.5
"""Mid-grey in the host's IMAGE range 0..1; it is 0 in the VAE's range -1..1."""

SPATIAL_STRIDE = 8
"""Pixels per latent pixel of the Wan 2.1 VAE."""

SIZE_STEP = 16
"""Width and height come in steps of the VAE's stride times the model's patch of 2."""


def check_size(width: int, height: int) -> None:
    """Refuse a size that the VAE and the model would silently crop.

    Raises:
        StoryMemError: width or height is not a positive multiple of 16 pixels.
    """
    if min(width, height) < SIZE_STEP or width % SIZE_STEP or height % SIZE_STEP:
        near = "x".join(str(max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP)) for side in (width, height))
        raise StoryMemError(
            f"width and height must be divisible by {SIZE_STEP}",
            value=f"{width}x{height}",
            remedy=f"Use {near}, for example.",
        )


def check_start(start_frames: int, length: int) -> None:
    """Refuse start frames that do not fill whole latent frames, or that leave nothing to generate.

    Args:
        start_frames: n; 0 for a cut, 1 for MI2V, 5, 9, ... for MM2V.
        length: F, 4k+1.

    Raises:
        StoryMemError: n is neither 0 nor 4k+1, n >= F, or F is not 4k+1.
    """
    latent_frames(length)
    if start_frames != 0 and not is_length(start_frames):
        raise StoryMemError(
            "the number of start frames must be 4k+1",
            value=start_frames,
            remedy="Use the last 1 (MI2V) or 5 (MM2V) frames of the shot before, or none for a cut.",
        )
    if start_frames >= length:
        raise StoryMemError(
            f"the start frames fill the whole shot of {length} frames",
            value=start_frames,
            remedy="Make the shot longer, or give fewer start frames.",
        )


def shot_pixels(start: Tensor | None, length: int, height: int, width: int) -> Tensor:
    """The start frames, then grey: what the VAE encodes into the shot's condition.

    Args:
        start: [n, H, W, 3 or more], 0..1, already of the shot's size; None for a cut. Unchanged.
        length: F, 4k+1.
        height, width: H and W.

    Returns:
        A new tensor [F, H, W, 3], dtype and device of `start` (a cut: fp32 on the CPU).

    Raises:
        StoryMemError: as `check_start`.
    """
    if start is None:
        check_start(0, length)
        return torch.full((length, height, width, 3), GREY)
    check_start(len(start), length)
    grey = torch.full((length - len(start), height, width, 3), GREY, dtype=start.dtype, device=start.device)
    return torch.cat([start[..., :3], grey])


def unknown_mask(start_frames: int, length: int, height: int, width: int) -> Tensor:
    """The host's concat_mask: 0 where a latent frame is known, 1 where it is to be made.

    Args:
        start_frames: n; 0 for a cut.
        length: F, 4k+1.
        height, width: H and W.

    Returns:
        fp32 [1, 1, f, h, w].

    Raises:
        StoryMemError: as `check_start`.
    """
    check_start(start_frames, length)
    mask = torch.ones(1, 1, latent_frames(length), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
    known = latent_frames(start_frames) if start_frames else 0
    mask[:, :, :known] = 0.0
    return mask
