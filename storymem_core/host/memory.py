"""Give a MODEL memory: put the hooks of `memory_patch` into the host's ModelPatcher."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.sd import VAE
from torch import Tensor

from ..conditioning.memory_patch import (
    MEMORY,
    insert_memory,
    memory_entry,
    memory_frames,
    new_run,
    require_memory,
    rope_with_memory,
)
from ..conditioning.positions import memory_positions
from ..conditioning.start import SPATIAL_STRIDE
from ..errors import StoryMemError
from ..frames.pixels import as_images
from ..memory.frame import Picture
from ..models.wan_shapes import I2V_CHANNELS
from .vae import encode_each

ROPE = "diffusion_model.rope_encode"


def give_memory(
    models: Sequence[ModelPatcher],
    vae: VAE,
    frames: Sequence[Picture],
    latent: Tensor,
    *,
    seed: int,
    spacing: float,
) -> tuple[ModelPatcher, ...]:
    """Clones of the experts that see the memory frames, encoded alone for the size of a shot's latent.

    Args:
        models: Wan2.2 I2V experts (36 input channels); any model if there are no frames.
        frames: M memory frames, oldest first.
        latent: of the shot, [B, 16, f, h, w].
        seed: of the memory's noise path; the shot's.
        spacing: S >= 0.

    Raises:
        StoryMemError: as `apply_memory`; a VAE of another family; a size that is not divisible by 16.
    """
    height, width = (size * SPATIAL_STRIDE for size in latent.shape[-2:])
    if frames:
        for model in models:
            _require_room(model)
    images = [as_images(frame.pixels) for frame in frames]
    latents = encode_each(vae, images, [frame.fit for frame in frames], width=width, height=height)
    hashes = [hashlib.sha256(frame.pixels.tobytes()).hexdigest() for frame in frames]
    return tuple(apply_memory(model, latents, hashes, seed=seed, spacing=spacing) for model in models)


def apply_memory(
    model: ModelPatcher, latents: Tensor, frame_hashes: Sequence[str], *, seed: int, spacing: float
) -> ModelPatcher:
    """A clone of the model that sees M memory frames in every call; memory given earlier is replaced.

    Args:
        model: a Wan2.2 I2V model (36 input channels).
        latents: the raw VAE encoding of each memory frame, alone, oldest first: [M, 16, h, w]. M may be 0.
        frame_hashes: sha256 (hex) of each frame's pixels.
        seed: of the memory's noise path.
        spacing: S >= 0.

    Raises:
        StoryMemError: the model has no room for memory, or the spacing is not a number >= 0.
    """
    patched = without_memory(model)
    if len(latents) == 0:
        return patched
    _require_room(model)
    memory_positions(len(latents), spacing)
    raw = latents.float().transpose(0, 1).unsqueeze(0)
    clean = patched.model.process_latent_in(raw)
    patched.model_options["transformer_options"][MEMORY] = memory_entry(clean, frame_hashes, seed=seed)
    for hook, function in _HOOKS.items():
        patched.add_wrapper_with_key(hook, MEMORY, function)
    patched.add_object_patch(ROPE, _placed(patched.get_model_object(ROPE), float(spacing)))
    return patched


def without_memory(model: ModelPatcher) -> ModelPatcher:
    """A clone of the model that sees no memory."""
    clone = model.clone()
    clone.model_options["transformer_options"].pop(MEMORY, None)
    for hook in _HOOKS:
        clone.remove_wrappers_with_key(hook, MEMORY)
    return clone


def input_channels(model: ModelPatcher) -> int:
    """Channels that a Wan model reads per latent frame: 16 for text-to-video, 36 for Wan2.2 I2V; else 0."""
    return getattr(model.model.diffusion_model, "in_dim", 0)


def kind(model: ModelPatcher) -> str:
    """A model as messages name it."""
    return f"{type(model.model.diffusion_model).__name__} with {input_channels(model)} input channels"


def _require_room(model: ModelPatcher) -> None:
    if input_channels(model) != I2V_CHANNELS or not hasattr(model.model.diffusion_model, "rope_encode"):
        raise StoryMemError(
            "memory needs a Wan2.2 image-to-video model, whose input has 36 channels "
            "(16 noise, 4 mask, 16 condition)",
            value=kind(model),
            remedy="Load wan2.2_i2v_high_noise_14B and wan2.2_i2v_low_noise_14B; a text-to-video model can "
            "only make a first shot without memory.",
        )


def _placed(previous: Callable[..., Tensor], spacing: float) -> Callable[..., Tensor]:
    if isinstance(previous, partial) and previous.func is rope_with_memory:
        previous, _ = previous.args  # patches must not pile up
    return partial(rope_with_memory, previous, spacing)


def _reserve(
    executor: Callable[..., Any], model: ModelPatcher, noise_shape: Sequence[int], *args: Any, **kwargs: Any
) -> Any:
    """Begin a sampling run: check the memory's size, and tell the host's memory estimate of the M frames."""
    options = model.model_options["transformer_options"]
    height_width = tuple(options[MEMORY]["clean"].shape[-2:])
    if height_width != tuple(noise_shape[-2:]):
        raise StoryMemError(
            "the memory was encoded at a different size from the latent being sampled",
            value=f"memory {_pixels(height_width)}, latent {_pixels(noise_shape[-2:])}",
            remedy="Connect the LATENT that goes into the sampler to StoryMemApplyMemory.",
            node="StoryMemApplyMemory",
        )
    new_run(options)
    batch, channels, frames, *size = noise_shape
    return executor(model, [batch, channels, frames + memory_frames(options), *size], *args, **kwargs)


def _pixels(height_width: Sequence[int]) -> str:
    return f"{height_width[1] * 8}x{height_width[0] * 8}"


_HOOKS: dict[str, Callable[..., Any]] = {
    WrappersMP.PREPARE_SAMPLING: _reserve,
    WrappersMP.APPLY_MODEL: require_memory,
    WrappersMP.DIFFUSION_MODEL: insert_memory,
}
