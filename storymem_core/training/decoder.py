"""Stage 2: the VAE's decoder alone, on whole clips, from latents that are made once.

Latents stay as they are, so what learns them does not have to wait for it. A step takes half the
time of one of the whole VAE and gains as much: the latents have the detail, the decoder lacks practice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoints, vae_clips
from .compiling import can_compile, compile_again
from .loop import left, train
from .recipes import Recipe
from .vae import PROBED, VAE, Vae, finish
from .vae_drawings import FRESH, draw, kept
from .vae_forward import Autoencoder, decode

DECODER = "decoder"
"""The stage, and its folder."""
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


def train_decoder(
    recipe: Recipe, folder: Path, minutes: float | None = None, *, seed: int = 0, device: str = ""
) -> bool:
    """Train the decoder of the VAE of `folder`/vae under `folder`/decoder, and write the whole VAE there.

    Args:
        recipe: of the size.
        folder: of the whole training; the stage vae must be done there.
        minutes: stop after so many; the next call goes on.
        seed: of batches.
        device: "cpu" or ""; empty for a GPU if there is one.

    Returns:
        Whether it is done: then `load_vae` reads it as of this stage.

    Raises:
        StoryMemError: the VAE is not trained, and as `loop.train`.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, last = Vae(recipe.vae), [*recipe.vae.parts][-1]
    # Before it was levelled: noise on latents is of that size.
    model.load_state_dict(checkpoints.averages(folder / VAE / last))
    place, schedule = folder / DECODER, recipe.vae.decoder.schedule
    fresh = draw(FRESH, PROBED, recipe.size, recipe.length, recipe.scenes)
    stage = DecoderStage(recipe, model.vae.to(where), place, fresh, where)
    if not train(stage, place, schedule, seed=seed, minutes=left(until), device=device).finished:
        return False
    finish(model.vae, recipe, place)
    return True


def _scenes(recipe: Recipe) -> np.ndarray:
    part, shape = recipe.vae.decoder, (recipe.size, recipe.length)
    return np.concatenate(
        [draw(0, part.stories, *shape, recipe.scenes), draw(part.stories, part.others, *shape)]
    )
