"""One shot sampled by two experts, through the host's own sampling functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..errors import StoryMemError
from ..models.wan_shapes import I2V_CHANNELS
from ..sampling import check_finite, expert_switch
from .conditioning import Conditioning
from .memory import input_channels

Callback = Callable[[int, Tensor, Tensor, int], None]
"""As the host's: (step, prediction of the clean latent, noisy latent, number of steps)."""

SAMPLERS: list[str] = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS: list[str] = comfy.samplers.KSampler.SCHEDULERS

_ONE_STEP_FAILS = ("uni_pc", "uni_pc_bh2")
_STOP_BEFORE_ZERO = ("dpm_fast", "dpm_adaptive")


def sample(
    high: ModelPatcher,
    low: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    latent: dict[str, Any],
    *,
    seed: int,
    steps: int,
    cfg_high: float,
    cfg_low: float,
    sampler_name: str,
    scheduler: str,
    shift: float,
    boundary: float,
    callback: Callback | None = None,
    shot: str = "",
) -> dict[str, Any]:
    """Sample a shot: the high-noise expert down to the boundary, then the low-noise expert.

    It equals two of the host's KSamplerAdvanced nodes with the same split (the first returns its leftover
    noise, the second adds none), on models whose shift ModelSamplingSD3 has set. What a noise mask protects
    stays, though, where two nodes lose it.

    Args:
        high, low: both image-to-video (36 channels, with a shot's conditioning) or both text-to-video (16
            channels, without). Unchanged; a shift set on them earlier is replaced.
        latent: the host's LATENT, samples [B, 16, f, h, w]; its noise_mask is respected. Unchanged.
        seed: of the noise, and of samplers that draw noise at every step.
        cfg_high, cfg_low: guidance of each expert; 1 computes the positive branch only.
        sampler_name, scheduler: any that the host offers.
        shift, boundary: `Schedule`.
        callback: called after each step, after the preview, with steps counted over both experts.
        shot: the shot's id, for the message.

    Returns:
        A new LATENT with the clean samples, fp32 [B, 16, f, h, w].

    Raises:
        StoryMemError: models, prompts and conditioning that do not belong together, an unknown sampler or
            scheduler, a sampler that cannot do it (see `stages`), or a result that is not finite.
        InterruptProcessingException: the user stopped the run; it comes from within a step.
    """
    for expert in (high, low):
        _check_conditioned(expert, positive)
        _check_text(expert, [*positive, *negative])
    sigmas, switch = stages(
        high, sampler_name=sampler_name, scheduler=scheduler, steps=steps, shift=shift, boundary=boundary
    )
    steps = len(sigmas) - 1
    high, low = with_shift(high, shift), with_shift(low, shift)

    samples = comfy.sample.fix_empty_latent_channels(high, latent["samples"])
    mask = latent.get("noise_mask")
    noise = comfy.sample.prepare_noise(samples, seed, latent.get("batch_index"))
    follow = _follow(high, steps, callback)
    run = partial(
        comfy.sample.sample_custom,
        sampler=comfy.samplers.sampler_object(sampler_name),
        positive=positive,
        negative=negative,
        noise_mask=mask,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    if switch > 0:
        rough = run(
            high, noise, cfg_high, latent_image=samples, sigmas=sigmas[: switch + 1], callback=follow(0)
        )
        noise, samples = _leftover(rough, samples, noise, mask)
    if switch < steps:
        samples = run(
            low, noise, cfg_low, latent_image=samples, sigmas=sigmas[switch:], callback=follow(switch)
        )
    check_finite(samples, "sampled latents", shot=shot)
    return {**latent, "samples": samples}


def stages(
    high: ModelPatcher, *, sampler_name: str, scheduler: str, steps: int, shift: float, boundary: float
) -> tuple[Tensor, int]:
    """The noise levels of a shot [steps + 1], and how many leading steps belong to the high-noise expert.

    Raises:
        StoryMemError: an unknown sampler or scheduler, uni_pc with a single step for an expert, or a sampler
            that does not go down to sigma 0.
    """
    sigmas = noise_levels(with_shift(high, shift), sampler_name, scheduler, steps)
    switch = expert_switch(sigmas, boundary)
    _check_stages(sampler_name, (switch, len(sigmas) - 1 - switch), float(sigmas[-2]))
    return sigmas, switch


def with_shift(model: ModelPatcher, shift: float) -> ModelPatcher:
    """A clone of the model with its noise levels shifted, by the host's ModelSamplingSD3."""
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    (shifted,) = ModelSamplingSD3().patch(model, shift)
    return shifted


def noise_levels(model: ModelPatcher, sampler_name: str, scheduler: str, steps: int) -> Tensor:
    """The sigmas that the host's KSampler would take, falling to 0: [steps + 1] (a scheduler may give fewer).

    For uni_pc and dpm_2 the host asks the scheduler for one step more and leaves out the last but one sigma.

    Raises:
        StoryMemError: the host has no such sampler or scheduler (KSampler would silently take another).
    """
    for what, name, known in (("sampler", sampler_name, SAMPLERS), ("scheduler", scheduler, SCHEDULERS)):
        if name not in known:
            raise StoryMemError(f"unknown {what}", value=name, remedy=f"Use one of: {', '.join(known)}.")
    return comfy.samplers.KSampler(
        model, steps=steps, device=model.load_device, sampler=sampler_name, scheduler=scheduler, denoise=1.0
    ).sigmas


def _leftover(rough: Tensor, original: Tensor, noise: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Noise and latent from which the second stage goes on, both [B, 16, f, h, w].

    The leftover noise is in `rough` already, so none is added, except where a noise mask protects the
    original: there the second stage needs the same two ends of the path as the first.
    """
    if mask is None:
        return torch.zeros_like(noise), rough
    free = comfy.sampler_helpers.prepare_mask(mask, rough.shape, rough.device)
    protected = 1.0 - free
    return noise * protected.to(noise), free * rough + protected * original.to(rough)


def _follow(model: ModelPatcher, steps: int, callback: Callback | None) -> Callable[[int], Callback]:
    """One progress bar with previews for both stages: first step of a stage -> that stage's callback."""
    show = latent_preview.prepare_callback(model, steps)

    def stage(first: int) -> Callback:
        def step(index: int, x0: Tensor, x: Tensor, _: int) -> None:
            show(first + index, x0, x, steps)
            if callback is not None:
                callback(first + index, x0, x, steps)

        return step

    return stage


def _check_conditioned(model: ModelPatcher, positive: Conditioning) -> None:
    # The host would drop the condition without a word, or fill it up with zeros, which are not grey.
    conditioned = any("concat_latent_image" in values for _, values in positive)
    channels = input_channels(model)
    if conditioned and channels != I2V_CHANNELS:
        raise StoryMemError(
            "start frames and cuts need an image-to-video model, whose input has 36 channels",
            value=f"{channels} channels",
            remedy="Load wan2.2_i2v_high_noise_14B and wan2.2_i2v_low_noise_14B.",
        )
    if not conditioned and channels == I2V_CHANNELS:
        raise StoryMemError(
            "an image-to-video model needs a shot's conditioning, even for a cut",
            value=f"{channels} channels, no concat_latent_image",
            remedy="Put StoryMemShotConditioning in front of the sampler, or load a text-to-video pair.",
        )


def _check_text(model: ModelPatcher, prompts: Conditioning) -> None:
    width = getattr(model.model.diffusion_model, "text_dim", None)
    for embedding, _ in prompts:
        if width is not None and embedding.shape[-1] != width:
            raise StoryMemError(
                f"the prompt was encoded for another model: this one reads {width} features per token",
                value=f"{embedding.shape[-1]} features",
                remedy="Load the text encoder with Load CLIP with umt5-xxl and type wan.",
            )


def _check_stages(sampler_name: str, steps_of_experts: tuple[int, int], last_above_zero: float) -> None:
    # The host gives these the last sigma above 0 as their end, and that much noise would stay in the shot.
    if sampler_name in _STOP_BEFORE_ZERO:
        raise StoryMemError(
            f"ComfyUI's {sampler_name} stops at sigma {last_above_zero:.2f} and would leave that much noise",
            value=sampler_name,
            remedy="Use another sampler, such as euler or dpmpp_2m.",
        )
    # The host's uni_pc moves nothing in a run of a single step: pure noise would pass for a result.
    if sampler_name in _ONE_STEP_FAILS and 1 in steps_of_experts:
        raise StoryMemError(
            f"ComfyUI's {sampler_name} cannot sample a single step, which is all one expert would get",
            value=f"{steps_of_experts[0]} + {steps_of_experts[1]} steps",
            remedy="Use more steps, or the sampler euler.",
        )
