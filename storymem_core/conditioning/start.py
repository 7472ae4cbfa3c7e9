"""What a shot is told about its own frames: start frames, then mid-grey, and a mask of what is known (pure).

Dimension letters: F pixel frames, n start frames, f = (F-1)/4+1 latent frames, H and W pixels, h = H/8 and
w = W/8 latent pixels, 3 colours. Three cases (StoryMem, arXiv 2512.19539):

- cut: no start frame; all F frames are grey, nothing is known;
- MI2V: one start frame, the last of the shot before; the first latent frame is known;
- MM2V: n = 5, 9, ... start frames, the last n of the shot before; (n-1)/4+1 latent frames are known.

Beside each of them the shot's last frame may be given too (first-last-frame): of the last latent frame's
four mask channels, one per pixel frame, the last one is then known, as in the host's
WanFirstLastFrameToVideo.

The VAE's encoding of these pixels is the model's condition. For a cut that is the encoding of grey, neither
zeros nor nothing. The mask is in the host's convention, 0 = known: ComfyUI inverts it and gives it to the
model on four channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import StoryMemError
from ..frames.counts import TEMPORAL_STRIDE, is_length, latent_frames

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


def check_start(start_frames: int, length: int, end: bool = False) -> None:
    """Refuse start frames that do not fill whole latent frames, or that leave nothing to generate.

    Args:
        start_frames: n; 0 for a cut, 1 for MI2V, 5, 9, ... for MM2V.
        length: F, 4k+1.
        end: the last frame is given too.

    Raises:
        StoryMemError: n is neither 0 nor 4k+1, n >= F, F is not 4k+1, or no latent frame is left between the
            start and the end.
    """
    latent_frames(length)
    if start_frames != 0 and not is_length(start_frames):
        raise StoryMemError(
            "the number of start frames must be 4k+1",
            value=start_frames,
            remedy="Use the last 1 (MI2V) or 5 (MM2V) frames of the previous shot, or none for a cut.",
        )
    if start_frames >= length:
        raise StoryMemError(
            f"the start frames fill the whole shot of {length} frames",
            value=start_frames,
            remedy="Make the shot longer, or use fewer start frames.",
        )
    if end and latent_frames(length) - _latents_of(start_frames) < 2:
        raise StoryMemError(
            f"nothing is left to generate between {start_frames} start frames and the end image",
            value=f"{length} frames",
            remedy=f"Make the shot at least {start_frames + 8 if start_frames else 5} frames long.",
        )


def shot_pixels(
    start: Tensor | None, length: int, height: int, width: int, end: Tensor | None = None
) -> Tensor:
    """The start frames, then grey, perhaps an end: what the VAE encodes into the shot's condition.

    Args:
        start: [n, H, W, 3 or more], 0..1, already of the shot's size; None for a cut. Unchanged.
        length: F, 4k+1.
        height, width: H and W.
        end: the last frame, [1, H, W, 3 or more], as `start`; None leaves it open. Unchanged.

    Returns:
        A new tensor [F, H, W, 3], dtype and device of `start`, without one of `end`,
        and fp32 on the CPU without both.

    Raises:
        StoryMemError: as `check_start`.
    """
    known = 0 if start is None else len(start)
    check_start(known, length, end is not None)
    given = end if start is None else start
    pixels = torch.full((length, height, width, 3), GREY)
    pixels = pixels if given is None else pixels.to(given)
    if start is not None:
        pixels[:known] = start[..., :3]
    if end is not None:
        pixels[-1:] = end[..., :3]
    return pixels


def unknown_mask(start_frames: int, length: int, height: int, width: int, end: bool = False) -> Tensor:
    """The host's concat_mask: 0 where a latent frame is known, 1 where it is to be made.

    Args:
        start_frames: n; 0 for a cut.
        length: F, 4k+1.
        height, width: H and W.
        end: the last frame is known too.

    Returns:
        fp32 [1, 1, f, h, w]; with an end [1, 4, f, h, w].

    Raises:
        StoryMemError: as `check_start`.
    """
    check_start(start_frames, length, end)
    mask = torch.ones(1, 1, latent_frames(length), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
    mask[:, :, : _latents_of(start_frames)] = 0.0
    if end:
        mask = mask.repeat(1, TEMPORAL_STRIDE, 1, 1, 1)
        mask[:, -1, -1] = 0.0
    return mask


def _latents_of(start_frames: int) -> int:
    return latent_frames(start_frames) if start_frames else 0
