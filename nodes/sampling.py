"""Memory, conditioning and two experts in one node."""

from __future__ import annotations

from comfy_api.latest import io

from ..storymem_core.host.conditioning import condition_shot
from ..storymem_core.host.lora import log_doubts
from ..storymem_core.host.memory import give_memory
from ..storymem_core.host.sampling import sample
from ..storymem_core.keyframes.remember import memory_pictures
from .common import (
    CATEGORY,
    MemorySocket,
    end_image_input,
    named_errors,
    sampling_inputs,
    seed_input,
    size_inputs,
    spacing_input,
)
from .preview import frames_preview


class StoryMemM2VSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemM2VSampler",
            display_name="M2V Sampler",
            category=CATEGORY,
            description="Samples one shot with memory: Shot Conditioning, Apply Memory on both experts, and "
            "sampling that switches experts at the boundary. Decode the latent with VAE Decode.",
            search_aliases=["ksampler", "wan sampler", "two experts", "memory"],
            inputs=[
                io.Model.Input(
                    "high_noise_model", tooltip="The high-noise expert, preferably with its M2V LoRA."
                ),
                io.Model.Input(
                    "low_noise_model", tooltip="The low-noise expert, preferably with its M2V LoRA."
                ),
                io.Conditioning.Input("positive", tooltip="The shot's prompt."),
                io.Conditioning.Input("negative", tooltip="What the shot should not show."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
                *size_inputs(),
                seed_input(),
                *sampling_inputs(),
                spacing_input(),
                io.MultiType.Input(
                    "memory",
                    types=[MemorySocket, io.Image],
                    optional=True,
                    tooltip="A memory bank, or an IMAGE batch with the oldest image first. Leave unconnected for "
                    "a shot without memory.",
                ),
                io.Image.Input(
                    "start_frames",
                    optional=True,
                    tooltip="None for a cut, 1 frame for MI2V, 4k+1 frames (5, 9, 13) for MM2V.",
                ),
                end_image_input(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", tooltip="The shot's f latent frames. Nothing needs trimming."
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(
        cls, high_noise_model, low_noise_model, positive, negative, vae, width, height, length, seed, steps,
        cfg_high, cfg_low, sampler_name, scheduler, shift, boundary, spacing, memory=None, start_frames=None,
        end_image=None,
    ) -> io.NodeOutput:  # fmt: skip
        positive, negative, latent = condition_shot(
            positive, negative, vae, start_frames, width=width, height=height, length=length,
            end=None if end_image is None else end_image[:1],
        )  # fmt: skip
        frames = memory_pictures(memory)
        high, low = give_memory(
            (high_noise_model, low_noise_model), vae, frames, latent["samples"], seed=seed, spacing=spacing
        )
        log_doubts(
            {"high": high, "low": low},
            memory=len(frames),
            spacing=spacing,
            overlap=None if start_frames is None else len(start_frames),
        )
        sampled = sample(
            high, low, positive, negative, latent, seed=seed, steps=steps, cfg_high=cfg_high, cfg_low=cfg_low,
            sampler_name=sampler_name, scheduler=scheduler, shift=shift, boundary=boundary,
        )  # fmt: skip
        return io.NodeOutput(sampled, ui=frames_preview([frame.pixels for frame in frames], cls))


NODES = [StoryMemM2VSampler]
