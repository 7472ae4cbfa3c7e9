"""Small untrained checkpoints of the true format, made from a fixed seed, so that everything runs anywhere.

    python -m storymem_core.small_models MODELS_FOLDER

What they paint means nothing: the weights are random, with scales chosen so that latents keep unit size
through sampling, frames are neither flat nor alike, and text, memory and LoRA all change the picture.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from . import wan_shapes
from .text_encoder import TextEncoderSizes

DIM, FFN, BLOCKS, VAE_DIM = 256, 512, 2, 16
LORA_RANK, LORA_ALPHA = 8, 8
EXPERTS = ("high", "low")
MODES = ("MI2V", "MM2V")
CHANNELS = {"i2v": 36, "t2v": 16}

# Wan 2.1 latents, per channel: mean and standard deviation of the VAE's raw output over natural videos.
LATENT_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
LATENT_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip

# Scale of a layer's random weights, times 1/sqrt(inputs): the first pattern that matches a name counts.
_GAINS = {
    r"time_projection": 0.3,
    r"modulation$": 0.5,
    r"head\.head\.weight": 0.7,
    r"decoder\.head\.2\.weight": 1.0,
    r"residual\.6\.weight": 1.2,
    r"\.weight$|\.gamma$": 1.0,
}


def make(folder: str | Path, seed: int = 0) -> tuple[Path, ...]:
    """Write all small checkpoints under ComfyUI's models folder; the same bytes at each making.

    Args:
        folder: a models folder: diffusion_models/, vae/, loras/ and text_encoders/ are made in it.
        seed: of all weights.

    Returns:
        The files written.
    """
    files: dict[str, tuple[dict[str, Tensor], dict[str, str] | None]] = {}
    for kind, channels in CHANNELS.items():
        for expert in EXPERTS:
            name = f"diffusion_models/storymem_small_{kind}_{expert}_noise"
            shapes = wan_shapes.diffusion_model(channels, dim=DIM, ffn=FFN, blocks=BLOCKS)
            files[name] = _random(shapes, f"{seed} {name}"), None
    for mode in MODES:
        for expert in EXPERTS:
            name = f"loras/storymem_small/Wan2.2-{mode}-A14B/backbone_{expert}_noise"
            files[name] = _lora(f"{seed} {name}"), _lora_metadata(mode, expert)
    files["vae/storymem_small_vae"] = _vae(f"{seed} vae"), None
    sizes = TextEncoderSizes()
    files["text_encoders/storymem_small_text_encoder"] = (
        _random(sizes.shapes(), f"{seed} text"),
        sizes.metadata(),
    )
    written = []
    for name, (state, metadata) in files.items():
        path = Path(folder, f"{name}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: tensor.half().contiguous() for key, tensor in state.items()}, path, metadata)
        written.append(path)
    return tuple(written)


def _random(shapes: Mapping[str, tuple[int, ...]], seed: str) -> dict[str, Tensor]:
    """Random tensors: each depends on the seed and its own name alone, fp32."""
    return {name: _tensor(name, shape, seed) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...], seed: str) -> Tensor:
    if re.search(r"norm.*weight$|gamma$", name):
        return torch.ones(shape)
    if name.endswith("bias"):
        return 0.1 * _normal(name, shape, seed)
    gain = next((gain for pattern, gain in _GAINS.items() if re.search(pattern, name)), 1.0)
    inputs = 1 if name.endswith(("modulation", "shared.weight")) else math.prod(shape[1:])
    return gain / math.sqrt(inputs) * _normal(name, shape, seed)


def _normal(name: str, shape: tuple[int, ...], seed: str) -> Tensor:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.randn(shape, generator=generator)


def _vae(seed: str) -> dict[str, Tensor]:
    """A VAE whose latents have Wan's mean and spread per channel, and whose decoder undoes them first."""
    state = _random(wan_shapes.vae(VAE_DIM), seed)
    mean, std = torch.tensor(LATENT_MEAN), torch.tensor(LATENT_STD)
    channels = len(mean)
    state["conv1.weight"][:channels] = (std[:, None] * torch.eye(channels, 2 * channels)).reshape(channels, -1, 1, 1, 1)
    state["conv1.bias"][:channels] = mean
    state["conv2.weight"] = torch.diag(1 / std).reshape(channels, channels, 1, 1, 1)
    state["conv2.bias"] = -mean / std
    for name in state:
        if name.startswith("decoder") and name.endswith("time_conv.weight"):
            # Both frames that a latent frame becomes start as copies of it: video, not flicker.
            width = state[name].shape[1]
            state[name] *= 0.4
            state[name][:, :, -1, 0, 0] += torch.eye(width).repeat(2, 1)
    return state


def _lora(seed: str) -> dict[str, Tensor]:
    """The released layout of a StoryMem LoRA: PEFT's names, no alpha among the tensors."""
    shapes = wan_shapes.diffusion_model(CHANNELS["i2v"], dim=DIM, ffn=FFN, blocks=BLOCKS)
    state = {}
    for layer in wan_shapes.lora_layers(blocks=BLOCKS):
        outputs, inputs = shapes[f"{layer}.weight"]
        for part, shape in {"A": (LORA_RANK, inputs), "B": (outputs, LORA_RANK)}.items():
            name = f"base_model.model.{layer}.lora_{part}.weight"
            state[name] = _normal(name, shape, seed) * {"A": 1 / math.sqrt(inputs), "B": 0.1}[part]
    return state


def _lora_metadata(mode: str, expert: str) -> dict[str, str]:
    # One key only: safetensors writes several in random order, and the file must come out the same.
    told = {
        "r": LORA_RANK, "lora_alpha": LORA_ALPHA, "use_rslora": True, "mode": mode.lower(), "expert": expert
    }  # fmt: skip
    return {"lora_adapter_metadata": json.dumps(told)}


def main() -> None:
    """The command: write the checkpoints and name them."""
    parser = argparse.ArgumentParser(prog="python -m storymem_core.small_models", description=__doc__)
    parser.add_argument("folder", help="ComfyUI's models folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for path in make(arguments.folder, arguments.seed):
        print(path)


if __name__ == "__main__":
    main()
