"""Stage 1: the VAE, on pictures first, then on longer and longer clips. `decoder` goes on from it.

A picture costs a twentieth of a clip and teaches nearly all: with one frame only the last slice in time of
each kernel is used. The layers that join and split frames therefore start as averages and copies, so that
what pictures have taught holds for clips at once. Most steps see crops around characters: places are few and
soon learned, and a network of convolutions does not mind.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..disk import replacing
from ..errors import StoryMemError
from ..frames.counts import latent_frames
from ..models.wan_shapes import LATENT_CHANNELS
from . import vae_clips
from .leveling import level, moments
from .loop import left, train
from .recipes import Phase, Recipe, VaePart, VaeRecipe
from .vae_drawings import FRESH, draw, kept
from .vae_forward import Autoencoder, decode, encode

VAE, FILE = "vae", "vae.safetensors"
"""The stage, and its result in its folder."""
PROBED, _MEASURED = 2, 40
"""Fresh stories that the log's PSNR and the latents' statistics are taken from."""
_AT_CHARACTERS = 0.8
"""Share of the crops that are centred on a character's pixel."""


class Vae(nn.Module):
    """A VAE as a module with one call: clips -> latent means and what comes back from them with noise."""

    def __init__(self, recipe: VaeRecipe, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.vae: Autoencoder = AutoencoderKLWan(base_dim=recipe.base_dim, z_dim=LATENT_CHANNELS)
        start_still(self.vae)

    def forward(
        self, clips: Tensor, noise: Tensor | None = None, halved: bool = False
    ) -> tuple[Tensor, Tensor]:
        """[B, 3, T, H, W] and noise like the latents -> (latents, clips), or clips of half the size."""
        means = encode(self.vae, clips)[:, :LATENT_CHANNELS]
        latents = means if noise is None else means + noise.to(means)
        return means, decode(self.vae, half(latents) if halved else latents)


class VaeStage:
    """A part of the VAE's training as a stage of `loop.train`, over clips of `drawings`."""

    def __init__(self, recipe: Recipe, part: str, model: Vae, clips: np.ndarray, fresh: np.ndarray):
        self.name = f"vae_{part}"
        self.recipe, self.part, self.clips = recipe.vae, recipe.vae.parts[part], clips
        self.vae = model
        self.model: nn.Module = model
        self.fresh = vae_clips.tensor(fresh)[:, :3]
        told = {key: value for key, value in vars(self.part).items() if key != "schedule"}
        whole = {key: getattr(recipe.vae, key) for key in ("base_dim", "size_weight", "stories")}
        self.identity: Mapping[str, Any] = {"size": recipe.size, **whole, **told}

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared and absolute error of clips in -1..1, most where characters are, and the latents' size."""
        now = phase(self.part, step)
        drawn = self._batch(now, generator).to(_device(model))
        clips, weight = drawn[:, :3], vae_clips.weights(drawn[:, 3:])
        side = clips.shape[-1] // 8
        shape = (now.clips, LATENT_CHANNELS, latent_frames(now.frames), side, side)
        noise = self.part.noise * torch.randn(shape, generator=generator).to(clips)
        halved = bool(torch.rand((), generator=generator) < self.part.halved)
        means, back = model(clips, noise, halved)
        if halved:
            clips, weight = half(clips), half(weight)
        found, size = vae_clips.errors(back, clips, weight), means.float().square().mean()
        return {**found, "loss": found["loss"] + self.recipe.size_weight * size, "size": size}

    def probe(self, model: nn.Module, step: int) -> dict[str, float]:
        """PSNR on fresh clips, and on their middle frames as pictures."""
        middle = self.fresh[:, :, self.fresh.shape[2] // 2, None]
        vae = self.vae.vae
        return {"psnr": vae_clips.psnr(vae, self.fresh), "psnr_pictures": vae_clips.psnr(vae, middle)}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """See `vae_clips.sheet`."""
        vae_clips.sheet(self.vae.vae, self.fresh, folder / f"step_{step:07}.png")

    def _batch(self, now: Phase, generator: torch.Generator) -> Tensor:
        """[clips, 4, frames, side, side]."""
        clips, starts = len(self.clips), self.clips.shape[1] - now.frames + 1
        which = torch.randint(clips, (now.clips,), generator=generator).tolist()
        first = torch.randint(starts, (now.clips,), generator=generator).tolist()
        whole = [self.clips[i, start : start + now.frames] for i, start in zip(which, first, strict=True)]
        crops = [crop(frames, frames.shape[1] // now.parts, generator) for frames in whole]
        return vae_clips.tensor(np.stack(crops))


def train_vae(
    recipe: Recipe, folder: Path, minutes: float | None = None, *, seed: int = 0, device: str = ""
) -> bool:
    """Train the VAE under `folder`/vae, a folder a part, and write its weights there, see `finish`.

    Args:
        recipe: of the size.
        folder: of the whole training.
        minutes: stop after so many; the next call goes on.
        seed: of weights and batches.
        device: "cpu" or ""; empty for a GPU if there is one.

    Returns:
        Whether it is done: then `FILE` is there and `load_vae` reads it.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    place, shape = folder / VAE, (recipe.size, recipe.length)
    model = Vae(recipe.vae, seed)
    clips = kept(place / "drawings.npy", lambda: draw(0, recipe.vae.stories, *shape))
    fresh = draw(FRESH, PROBED, *shape)
    for name, part in recipe.vae.parts.items():
        # A part that is done only hands its averaged weights on to the next.
        stage, schedule = VaeStage(recipe, name, model, clips, fresh), part.schedule
        if not train(stage, place / name, schedule, seed=seed, minutes=left(until), device=device).finished:
            return False
    finish(model.vae, recipe, place)
    return True


def finish(vae: Autoencoder, recipe: Recipe, place: Path) -> None:
    """Level the latents by fresh clips and write the weights to `place`/`FILE`, fp32, by diffusers' names."""
    clips = draw(FRESH + PROBED, _MEASURED, recipe.size, recipe.length)
    means = torch.from_numpy(vae_clips.latents(vae.cpu(), clips)).float()
    level(vae, *moments([means]), recipe.vae.fine.noise)
    state = {name: tensor.float().contiguous() for name, tensor in vae.state_dict().items()}
    with replacing(place / FILE) as path:
        save_file(state, path)


def load_vae(recipe: Recipe, folder: Path, stage: str = VAE) -> Autoencoder:
    """The VAE as a stage of a training left it in its folder: all of them give the same latents.

    Raises:
        StoryMemError: the stage is not done there.
    """
    path = folder / stage / FILE
    if not path.exists():
        raise StoryMemError(
            "the VAE is not trained yet", value=str(path), remedy=f"Train the stage {stage} to its end first."
        )
    vae: Autoencoder = AutoencoderKLWan(base_dim=recipe.vae.base_dim, z_dim=LATENT_CHANNELS)
    vae.load_state_dict(load_file(path))
    return vae.eval().requires_grad_(False)


def phase(part: VaePart, step: int) -> Phase:
    """What a step sees."""
    ends = accumulate(phase.share for phase in part.phases)
    begun = sum(step >= end * part.schedule.steps for end in ends)
    return part.phases[min(begun, len(part.phases) - 1)]


def crop(frames: np.ndarray, side: int, generator: torch.Generator) -> np.ndarray:
    """A square of `side` pixels out of frames [T, H, W, 4], mostly around a character of the first one."""
    height, width = frames.shape[1:3]
    if side == height == width:
        return frames
    centred, row, column = torch.rand(3, generator=generator).tolist()
    character = np.argwhere(frames[0, ..., 3])
    if centred < _AT_CHARACTERS and len(character):
        y, x = character[int(row * len(character))] - side // 2
    else:
        y, x = row * (height - side), column * (width - side)
    top, left = int(np.clip(y, 0, height - side)), int(np.clip(x, 0, width - side))
    return frames[:, top : top + side, left : left + side]


def half(tensor: Tensor) -> Tensor:
    """[B, C, T, H, W] at half the height and width: means of 2 x 2."""
    return nn.functional.avg_pool3d(tensor, (1, 2, 2))


@torch.no_grad()
def start_still(vae: Autoencoder) -> None:
    """Start as a VAE of still pictures: two frames become their mean, one becomes two alike."""
    for name, weight in vae.named_parameters():
        if weight.ndim == 5 and weight.shape[2:] == (3, 3, 3):
            weight[:, :, :2] *= 0.1
        elif name.endswith("time_conv.weight"):
            weight *= 0.1
            identity = torch.eye(weight.shape[1])
            if name.startswith("decoder"):
                weight[:, :, 2, 0, 0] += identity.repeat(2, 1)
            else:
                weight[:, :, 1:, 0, 0] += identity[..., None] / 2
        elif name.endswith("time_conv.bias"):
            weight.zero_()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
