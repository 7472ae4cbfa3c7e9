"""A shot's conditioning in the host's terms; with a start frame it is what WanImageToVideo makes."""

from __future__ import annotations

from typing import Any, NamedTuple

import comfy.model_management
import node_helpers
import torch
from comfy.sd import VAE
from torch import Tensor

from ..conditioning.start import SPATIAL_STRIDE, check_size, check_start, shot_pixels, unknown_mask
from ..frames.counts import latent_frames
from ..models.wan_shapes import LATENT_CHANNELS
from .vae import encode, encode_grey, resize

Conditioning = list[list[Any]]
"""The host's CONDITIONING: [[text embedding, {option: value}], ...]."""


class ShotConditioning(NamedTuple):
    positive: Conditioning
    negative: Conditioning
    latent: dict[str, Tensor]


def condition_shot(
    positive: Conditioning,
    negative: Conditioning,
    vae: VAE,
    start: Tensor | None,
    *,
    width: int,
    height: int,
    length: int,
    end: Tensor | None = None,
) -> ShotConditioning:
    """Tell both prompts the shot's start frames (or that there are none), and give an empty latent.

    Args:
        positive, negative: unchanged; the results hold new entries.
        start: the last 1 (MI2V) or 4k+1 (MM2V) frames of the shot before, [n, H, W, 3], 0..1, resized with
            a centre crop; None for a cut.
        width, height: divisible by 16.
        length: F, 4k+1.
        end: the shot's last frame [1, H, W, 3], as `start`; None leaves it open. With it all is what the
            host's WanFirstLastFrameToVideo makes.

    Returns:
        Entries with concat_latent_image (raw, [1, 16, f, h, w]) and concat_mask ([1, 1 or 4, f, h, w], 0 =
        known), and the latent {"samples": zeros [1, 16, f, h, w]}.

    Raises:
        StoryMemError: a size, length or number of start frames that cannot be, or another VAE.
    """
    check_size(width, height)
    start_frames = 0 if start is None else len(start)
    check_start(start_frames, length, end is not None)
    mask = unknown_mask(start_frames, length, height, width, end is not None)
    if start is None and end is None:
        condition = encode_grey(vae, length=length, width=width, height=height)
    else:
        first, last = (
            None if images is None else resize(images, width=width, height=height) for images in (start, end)
        )
        condition = encode(vae, shot_pixels(first, length, height, width, last))
        mask = mask.to(condition if first is None else first)
    values = {"concat_latent_image": condition, "concat_mask": mask}
    return ShotConditioning(
        node_helpers.conditioning_set_values(positive, values),
        node_helpers.conditioning_set_values(negative, values),
        {"samples": empty_latent(width=width, height=height, length=length)},
    )


def empty_latent(*, width: int, height: int, length: int) -> Tensor:
    """An empty shot, zeros [1, 16, f, h, w] where the host keeps its latents.

    Raises:
        StoryMemError: a size not divisible by 16 or a length that is not 4k+1.
    """
    check_size(width, height)
    shape = [1, LATENT_CHANNELS, latent_frames(length), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE]
    return torch.zeros(shape, device=comfy.model_management.intermediate_device())
