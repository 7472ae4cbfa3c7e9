"""A two-block Wan2.2-I2V model in fp32 inside the host's own ModelPatcher, and calls of it."""

from __future__ import annotations

import comfy.model_management
import comfy.ops
import comfy.sample
import comfy.sd
import torch
from comfy.ldm.wan.model import WanModel
from comfy.model_patcher import ModelPatcher, create_model_options_clone
from torch import Tensor

SHAPE = {"dim": 256, "ffn_dim": 512, "num_heads": 2, "num_layers": 2}


def state_dict(in_dim: int = 36, seed: int = 0, layers: int = 2) -> dict[str, Tensor]:
    model = WanModel(
        in_dim=in_dim, out_dim=16, operations=comfy.ops.disable_weight_init, **{**SHAPE, "num_layers": layers}
    )
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.ones(weight.shape)
        if "norm" in name and name.endswith("weight")
        else torch.randn(weight.shape, generator=generator)
        * (weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.05)
        for name, weight in model.state_dict().items()
    }


def patcher(in_dim: int = 36, seed: int = 0, dtype: torch.dtype = torch.float32) -> ModelPatcher:
    weights = {name: weight.clone() for name, weight in state_dict(in_dim, seed).items()}
    return comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": dtype})


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def memory_images(frames: int, seed: int = 0, size: tuple[int, int] = (8, 8)) -> tuple[Tensor, list[str]]:
    """Raw latents [M, 16, h, w] and a hash for each."""
    return random(frames, 16, *size, seed=100 + seed), [f"{seed}-{i}" for i in range(frames)]


def velocity(model: ModelPatcher, x: Tensor, context: Tensor, sigma: Tensor, **options: object) -> Tensor:
    """One call of the diffusion model as the sampler makes it: [B, 36, f, H, W] -> [B, 16, f, H, W]."""
    comfy.model_management.load_models_gpu([model], force_full_load=True)
    model.pre_run()
    transformer_options = create_model_options_clone(model.model_options)["transformer_options"]
    transformer_options |= {"wrappers": model.wrappers, "sigmas": sigma, **options}
    with torch.no_grad():
        return model.model.diffusion_model(
            x, sigma * 1000, context=context, transformer_options=transformer_options
        )


def conditioning(seed: int, frames: int = 5, size: tuple[int, int] = (8, 8)) -> list:
    values = {
        "concat_latent_image": random(1, 16, frames, *size, seed=seed + 50),
        "concat_mask": torch.ones(1, 1, frames, *size),
    }
    return [[random(1, 12, 4096, seed=seed), values]]


def sample(
    model: ModelPatcher, *, frames: int = 5, cfg: float = 3.0, steps: int = 4, sampler: str = "euler", **more
):
    latent = torch.zeros(1, 16, frames, 8, 8)
    noise = more.pop("noise", comfy.sample.prepare_noise(latent, 7))
    latent = more.pop("latent", latent)
    return comfy.sample.sample(
        model, noise, steps, cfg, sampler, "simple", conditioning(1, frames), conditioning(2, frames), latent,
        seed=7, disable_pbar=True, **more,
    )  # fmt: skip
