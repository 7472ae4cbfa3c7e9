"""Memory for the base pair: stage `lora`, an adapter for each expert and nothing else, as in the paper.

Stage `full` trains all weights instead, to be compared with: what does an adapter alone fall short of?
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import checkpoints
from .adapter import with_adapter
from .base import ModelStage, cached, load_expert, prepared
from .data import Latents, Mix
from .loop import left, train
from .objective import Range, ranges, velocity_loss
from .recipes import LoraRecipe, Recipe, Schedule
from .vae import load_vae

LORA, FULL = "lora", "full"
"""The stages, and their folders."""
LAYOUTS = {"m2v": 0.6, "mi2v": 0.25, "mm2v": 0.15}
WITHOUT = 0.1
"""Share of the batches without memory: a shot may have none."""
_NO_IDENTITY = ("schedule", "second", "checkpointing")
"""Of a recipe: what a checkpoint need not share, or tells elsewhere."""


class MemoryStage(ModelStage):
    """An expert that learns memory, as a stage of `loop.train`: `batch` shots a step."""

    def __init__(
        self,
        model: nn.Module,
        latents: Latents,
        vae: Any,
        recipe: Recipe,
        span: Range,
        batch: int,
        name: str = LORA,
    ):
        lora = recipe.lora
        super().__init__(f"{name}-{span.expert}", model, latents, vae, recipe, span, batch)
        told = {key: value for key, value in vars(lora).items() if key not in _NO_IDENTITY}
        self.identity: Mapping[str, Any] = {"size": recipe.size, "stories": len(latents), **told}

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The velocity's error on shots with memory, see `mix`."""
        lora = self.recipe.lora
        shots = self.latents.shots(self.batch, mix(lora, generator), generator)
        shift = self.recipe.base.shift
        error = velocity_loss(model, shots, self.span, shift, generator, on_memory=lora.loss_on_memory)
        return {"loss": error}


def train_lora(
    recipe: Recipe, folder: Path, minutes: float | None = None, *, seed: int = 0, device: str = ""
) -> bool:
    """Train both experts' adapters under `folder`/lora/{low,high}; each goes on where it stopped.

    The high-noise expert's adapter starts from the other's: both have learned the same thing.

    Args:
        recipe: of the size.
        folder: of the whole training; the stages vae and base must be done there.
        minutes: stop after so many; the next call goes on.
        seed: of adapters and batches.
        device: "cpu" or ""; empty for a GPU if there is one.

    Returns:
        Whether it is done.

    Raises:
        StoryMemError: a stage before is missing, and as `loop.train`.
    """

    def adapted(expert: str, model: Any) -> Any:
        model = with_adapter(model, recipe.lora.rank, recipe.lora.alpha, seed)
        if expert != "low":
            model.load_state_dict(checkpoints.averages(folder / LORA / "low"), strict=False)
        return model

    lora = recipe.lora
    schedules = (lora.schedule, lora.second or lora.schedule)
    return _train_both(LORA, schedules, adapted, recipe, folder, minutes, seed, device)


def train_full(
    recipe: Recipe, folder: Path, minutes: float | None = None, *, seed: int = 0, device: str = ""
) -> bool:
    """The same with all weights of both experts, under `folder`/full/{low,high}; see `train_lora`."""
    schedules = (recipe.full, recipe.full)
    return _train_both(FULL, schedules, lambda _, model: model, recipe, folder, minutes, seed, device)


def mix(lora: LoraRecipe, generator: torch.Generator) -> Mix:
    """What a batch is: the same number of memory frames for all its shots, 1 to `lora.memory`."""
    without, near, choice = torch.rand(3, generator=generator).tolist()
    memory = 0 if without < WITHOUT else 1 + int(choice * lora.memory)
    return Mix(LAYOUTS, memory, lora.drop_text, near=near < lora.near, on_characters=lora.on_characters)


def _train_both(
    name: str,
    schedules: Sequence[Schedule],
    learning: Callable[[str, Any], Any],
    recipe: Recipe,
    folder: Path,
    minutes: float | None,
    seed: int,
    device: str,
) -> bool:
    """Train one expert after the other; `learning` makes of an expert and its model what is trained."""
    until = None if minutes is None else time.monotonic() + 60 * minutes
    experts = {span.expert: load_expert(recipe, folder, span.expert) for span in ranges(recipe.base.boundary)}
    latents = cached(recipe, folder, left(until), device)
    if latents is None:
        return False
    vae = load_vae(recipe, folder)
    for span, schedule in zip(ranges(recipe.base.boundary), schedules, strict=True):
        model = learning(span.expert, experts[span.expert])
        if recipe.lora.checkpointing:
            model.enable_gradient_checkpointing()
        model = prepared(model, schedule, device)
        stage = MemoryStage(model, latents, vae, recipe, span, schedule.batch, name)
        place = folder / name / span.expert
        if not train(stage, place, schedule, seed=seed, minutes=left(until), device=device).finished:
            return False
    return True
