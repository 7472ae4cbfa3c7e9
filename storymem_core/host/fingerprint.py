"""Fingerprints of the host's MODEL, VAE and CLIP: equal after a restart, and whether loaded or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import ModelSamplingDiscreteFlow
from comfy.sd import CLIP, VAE
from comfy.utils import get_attr
from torch import Tensor, nn

from ..conditioning.memory_patch import rope_with_memory
from ..store.fingerprint import describe, fingerprint

TABLE = "sigmas"
"""A model's noise levels."""

OURS = "storymem"
"""Options and wrappers with this prefix do not count: a story's memory and reports are told elsewhere."""


def of_model(model: ModelPatcher) -> str:
    """sha256 of a MODEL: original weights, patches on them, object patches, wrappers and options.

    The memory that StoryMem gave it does not count. Limits: see `storymem_core.store.fingerprint`; callbacks,
    attachments and hooks do not count, and of a bypass LoRA only what its injections hold.
    """
    with model.use_ejected():
        modules = list(_modules(model))
        weights = dict(_weights(model, modules))
    facts = {
        "class": type(model.model).__qualname__,
        "operations": {type(module).__qualname__ for _, module in modules},
        "patches": {str(key): [_patch(patch) for patch in patches] for key, patches in model.patches.items()},
        "objects": dict(_object_patches(model, modules)),
        "weight_wrappers": model.weight_wrapper_patches,
        "wrappers": _foreign(model.wrappers),
        "injections": model.injections,
        "options": _foreign(model.model_options),
    }
    if model.is_dynamic():
        # Its weights stay as the file has them until they are used; these are what they become.
        facts["types"] = {_type_in_use(module, leaf) for _, module in modules for leaf, _ in _own(module)}
    return fingerprint(weights, describe(facts, (ModelPatcher, CLIP, VAE)))


def of_vae(vae: VAE) -> str:
    """sha256 of a VAE: its MODEL part and the type that it computes in."""
    return fingerprint({}, [of_model(vae.patcher), vae.vae_dtype])


def of_clip(clip: CLIP) -> str:
    """sha256 of a CLIP: its MODEL part, layer, tokenizer settings and options."""
    tokenizers = [
        {key: value for key, value in vars(part).items() if isinstance(value, (bool, int, str))}
        for part in vars(clip.tokenizer).values()
        if hasattr(part, "tokenizer")
    ]
    facts = [clip.layer_idx, clip.use_clip_schedule, clip.tokenizer_options, tokenizers]
    return fingerprint({}, [of_model(clip.patcher), facts])


def _modules(model: ModelPatcher) -> Iterator[tuple[str, nn.Module]]:
    """The model's own modules, even while object patches are in their place."""
    replaced = model.object_patches_backup
    for name, module in model.model.named_modules():
        if not any(name == key or name.startswith(f"{key}.") for key in replaced):
            yield name, module
    for key, original in replaced.items():
        if isinstance(original, nn.Module):
            yield from original.named_modules(prefix=key)


def _weights(model: ModelPatcher, modules: Iterable[tuple[str, nn.Module]]) -> Iterator[tuple[str, Tensor]]:
    """Name and original of each weight, even while patched ones are in its place."""
    originals: dict[str, Any] = {name: backup.weight for name, backup in model.backup.items()}
    originals |= {name: backup[0] for name, backup in model.hook_backup.items()}
    originals = {name.replace(_COMPILED, ""): weight for name, weight in originals.items()}
    dynamic = model.is_dynamic()
    for name, module in modules:
        for leaf, current in _own(module):
            full = f"{name}.{leaf}".replace(_COMPILED, "")
            weight = originals[full] if full in originals else _as_made(module, leaf, current, dynamic)
            if hasattr(weight, "state_dict"):  # quantised: plain bytes, and scales beside them
                yield from weight.state_dict(full).items()
            else:
                yield full, weight


def _as_made(module: nn.Module, leaf: str, weight: Tensor, dynamic: bool) -> Tensor:
    """A weight as it is before its model is first used, where the host's dynamic loading keeps no copy of it.

    A table of noise levels may be another module's: the first that is loaded is put back onto whichever
    module is in its place by then. And parameters of modules that have others within are cast where they are.

    Args:
        dynamic: the model is loaded so.
    """
    if leaf == TABLE and isinstance(module, ModelSamplingDiscreteFlow):
        steps = torch.arange(1, len(weight) + 1, 1) / len(weight)
        return module.sigma(steps * module.multiplier)
    cast = dynamic and any("." in name for name, _ in module.named_parameters())
    return weight.to(dtype=_type_in_use(module, leaf)) if cast else weight


def _type_in_use(module: nn.Module, leaf: str) -> torch.dtype | None:
    """What the host computes with; None where it has noted nothing."""
    return getattr(module, f"{leaf}_comfy_model_dtype", None)


_COMPILED = "_orig_mod."
"""What torch.compile puts into names."""


def _own(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))


def _patch(patch: tuple[Any, ...]) -> list[Any]:
    strength, weights, strength_model, offset, function = patch
    if hasattr(weights, "weights"):  # a LoRA or another of the host's adapters
        weights = [type(weights).__qualname__, weights.weights]
    return [strength, weights, strength_model, offset, function]


def _object_patches(
    model: ModelPatcher, modules: Iterable[tuple[str, nn.Module]]
) -> Iterator[tuple[str, Any]]:
    known = {id(weight) for _, module in modules for _, weight in _own(module)}
    for name, patch in model.object_patches.items():
        while isinstance(patch, partial) and patch.func is rope_with_memory:
            patch = patch.args[0]
        if isinstance(patch, nn.Module):
            tensors = {
                f"{part}.{leaf}".removeprefix("."): _as_made(module, leaf, tensor, dynamic=False)
                for part, module in patch.named_modules()
                for leaf, tensor in _own(module)
                if id(tensor) not in known or leaf == TABLE
            }
            plain = {key: value for key, value in vars(patch).items() if isinstance(value, (int, float, str))}
            yield name, [type(patch).__qualname__, fingerprint(tensors, plain)]
        elif not _is_own_method(model, name, patch):
            yield name, patch


def _is_own_method(model: ModelPatcher, name: str, patch: Any) -> bool:
    # What is left when memory's patch is taken off a model that had no other.
    parent, _, leaf = name.rpartition(".")
    owner = get_attr(model.model, parent) if parent else model.model
    own = getattr(type(owner), leaf, None)
    return getattr(patch, "__self__", None) is owner and getattr(patch, "__func__", None) is own


def _foreign(options: Mapping[Any, Any]) -> dict[Any, Any]:
    """Options that are not ours, and not empty: the host adds empty ones as it goes."""
    kept = {}
    for key, value in options.items():
        if str(key).startswith(OURS):
            continue
        inner = _foreign(value) if isinstance(value, dict) else value
        if not (isinstance(inner, (dict, list)) and not inner):
            kept[key] = inner
    return kept
