"""Small untrained checkpoints of the true format, made from a fixed seed, so that everything runs anywhere.

    python -m storymem_core.models.small_models MODELS_FOLDER

What they paint means nothing: the weights are random, with scales chosen so that latents keep unit size
through sampling, frames are neither flat nor alike, and text, memory and LoRA all change the picture.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..lora.settings import LoraSettings
from . import text_encoder, wan_shapes
from .vocabulary import Vocabulary

DIM, FFN, BLOCKS, VAE_DIM = 256, 512, 2, 16
LORA_RANK, LORA_ALPHA = 8, 8
NOISE_SHARE = 1.0
"""How much of the noisy latent the velocity contains: dz/dt = z would leave 1/e of the noise at t = 0."""
EXPERTS = ("high", "low")
MODES = ("MI2V", "MM2V")
CHANNELS = {"i2v": wan_shapes.I2V_CHANNELS, "t2v": wan_shapes.T2V_CHANNELS}
VOCABULARY = Vocabulary(buckets=256, max_tokens=1024, min_tokens=0)
"""No word is known: any two texts are told apart by their words' hashes."""

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
    r"time_projection|modulation$": 0.3,
    r"self_attn\.norm_.\.weight": 1.6,  # attention that looks at few tokens: each memory frame tells
    r"cross_attn\.norm_.\.weight": 1.4,
    r"self_attn\.o\.weight": 3.0,
    r"cross_attn\.o\.weight": 0.9,
    r"ffn\.2\.weight": 2.0,
    r"head\.head\.weight": 0.5,
    r"residual\.6\.weight": 0.5,
    r"decoder\.head\.2\.weight": 0.6,
}


SEED = 2
"""Chosen by eye: its pictures differ most from shot to shot."""


def make(folder: str | Path, seed: int = SEED) -> tuple[Path, ...]:
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
            files[name] = _diffusion_model(channels, f"{seed} {name}"), None
    for mode in MODES:
        for expert in EXPERTS:
            name = f"loras/storymem_small/Wan2.2-{mode}-A14B/backbone_{expert}_noise"
            files[name] = (
                _lora(f"{seed} {name}"),
                LoraSettings(LORA_RANK, LORA_ALPHA, expert, mode.lower()).metadata(),
            )
    files["vae/storymem_small_vae"] = _vae(f"{seed} vae"), None
    files["text_encoders/storymem_small_text_encoder"] = (
        {text_encoder.TABLE: text_encoder.table(VOCABULARY, _seed(f"{seed} text"))},
        text_encoder.metadata(VOCABULARY),
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
    gain = next((gain for pattern, gain in _GAINS.items() if re.search(pattern, name)), 1.0)
    if re.search(r"norm.*weight$|gamma$", name):
        return torch.full(shape, gain)
    if name.endswith("bias"):
        return 0.1 * _normal(name, shape, seed)
    inputs = 1 if name.endswith("modulation") else math.prod(shape[1:])
    return gain / math.sqrt(inputs) * _normal(name, shape, seed)


def _normal(name: str, shape: tuple[int, ...], seed: str) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(_seed(f"{seed}:{name}"))
    return torch.randn(shape, generator=generator)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _diffusion_model(channels: int, seed: str) -> dict[str, Tensor]:
    """Random weights plus one thing that is not: the head returns a share of the noisy latent.

    Then the velocity shrinks the noise on its way from t = 1 to 0 instead of leaving all of it in the
    picture, and what the random blocks make of text, memory and start frames shows.
    """
    state = _random(wan_shapes.diffusion_model(channels, dim=DIM, ffn=FFN, blocks=BLOCKS), seed)
    patch = state["patch_embedding.weight"][:, : wan_shapes.LATENT_CHANNELS, 0]  # [dim, C, 2, 2]
    back = patch.permute(2, 3, 1, 0).reshape(-1, DIM)  # the head's rows run over (2, 2, C)
    state["head.head.weight"] += NOISE_SHARE * back / back.square().sum(1, keepdim=True)
    return state


def _vae(seed: str) -> dict[str, Tensor]:
    """A VAE whose latents have Wan's mean and spread per channel, and whose decoder undoes them first.

    Its kernels are smooth in space and look mostly at the present frame: soft shapes instead of texture,
    video instead of flicker.
    """
    state = _random(wan_shapes.vae(VAE_DIM), seed)
    for name, kernel in state.items():
        if kernel.ndim >= 4 and kernel.shape[-1] == 3:
            state[name] = _smooth(kernel)
        if kernel.ndim == 5 and kernel.shape[2] == 3:
            state[name] = state[name] * torch.tensor([0.2, 0.2, 1.7]).reshape(3, 1, 1)
        if name.startswith("decoder") and name.endswith("time_conv.weight"):
            # Both frames that a latent frame becomes start as copies of it.
            state[name] *= 0.2
            state[name][:, :, -1, 0, 0] += torch.eye(kernel.shape[1]).repeat(2, 1)
    channels = wan_shapes.LATENT_CHANNELS
    mean, std = torch.tensor(LATENT_MEAN), torch.tensor(LATENT_STD)
    state["conv1.weight"][:channels, :, 0, 0, 0] = torch.diag(std).repeat(1, 2) / math.sqrt(2)
    state["conv1.bias"][:channels] = mean
    state["conv2.weight"] = torch.diag(1 / std).reshape(channels, channels, 1, 1, 1)
    state["conv2.bias"] = -mean / std
    return state


def _smooth(kernel: Tensor) -> Tensor:
    """Random [out, in, ..., 3, 3] kernels turned into blurs with a little texture.

    They ignore what all inputs have in common: SiLU leaves a positive mean, which would tint every frame.
    """
    weights = torch.tensor([0.5, 1.0, 0.5])
    blur = torch.outer(weights, weights)
    smooth = 2.7 * kernel[..., 1:2, 1:2] * blur / blur.norm() + 0.3 * kernel
    return smooth - smooth.mean(dim=1, keepdim=True)


def _lora(seed: str) -> dict[str, Tensor]:
    """The released layout of a StoryMem LoRA: PEFT's names, no alpha among the tensors."""
    shapes = wan_shapes.diffusion_model(CHANNELS["i2v"], dim=DIM, ffn=FFN, blocks=BLOCKS)
    state = {}
    for layer in wan_shapes.lora_layers(blocks=BLOCKS):
        outputs, inputs = shapes[f"{layer}.weight"]
        for part, shape in {"A": (LORA_RANK, inputs), "B": (outputs, LORA_RANK)}.items():
            name = f"base_model.model.{layer}.lora_{part}.weight"
            state[name] = _normal(name, shape, seed) * {"A": 1 / math.sqrt(inputs), "B": 0.03}[part]
    return state


def main() -> None:
    """The command: write the checkpoints and name them."""
    parser = argparse.ArgumentParser(prog="python -m storymem_core.models.small_models", description=__doc__)
    parser.add_argument("folder", help="ComfyUI's models folder")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    for path in make(arguments.folder, arguments.seed):
        print(path)


if __name__ == "__main__":
    main()
