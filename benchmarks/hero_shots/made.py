"""Shots made by the pack's own functions on the host, in this process, from checkpoints in ComfyUI's layout.

COMFYUI_PATH must be on sys.path, in front of this project: its `nodes.py` and our `nodes/` share a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from storymem_core.conditioning.positions import temporal_positions
from storymem_core.conditioning.slots import path_noise
from storymem_core.frames.counts import latent_frames
from storymem_core.frames.pixels import quantise
from storymem_core.host import conditioning, lora, prompt, sampling, text_encoder, vae
from storymem_core.host.memory import ROPE
from storymem_core.lora.files import read
from storymem_core.making.shot import Models, Settings, Stopwatch, render
from storymem_core.making.shot_images import Given
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin
from storymem_core.script.plan import ShotPlan

EXPERTS = ("high", "low")


def load(folder: Path) -> tuple[Models, Models]:
    """The checkpoints of a models folder: the image-to-video pair as it is, and with its M2V LoRA."""
    experts = [
        comfy.sd.load_diffusion_model(str(_file(folder / "diffusion_models", f"*i2v_{expert}_noise")))
        for expert in EXPERTS
    ]
    pictures = _file(folder / "vae", "*")
    bare = Models(
        *experts,
        vae=comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(pictures))),
        clip=text_encoder.load(_file(folder / "text_encoders", "*")),
    )
    tuned = (
        lora.apply(model, read(_file(folder / "loras", f"**/*{expert}_noise"))).model
        for model, expert in zip(experts, EXPERTS, strict=True)
    )
    return bare, replace(bare, **dict(zip(EXPERTS, tuned, strict=True)))


def _file(folder: Path, pattern: str) -> Path:
    """The first match: of the small random LoRAs, the one for a single start frame."""
    found = sorted(folder.glob(f"{pattern}.safetensors"))
    if not found:
        raise FileNotFoundError(f"no {pattern}.safetensors in {folder}")
    return found[0]


@torch.inference_mode()
def inside(
    models: Models, settings: Settings, text: str, memory: Sequence[np.ndarray], *, seed: int, length: int
) -> np.ndarray:
    """A cut with its memory inside the model, as a story's shots are made: uint8 [length, H, W, 3]."""
    frames = tuple(
        MemoryFrame(picture, np.ones(1, np.float32), None, None, Origin("reference", str(i)))
        for i, picture in enumerate(memory)
    )
    plan = ShotPlan("shot", 1, text, None, "m2v", True, seed, length, 0)
    return render(plan, models, settings, MemoryBank(frames), Given(), Stopwatch())


@torch.inference_mode()
def denoised(
    models: Models, settings: Settings, text: str, memory: Sequence[np.ndarray], *, seed: int, length: int
) -> np.ndarray:
    """The same cut in the release's way: M + f latents go through the sampler, and the first M are dropped.

    The noise of the slots and of the video is that of `inside`, so that nothing else differs.
    """
    size = {"width": settings.width, "height": settings.height}
    images = [torch.from_numpy(np.array(picture)).float().div(255) for picture in memory]
    slots = vae.encode_each(models.vae, images, **size).transpose(0, 1).unsqueeze(0)
    positive, negative, latent = conditioning.condition_shot(
        prompt.encode(models.clip, text),
        prompt.encode(models.clip, ""),
        models.vae,
        None,
        **size,
        length=length,
    )
    zeros = latent["samples"]
    hashes = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in memory]
    noise = torch.cat(
        [
            path_noise(seed, hashes, (zeros.shape[1], *zeros.shape[-2:])),
            comfy.sample.prepare_noise(zeros, seed),
        ],
        dim=2,
    )
    positions = temporal_positions(len(memory), latent_frames(length), settings.spacing)
    samples = _sample(
        [
            _placed(sampling.with_shift(model, settings.shift), positions)
            for model in (models.high, models.low)
        ],
        noise,
        [_extended(branch, slots) for branch in (positive, negative)],
        settings,
        seed,
    )
    return quantise(vae.decode(models.vae, samples[:, :, len(memory) :]).numpy())


def _placed(model: ModelPatcher, positions: Sequence[float]) -> ModelPatcher:
    """A clone whose latent frames stand at these positions in time."""
    clone = model.clone()
    one = clone.get_model_object(ROPE)

    def rope(t: int, h: int, w: int, **kwargs: object) -> Tensor:
        return torch.cat([one(1, h, w, **{**kwargs, "t_start": position}) for position in positions], dim=1)

    clone.add_object_patch(ROPE, rope)
    return clone


def _extended(branch: conditioning.Conditioning, slots: Tensor) -> conditioning.Conditioning:
    """The shot's conditioning with the memory's frames in front, known on all of the mask."""
    [[embedding, values]] = branch
    known = torch.zeros_like(values["concat_mask"][:, :, :1]).expand(-1, -1, slots.shape[2], -1, -1)
    longer = {
        "concat_latent_image": torch.cat([slots, values["concat_latent_image"]], dim=2),
        "concat_mask": torch.cat([known, values["concat_mask"]], dim=2),
    }
    return [[embedding, {**values, **longer}]]


def _sample(
    experts: Sequence[ModelPatcher],
    noise: Tensor,
    branches: Sequence[conditioning.Conditioning],
    settings: Settings,
    seed: int,
) -> Tensor:
    """Both experts in turn, from noise that is given: [1, 16, M + f, h, w]."""
    sigmas, switch = sampling.stages(
        experts[0], sampler_name=settings.sampler_name, scheduler=settings.scheduler, steps=settings.steps,
        shift=settings.shift, boundary=settings.boundary,
    )  # fmt: skip
    samples = torch.zeros_like(noise)
    stages = (
        (experts[0], sigmas[: switch + 1], settings.cfg_high),
        (experts[1], sigmas[switch:], settings.cfg_low),
    )
    for model, levels, cfg in stages:
        if len(levels) > 1:
            samples = comfy.sample.sample_custom(
                model, noise, cfg, comfy.samplers.sampler_object(settings.sampler_name), levels, *branches,
                samples, disable_pbar=True, seed=seed,
            )  # fmt: skip
            # What is left of the noise is in the samples already.
            noise = torch.zeros_like(noise)
    return samples


@torch.inference_mode()
def round_trip(models: Models, frames: np.ndarray) -> np.ndarray:
    """Frames, uint8 [F, H, W, 3], encoded and decoded."""
    latent = vae.encode(models.vae, torch.from_numpy(frames).float().div(255))
    return quantise(vae.decode(models.vae, latent).numpy())
