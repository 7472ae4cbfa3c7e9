"""All of a training as a models folder of ComfyUI, under the names of the models that the pack ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..lora.settings import LoraSettings
from ..models import text_encoder, weights
from ..models.vocabulary import Vocabulary
from ..small_world.words import TEXTS
from . import text, weight_files
from .checkpoints import averages
from .decoder import DECODER
from .recipes import Recipe
from .vae import load_vae

MODELS = "models"
"""Where in a training's folder its exported files are."""


@dataclass(frozen=True)
class Trained:
    """What the stages made; keys of the mappings are "high" and "low".

    Attributes:
        vae: state dict of an AutoencoderKLWan whose latents have Wan's mean and std.
        base: state dicts of WanTransformer3DModels.
        lora: adapter weights on them, under PEFT's names.
        table: of the text encoder, [len(vocabulary), 4096].
        vocabulary: that the texts were encoded with.
    """

    vae: Mapping[str, Tensor]
    base: Mapping[str, Mapping[str, Tensor]]
    lora: Mapping[str, Mapping[str, Tensor]]
    table: Tensor
    vocabulary: Vocabulary


def export_models(recipe: Recipe, folder: Path, minutes: float | None = None) -> bool:
    """The last stage: `folder`/models from what the other stages left in `folder`. Always done to its end.

    Raises:
        StoryMemError: a stage is missing, a weight is no number in fp16, or the disk is full.
    """
    write(folder / MODELS, recipe, collect(recipe, folder))
    return True


def collect(recipe: Recipe, folder: Path) -> Trained:
    """The averaged weights of decoder/, base/{high,low}/ and lora/{high,low}/.

    Raises:
        StoryMemError: one of them is missing or cannot be read.
    """
    return Trained(
        vae=load_vae(recipe, folder, DECODER).state_dict(),
        base={expert: _bare(averages(folder / "base" / expert)) for expert in weights.EXPERTS},
        lora={expert: averages(folder / "lora" / expert) for expert in weights.EXPERTS},
        table=text.table(),
        vocabulary=TEXTS,
    )


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the name that the transformer has in the module around it."""
    first = next((name for name in state if name.endswith("patch_embedding.weight")), "")
    prefix = first.removesuffix("patch_embedding.weight")
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def write(folder: Path, recipe: Recipe, trained: Trained) -> tuple[Path, ...]:
    """Write every file.

    Returns:
        The files that can be shipped, and after them the LoRAs in ComfyUI's layout.

    Raises:
        StoryMemError: a weight is no number in fp16, or the disk is full.
    """
    told = {"recipe": recipe.name}
    words = text_encoder.metadata(trained.vocabulary)
    files = [
        weight_files.write(folder / weights.VAE, weight_files.vae_to_wan(trained.vae), told),
        weight_files.write(folder / weights.TEXT_ENCODER, {text_encoder.TABLE: trained.table}, words),
    ]
    for expert, name in weights.DIT.items():
        files.append(weight_files.write(folder / name, weight_files.dit_to_wan(trained.base[expert]), told))
    for_the_host = []
    lora = recipe.lora
    for expert, name in weights.LORA.items():
        settings = LoraSettings(lora.rank, lora.alpha, expert, spacing=lora.spacing)
        paths = folder / name, folder / weights.LORA_FOR_THE_HOST[expert]
        shipped, other = weight_files.write_lora(*paths, trained.lora[expert], settings)
        files.append(shipped)
        for_the_host.append(other)
    return (*files, *for_the_host)
