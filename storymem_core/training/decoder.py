"""The VAE's last part: its decoder alone, on whole clips, from latents that are made once.

Latents stay as they are, so models that learned them stay right. A step takes half the time of one of the
whole VAE and gains as much: after 12,000 steps it is the decoder that lacks practice, not the latents detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import vae_clips
from .compiling import can_compile, compile_again
from .drawings import draw, kept
from .recipes import Recipe
from .vae_forward import Autoencoder, decode

DECODER = "decoder"
_WORTH_COMPILING = 1500
"""Steps: compiling takes a minute and makes a step on a CPU a third shorter."""


class Decoder(nn.Module):
    """A VAE of which only what decodes is trained, with one call: latents -> clips."""

    def __init__(self, vae: Autoencoder):
        super().__init__()
        self.vae = vae
        vae.requires_grad_(False)
        for part in (vae.post_quant_conv, vae.decoder):
            part.requires_grad_(True)

    def forward(self, latents: Tensor) -> Tensor:
        """[B, 16, 1 + k, H / 8, W / 8] -> [B, 3, 1 + 4k, H, W]."""
        return decode(self.vae, latents)


class DecoderStage:
    """The decoder's training as a stage of `loop.train`.

    Args:
        recipe: of the size.
        vae: trained so far.
        folder: where drawings and their latents are kept.
        fresh: clips to measure it on, uint8 [N, T, H, W, 4].
        device: "cpu" or another; where it is trained.
    """

    def __init__(self, recipe: Recipe, vae: Autoencoder, folder: Path, fresh: np.ndarray, device: str):
        self.name = f"vae_{DECODER}"
        self.part = recipe.vae.decoder
        told = {key: value for key, value in vars(self.part).items() if key != "schedule"}
        self.identity: Mapping[str, Any] = {
            "size": recipe.size, "base_dim": recipe.vae.base_dim, "scenes": recipe.scenes, **told
        }  # fmt: skip
        self.clips = kept(folder / "scenes.npy", lambda: _scenes(recipe))
        self.latents = kept(folder / "scenes_latents.npy", lambda: vae_clips.latents(vae, self.clips))
        self.fresh, self.vae = vae_clips.tensor(fresh)[:, :3], vae
        self.model: nn.Module = Decoder(vae)
        if device == "cpu" and self.part.schedule.steps >= _WORTH_COMPILING and can_compile():
            compile_again([self.model], dynamic=False)

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The error of clips decoded from noisy latents."""
        which = torch.randint(len(self.clips), (self.part.schedule.batch,), generator=generator).tolist()
        drawn = vae_clips.tensor(self.clips[which])
        clean = torch.from_numpy(self.latents[which]).float()
        noisy = clean + self.part.noise * torch.randn(clean.shape, generator=generator)
        device = next(model.parameters()).device
        clips, characters, noisy = (part.to(device) for part in (drawn[:, :3], drawn[:, 3:], noisy))
        return vae_clips.errors(model(noisy), clips, vae_clips.weights(characters))

    def probe(self, model: nn.Module, step: int) -> dict[str, float]:
        """PSNR on fresh clips of the scenes."""
        return {"psnr": vae_clips.psnr(self.vae, self.fresh)}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """See `vae_clips.sheet`."""
        vae_clips.sheet(self.vae, self.fresh, folder / f"step_{step:07}.png")


def _scenes(recipe: Recipe) -> np.ndarray:
    part, shape = recipe.vae.decoder, (recipe.size, recipe.length)
    return np.concatenate(
        [draw(0, part.stories, *shape, recipe.scenes), draw(part.stories, part.others, *shape)]
    )
