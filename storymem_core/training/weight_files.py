"""Trained weights as files: the layouts that ComfyUI loads without this pack, and PEFT's for LoRAs.

Everything is fp16 safetensors. A LoRA has two layouts: PEFT's, with its settings in the metadata, and
ComfyUI's, with the whole scale (rslora's too) folded into `.alpha`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..disk import replacing
from ..errors import StoryMemError
from ..lora.settings import LoraSettings
from .key_tables import DIT, VAE, Rows, to_diffusers, to_wan

State = dict[str, Tensor]
_Rename = Callable[[str, Rows], str | None]


def dit_to_wan(state: Mapping[str, Tensor]) -> State:
    """A WanTransformer3DModel's state dict in Wan's layout (no image embedding)."""
    return _converted(state, DIT, to_wan)


def dit_to_diffusers(state: Mapping[str, Tensor]) -> State:
    """A diffusion model in Wan's layout as WanTransformer3DModel's state dict."""
    return _converted(state, DIT, to_diffusers)


def vae_to_wan(state: Mapping[str, Tensor]) -> State:
    """An AutoencoderKLWan's state dict in Wan's layout."""
    return _converted(state, VAE, to_wan)


def vae_to_diffusers(state: Mapping[str, Tensor]) -> State:
    """A VAE in Wan's layout as AutoencoderKLWan's state dict."""
    return _converted(state, VAE, to_diffusers)


def peft_lora(state: Mapping[str, Tensor]) -> State:
    """Adapter weights as peft gives them on a WanTransformer3DModel, under Wan's names.

    `blocks.0.attn1.to_q.lora_A.default.weight`, with any prefix, becomes
    `base_model.model.blocks.0.self_attn.q.lora_A.weight`. Tensors of no adapter are left out.

    Raises:
        StoryMemError: no adapter is in there, or one of a layer that Wan's layout does not have.
    """
    found: State = {}
    for name, tensor in state.items():
        match = _ADAPTER.fullmatch(name)
        if match:
            layer = _known(match["layer"], DIT, to_wan)
            found[f"{_PEFT}{layer}.lora_{match['part']}.weight"] = tensor
    if not found:
        raise StoryMemError(
            "there is no adapter in the weights to export",
            value=sorted(state)[:3],
            remedy="Train the stage lora first, and export its folder.",
        )
    return found


def comfyui_lora(state: Mapping[str, Tensor], settings: LoraSettings) -> State:
    """What `peft_lora` gave, in ComfyUI's layout: its loader takes .alpha / rank as the scale."""
    renamed = {f"diffusion_model.{name.removeprefix(_PEFT)}": tensor for name, tensor in state.items()}
    alpha = torch.tensor(settings.scale * settings.rank)
    return renamed | {f"{name.rsplit('.lora_', 1)[0]}.alpha": alpha.clone() for name in renamed}


def write(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    """Write a file of fp16 tensors, wholly or not at all; an .alpha stays fp32.

    Raises:
        StoryMemError: a weight is no number or too large for fp16, or the disk is full.
    """
    half = {
        name: tensor.detach().cpu().float().contiguous()
        if name.endswith(".alpha")
        else tensor.detach().cpu().half().contiguous()
        for name, tensor in sorted(state.items())
    }
    if bad := [name for name, tensor in half.items() if not tensor.isfinite().all()]:
        raise StoryMemError(
            f"{len(bad)} tensors are no numbers in fp16, for example {bad[0]}",
            value=str(path),
            remedy="The training went wrong there: train the stage again with a lower learning rate.",
        )
    with replacing(path) as temporary:
        save_file(half, temporary, dict(metadata or {}))
    return path


def write_lora(
    path: Path, for_the_host: Path, adapter: Mapping[str, Tensor], settings: LoraSettings
) -> tuple[Path, Path]:
    """Write an adapter, as peft gives it, in both layouts: PEFT's, and ComfyUI's.

    Raises:
        StoryMemError: as `peft_lora` and `write`.
    """
    state, told = peft_lora(adapter), settings.metadata()
    return write(path, state, told), write(for_the_host, comfyui_lora(state, settings), told)


_PEFT = "base_model.model."
_ADAPTER = re.compile(r"(?:.+?\.)?(?P<layer>blocks\.\d+\..+)\.lora_(?P<part>[AB])\.(?:\w+\.)?weight")


def _converted(state: Mapping[str, Tensor], rows: Rows, rename: _Rename) -> State:
    return {_known(name, rows, rename): tensor for name, tensor in state.items()}


def _known(name: str, rows: Rows, rename: _Rename) -> str:
    renamed = rename(name, rows)
    if renamed is None:
        raise StoryMemError(
            "the weights hold a tensor that Wan2.2's I2V models and VAE do not have",
            value=name,
            remedy="Give a WanTransformer3DModel without image embedding, or an AutoencoderKLWan.",
        )
    return renamed
