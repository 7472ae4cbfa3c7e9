"""Stage `base`: a diffusion model that knows text and start frames, and no memory; then its two experts.

A trunk learns all noise levels. Both experts start from it and end on their own range, high or low.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.models.embeddings import PixArtAlphaTextProjection
from torch import Tensor, nn

from ..frames.counts import latent_frames
from ..models.wan_shapes import I2V_CHANNELS, LATENT_CHANNELS, TEXT_WIDTH
from . import checkpoints, text
from .compiling import can_compile, compile_again
from .data import Latents, Mix
from .loop import left, train
from .objective import Range, ranges, velocity_loss
from .probe import films, probe
from .recipes import Recipe, Schedule
from .rope import with_memory_rope
from .story_latents import cache
from .vae import load_vae

HEAD = 128
"""Channels of an attention head, in all of Wan's models."""
TRUNK = "trunk"
UNSEEN = 32
"""Stories that are not trained on: the last ones."""
LAYOUTS = {"m2v": 0.5, "mi2v": 0.375, "mm2v": 0.125}
"""Of shots: half of them are given frames (`BaseRecipe.first_frame`)."""
_WORTH_COMPILING = 500
"""Steps: compiling takes half a minute and makes a step on a CPU a quarter shorter."""


class ModelStage:
    """What the stages that train the diffusion model share: unseen shots that measure and show it."""

    def __init__(
        self, name: str, model: nn.Module, latents: Latents, vae: Any, recipe: Recipe, span: Range, batch: int
    ):
        self.name, self.recipe, self.span, self.vae = name, recipe, span, vae
        self.model, self.batch = model, batch
        self.latents, self.unseen = split(latents)

    def probe(self, model: nn.Module, step: int) -> dict[str, float]:
        """See `probe.probe`."""
        return probe(model, self.unseen, self.span.expert)

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """See `probe.films`."""
        path = folder / f"step_{step:07}.webp"
        films(model, self.vae, self.unseen, path, self.span, self.recipe.base.shift)


class BaseStage(ModelStage):
    """The model, or one of its experts, as a stage of `loop.train`."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        latents: Latents,
        vae: Any,
        recipe: Recipe,
        span: Range,
    ):
        schedule = recipe.base.trunk if name == TRUNK else recipe.base.expert
        super().__init__(name, model, latents, vae, recipe, span, schedule.batch)
        self.identity: Mapping[str, Any] = {
            "dim": recipe.base.dim, "blocks": recipe.base.blocks, "ffn": recipe.base.ffn, "size": recipe.size,
            "stories": len(latents), "shift": recipe.base.shift, "drop_text": recipe.base.drop_text,
            "first_frame": recipe.base.first_frame, "scenes": recipe.scenes,
        }  # fmt: skip

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The velocity's error on shots without memory."""
        base = self.recipe.base
        given = {name: share * base.first_frame / 0.5 for name, share in LAYOUTS.items() if name != "m2v"}
        mix = Mix({"m2v": 1 - base.first_frame, **given}, drop_text=base.drop_text)
        shots = self.latents.shots(self.batch, mix, generator)
        return {"loss": velocity_loss(model, shots, self.span, base.shift, generator)}


def train_base(
    recipe: Recipe, folder: Path, minutes: float | None = None, *, seed: int = 0, device: str = ""
) -> bool:
    """Draw and encode the stories, train the trunk and both experts; each goes on where it stopped.

    Writes `folder`/latents and `folder`/base/{trunk,low,high}.

    Args:
        recipe: of the size.
        folder: of the whole training; the stage vae must be done there.
        minutes: stop after so many; the next call goes on.
        seed: of weights and batches.
        device: "cpu" or ""; empty for a GPU if there is one.

    Returns:
        Whether it is done.

    Raises:
        StoryMemError: the VAE is not trained, and as `loop.train`.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    latents = cached(recipe, folder, left(until), device)
    if latents is None:
        return False
    base, vae = recipe.base, load_vae(recipe, folder)
    whole = Range("low", 0.0, 1.0)
    experts = [(span.expert, span, base.expert) for span in ranges(base.boundary)]
    for name, span, schedule in [(TRUNK, whole, base.trunk), *experts]:
        model = transformer(recipe, seed)
        if name != TRUNK:
            model.load_state_dict(checkpoints.averages(folder / "base" / TRUNK))
        stage = BaseStage(name, prepared(model, schedule, device), latents, vae, recipe, span)
        result = train(stage, folder / "base" / name, schedule, seed=seed, minutes=left(until), device=device)
        if not result.finished:
            return False
    return True


def load_expert(recipe: Recipe, folder: Path, expert: str) -> Any:
    """A trained expert of the base pair, "high" or "low", that reads text as ids.

    Raises:
        StoryMemError: the stage base is not done in this training's folder.
    """
    model = transformer(recipe)
    model.load_state_dict(checkpoints.averages(folder / "base" / expert))
    return model


def cached(recipe: Recipe, folder: Path, minutes: float | None, device: str) -> Latents | None:
    """The stories' latents, made as far as they are missing; None if the time was too short."""
    load_vae(recipe, folder)  # so that a missing VAE is told before workers are started
    place = folder / "latents"
    done = cache(
        partial(load_vae, recipe, folder), place, range(recipe.base.stories), size=recipe.size,
        length=recipe.length, among=recipe.scenes, minutes=minutes, device=_device(device),
    )  # fmt: skip
    return Latents.read(place) if done else None


class Words(PixArtAlphaTextProjection):
    """The model's text embedding, for ids of a fixed table instead of features.

    A word's embedding depends on the word alone: that of the whole vocabulary is less work than a batch's.
    The ids come as floats, since diffusers gives its time embedding their dtype.
    """

    table: Tensor

    def forward(self, ids: Tensor) -> Tensor:
        """[B, tokens] -> [B, tokens, dim]."""
        return super().forward(self.table)[ids.long()]


def transformer(recipe: Recipe, seed: int = 0) -> Any:
    """An untrained WanTransformer3DModel of a size that reads text as ids and has room for memory."""
    base = recipe.base
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model: Any = WanTransformer3DModel(
            num_attention_heads=base.dim // HEAD,
            attention_head_dim=HEAD,
            in_channels=I2V_CHANNELS,
            out_channels=LATENT_CHANNELS,
            text_dim=TEXT_WIDTH,
            ffn_dim=base.ffn,
            num_layers=base.blocks,
        )
        words = Words(TEXT_WIDTH, base.dim, act_fn="gelu_tanh")
    words.register_buffer("table", text.table().float(), persistent=False)
    model.condition_embedder.text_embedder = words
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return with_memory_rope(model, latent_frames(recipe.length), recipe.lora.spacing)


def prepared(model: Any, schedule: Schedule, device: str) -> Any:
    """The same model, made fast for a long run on a CPU."""
    if _device(device) != "cpu":
        return model
    # Sequences are short: plain matrix products beat the flash kernel of CPUs.
    model.set_attention_backend("_native_math")
    if schedule.steps >= _WORTH_COMPILING and can_compile():
        compile_again(model.blocks, dynamic=True)
    return model


def split(latents: Latents) -> tuple[Latents, Latents]:
    """What is trained on, and what the log's figures and films are made of."""
    return latents.part(0, len(latents) - UNSEEN), latents.part(len(latents) - UNSEEN, len(latents))


def _device(device: str) -> str:
    return device or ("cuda" if torch.cuda.is_available() else "cpu")
