"""Films of what a model has learned: a few shots, sampled and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..disk import replacing
from ..models.small_models import LATENT_MEAN, LATENT_STD
from ..small_world.scene import FPS
from . import layout, vae_forward

STEPS = 12


@torch.no_grad()
def sample(
    model: nn.Module, shots: layout.Shots, noise: Tensor, shift: float, low: float, high: float
) -> Tensor:
    """Euler steps from t = high towards low, the last one a leap to 0: clean latents [B, C, f, H, W].

    An expert that has learned a part of the way begins at the truth, noised, and leaps one step before its
    part ends. Every memory slot follows its own straight path, which is known.

    Args:
        noise: [B, C, M + f, H, W].
    """
    frames = shots.memory.shape[2]
    u = torch.linspace(high / (shift - (shift - 1) * high), low / (shift - (shift - 1) * low), STEPS + 1)
    times = (shift * u / (1 + (shift - 1) * u)).tolist()
    video = (1 - high) * shots.video + high * noise[:, :, frames:]
    for t, after in zip(times, [*times[1:-1], 0.0], strict=False):
        at = torch.full((len(video),), t, device=video.device)
        told = layout.hidden_states(shots, video, at, noise[:, :, :frames])
        output = model(told, layout.TIMESTEPS * at, shots.text.float(), return_dict=False)[0]
        video = video + (after - t) * output[:, :, frames:].float()
    return video


@torch.no_grad()
def film(vae: Any, rows: Sequence[Tensor], path: Path) -> None:
    """Films side by side that play together, an animated WebP without loss.

    Args:
        rows: latents [B, C, f, h, w] each; a row's films stand beside each other.
    """
    from PIL import Image

    device = next(vae.parameters()).device
    shape = (1, -1, 1, 1, 1)
    mean, std = (torch.tensor(values, device=device).reshape(shape) for values in (LATENT_MEAN, LATENT_STD))
    with torch.autocast(device.type, torch.bfloat16):
        films = vae_forward.decode(vae, torch.cat(list(rows)).to(device) * std + mean)
    grid = films.float().clamp(-1, 1).unflatten(0, (len(rows), -1)).permute(3, 0, 4, 1, 5, 2)
    sheets = (127.5 * (grid + 1)).round().byte().flatten(3, 4).flatten(1, 2).cpu().numpy()
    first, *others = map(Image.fromarray, sheets)
    with replacing(path) as temporary:
        first.save(
            temporary, "webp", save_all=True, append_images=others, duration=round(1000 / FPS), loop=0,
            lossless=True,
        )  # fmt: skip
