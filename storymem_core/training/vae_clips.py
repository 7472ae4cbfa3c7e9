"""Drawn clips and a VAE: as its latents, and how far what it gives back is from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..disk import replacing
from ..models.wan_shapes import LATENT_CHANNELS
from .vae_forward import Autoencoder, decode, encode

_CHARACTERS = 4.0
"""Weight of a character's pixel beyond a place's: places are few, soon learned, and most of a frame."""
_ABSOLUTE = 0.1
"""Weight of the absolute error beside the squared one: edges and flat colours become clean sooner."""
_SHOWN = 6


def tensor(drawn: np.ndarray) -> Tensor:
    """uint8 [N, T, H, W, C] -> float [N, C, T, H, W]: colours in -1..1, and above 0 where a character is."""
    numbers = torch.from_numpy(np.array(drawn)).permute(0, 4, 1, 2, 3).float()
    numbers[:, :3] = numbers[:, :3] / 127.5 - 1
    return numbers


def weights(characters: Tensor) -> Tensor:
    """[N, 1, T, H, W], above 0 where a character is -> how much a pixel counts."""
    return 1 + _CHARACTERS * (characters > 0)


def errors(back: Tensor, clips: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Of clips [N, 3, T, H, W] in -1..1: "loss", squared and absolute error by weight; "squared" alone."""
    error, weight = back.float() - clips, weight / weight.mean()
    lost = (weight * (error.square() + _ABSOLUTE * error.abs())).mean()
    return {"loss": lost, "squared": error.square().mean()}


@torch.no_grad()
def latents(vae: Autoencoder, drawn: np.ndarray) -> np.ndarray:
    """Posterior means, fp16 [N, 16, t, h, w], of clips uint8 [N, T, H, W, C]."""
    clips = (tensor(clip[None])[:, :3] for clip in drawn)
    return np.concatenate([_encode(vae, clip).half().numpy() for clip in clips])


@torch.no_grad()
def back(vae: Autoencoder, clip: Tensor) -> Tensor:
    """What comes back of a clip [1, 3, T, H, W] in -1..1, in fp32 on the CPU."""
    means = _encode(vae, clip)
    with _autocast(vae) as device:
        return decode(vae, means.to(device)).float().clamp(-1, 1).cpu()


@torch.no_grad()
def psnr(vae: Autoencoder, clips: Tensor) -> float:
    """Mean over clips [N, 3, T, H, W] in -1..1 of the PSNR, in dB, of what comes back of each alone."""
    squared = [(back(vae, clip[None]) - clip).square().mean() for clip in clips]
    return float((10 * torch.log10(4 / torch.stack(squared))).mean())


@torch.no_grad()
def sheet(vae: Autoencoder, clips: Tensor, path: Path) -> None:
    """Write a picture: drawn frames above what comes back, the first ones and the last ones."""
    from PIL import Image

    clips = clips[:_SHOWN]
    returned = torch.cat([back(vae, clip[None]) for clip in clips])
    rows = [part[:, :, frame] for frame in (0, -1) for part in (clips, returned)]
    picture = torch.cat([torch.cat(list(row), -1) for row in rows], -2)
    pixels = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "png")


def _encode(vae: Autoencoder, clip: Tensor) -> Tensor:
    with _autocast(vae) as device:
        return encode(vae, clip.to(device))[:, :LATENT_CHANNELS].float().cpu()


@contextmanager
def _autocast(vae: Autoencoder) -> Iterator[torch.device]:
    device = next(vae.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        yield device
