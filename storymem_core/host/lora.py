"""A LoRA file onto a MODEL through the host's own LoRA machinery."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from comfy.lora import load_lora, model_lora_keys_unet
from comfy.lora_convert import convert_lora
from comfy.model_patcher import ModelPatcher
from comfy.utils import get_attr
from comfy.weight_adapter.lora import LoRAAdapter

from ..errors import StoryMemError
from ..lora.doubts import missing, warnings
from ..lora.files import LoraFile, Scaling, read
from . import files

REPORTS = "storymem_lora"
"""Key in model_options: a list of plain dicts, LoraReport's fields with strength, matched and total."""


_OURS = "storymem"
"""Attribute of the host's adapters that `apply` made: `scaled` knows them by it, through all clones."""


A14B_WIDTH = 5120
"""Channels of Wan2.2 A14B, which reads memory by a LoRA alone. Smaller models may have been trained to read
it with all their weights, as those of the small world were, and nothing on a model tells that."""


class Applied(NamedTuple):
    """A patched clone, and how many of the file's `total` layers were found in the model."""

    model: ModelPatcher
    matched: int
    total: int


def apply(model: ModelPatcher, lora: LoraFile, strength: float = 1.0) -> Applied:
    """A clone of the model with the LoRA's patches. Layers that the model lacks are counted and logged.

    Raises:
        StoryMemError: no layer of the file is in the model, or a layer has another size there.
    """
    state = convert_lora(lora.state)
    targets = model_lora_keys_unet(model.model, {})
    layers = {_LAYER_PART.split(name)[0] for name in state}
    matched = layers & targets.keys()
    if not matched:
        raise StoryMemError(
            f"the LoRA matches no layer of the model ({len(layers)} layers in the file)",
            value=f"{lora.report.file} on {type(model.model.diffusion_model).__name__}",
            remedy="Load the Wan2.2 I2V expert that the LoRA was made for, or another LoRA.",
        )
    patches = load_lora(state, targets, log_missing=False)
    _require_sizes(model, patches, lora.report.file)
    if len(matched) < len(layers):
        logging.warning(
            "StoryMem: %d of %d layers of %s are not in the model, for example %s",
            len(layers) - len(matched), len(layers), lora.report.file, min(layers - matched),
        )  # fmt: skip
    for patch in patches.values():
        if isinstance(patch, LoRAAdapter):
            setattr(patch, _OURS, True)
    patched = model.clone()
    patched.add_patches(patches, strength)
    entry = asdict(lora.report) | {"strength": strength, "matched": len(matched), "total": len(layers)}
    patched.model_options[REPORTS] = [*reports(model), entry]
    return Applied(patched, len(matched), len(layers))


def named(name: str, scaling: Scaling = "auto") -> LoraFile:
    """The LoRA file of a name in models/loras; its report has that name, not this machine's path.

    Raises:
        StoryMemError: there is no such file, or `lora.files.read` refuses it.
    """
    file = read(files.path("loras", name), scaling)
    return replace(file, report=replace(file.report, file=name))


def scaled(model: ModelPatcher, factor: float) -> ModelPatcher:
    """A clone of the model on which all that `apply` gave to it acts `factor` times as strongly.

    Raises:
        StoryMemError: it was given nothing.
    """
    if not reports(model):
        raise StoryMemError(
            "lora_strength needs a model with an M2V LoRA",
            value=factor,
            remedy="Load it with StoryMem M2V LoRA, or leave the shot's lora_strength at 1.",
        )
    clone = model.clone()
    clone.patches = {
        key: [(patch[0] * factor, *patch[1:]) if hasattr(patch[1], _OURS) else patch for patch in patches]
        for key, patches in model.patches.items()
    }
    clone.patches_uuid = uuid.uuid4()  # the host tells by it whether a model's weights are another's
    clone.model_options[REPORTS] = [
        entry | {"strength": entry["strength"] * factor} for entry in reports(model)
    ]
    return clone


def reports(model: ModelPatcher) -> list[dict[str, Any]]:
    """What `apply` did to this model, oldest first."""
    return list(model.model_options.get(REPORTS, ()))


def doubts(
    model: ModelPatcher,
    *,
    sees_memory: bool,
    expert: str | None = None,
    overlap: int | None = None,
    spacing: float | None = None,
) -> tuple[str, ...]:
    """What is suspicious about the LoRAs of one model, for people; empty if nothing is.

    Args:
        sees_memory: the model is given memory frames.
        expert, overlap, spacing: see `lora.doubts.warnings`; None to leave them unchecked.
    """
    notes = reports(model)
    if not notes and sees_memory and getattr(model.model.diffusion_model, "dim", 0) >= A14B_WIDTH:
        return (missing(expert),)
    return tuple(
        doubt for note in notes for doubt in warnings(note, expert=expert, overlap=overlap, spacing=spacing)
    )


def log_doubts(
    models: Mapping[str | None, ModelPatcher], *, memory: int, spacing: float, overlap: int | None = None
) -> None:
    """Warn in the log of LoRAs that do not fit.

    Args:
        models: by the expert that each is used as, None where it is not known.
        memory: frames of memory that they see.
        spacing, overlap: see `lora.doubts.warnings`.
    """
    for expert, model in models.items():
        for doubt in doubts(model, sees_memory=memory > 0, expert=expert, overlap=overlap, spacing=spacing):
            logging.warning("StoryMem: %s", doubt)


_LAYER_PART = re.compile(
    r"\.(?:lora|hada|lokr|oft|diff|diff_b|alpha|dora_scale|set_weight|w_norm|b_norm|reshape)(?=[._]|$)"
)


def _require_sizes(model: ModelPatcher, patches: dict[Any, Any], file: str) -> None:
    # The host only logs a layer of another size, and leaves it out.
    for key, patch in patches.items():
        if not isinstance(patch, LoRAAdapter) or not isinstance(key, str):
            continue
        mid, _, reshape = patch.weights[3:6]
        if mid is not None or reshape is not None:  # its size is not that of up times down
            continue
        up, down, *_ = patch.weights
        expected, found = get_attr(model.model, key).shape, (up.shape[0], *down.shape[1:])
        if (expected[0], expected[1:].numel()) != (found[0], down[0].numel()):
            raise StoryMemError(
                f"the LoRA is for a model of another size: {key} {tuple(found)} instead of {tuple(expected)}",
                value=file,
                remedy="Load the Wan2.2 I2V expert that the LoRA was made for, or another LoRA.",
            )
