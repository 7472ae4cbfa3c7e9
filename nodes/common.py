"""What several nodes share: sockets, the error's node name, and the widgets of sampling."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from ..storymem_core.errors import StoryMemError, at_node
from ..storymem_core.memory.frame import CROP, FITS
from ..storymem_core.sampling import M2V

CATEGORY = "StoryMem"

ScriptSocket = io.Custom("STORYMEM_SCRIPT")
MemorySocket = io.Custom("STORYMEM_MEMORY")
EmbedderSocket = io.Custom("STORYMEM_EMBEDDER")
FilterSocket = io.Custom("STORYMEM_FILTER")
StorySocket = io.Custom("STORYMEM_STORY")
LoopSocket = io.Custom("STORYMEM_LOOP")


def named_errors(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Put the node's id on the StoryMemErrors of its execute, and refuse needed inputs that bring None.

    A link may bring None: a checkpoint without a text encoder gives it as its CLIP.
    """

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], **inputs: Any) -> Any:
        # Not the class's name: the host runs a clone, whose name differs.
        with at_node(cls.SCHEMA.node_id):
            for needed in cls.SCHEMA.inputs:
                if not needed.optional and inputs.get(needed.id) is None:
                    raise StoryMemError(
                        f"the input {needed.id!r} received nothing",
                        value=None,
                        remedy=f"Connect: {needed.tooltip}",
                    )
            return execute(cls, **inputs)

    return run


def size_inputs() -> list[io.Input]:
    """Width, height and length of a shot."""
    return [
        io.Int.Input(
            "width", default=832, min=16, max=4096, step=16, tooltip="Width in pixels, a multiple of 16."
        ),
        io.Int.Input(
            "height", default=480, min=16, max=4096, step=16, tooltip="Height in pixels, a multiple of 16."
        ),
        length_input(),
    ]


def length_input() -> io.Input:
    return io.Int.Input(
        "length",
        default=81,
        min=1,
        max=1025,
        step=4,
        tooltip="Number of frames to generate, 4k+1. 81 frames are five seconds at 16 fps.",
    )


def seed_input() -> io.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=io.ControlAfterGenerate.fixed,
        tooltip="Seed for the shot's latent noise and for the memory's noise path.",
    )


def film_inputs() -> list[io.Input]:
    """How shots become a film."""
    return [
        io.Float.Input(
            "fps",
            default=16.0,
            min=1.0,
            max=120.0,
            step=1.0,
            tooltip="Frames per second of the film. Wan uses 16.",
        ),
        io.Int.Input(
            "crossfade",
            default=0,
            min=0,
            max=64,
            tooltip="Number of cross-fade frames at each cut; 0 makes hard cuts. Continued shots are never cross-faded.",
        ),
    ]


def fit_input() -> io.Input:
    return io.Combo.Input(
        "fit",
        options=list(FITS),
        default=CROP,
        optional=True,
        tooltip="How to fit images whose shape differs from the film's: crop at the centre, pad with grey, or "
        "stretch. The film's size does not change.",
    )


def spacing_input() -> io.Input:
    return io.Float.Input(
        "spacing",
        default=5.0,
        min=0.0,
        max=100.0,
        step=0.5,
        advanced=True,
        tooltip="S: spacing of the memory frames on the time axis, in latent frames (-M*S ... -S). 5 is the value "
        "used in training; 1 puts the memory right before the shot.",
    )


def end_image_input() -> io.Input:
    return io.Image.Input(
        "end_image", optional=True, tooltip="The last frame of the shot (first-last-frame)."
    )


def colour_match_input() -> io.Input:
    return io.Int.Input(
        "colour_match",
        default=0,
        min=0,
        max=81,
        optional=True,
        tooltip="Number of frames over which a continued shot's colours fade from those of the previous shot back "
        "to its own. 0 turns it off. It changes only the film, never the stored shots.",
    )


def sampling_inputs() -> list[io.Input]:
    """How two experts sample: steps, cfg per expert, sampler, scheduler, shift, boundary."""
    from ..storymem_core.host.sampling import SAMPLERS, SCHEDULERS

    return [
        io.Int.Input("steps", default=40, min=1, max=1000, tooltip="Total number of steps for both experts."),
        io.Float.Input(
            "cfg_high",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="CFG of the high-noise expert. At 1 the negative prompt is not computed.",
        ),
        io.Float.Input(
            "cfg_low",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="CFG of the low-noise expert. At 1 the negative prompt is not computed.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=SAMPLERS,
            default="uni_pc",
            tooltip="Any ComfyUI sampler except dpm_fast and dpm_adaptive, which leave noise.",
        ),
        io.Combo.Input(
            "scheduler",
            options=SCHEDULERS,
            default="simple",
            tooltip="Any ComfyUI scheduler. With 'simple' the experts switch at the same step as in the StoryMem release.",
        ),
        io.Float.Input(
            "shift",
            default=M2V.shift,
            min=0.1,
            max=100.0,
            step=0.1,
            tooltip="Shift of the noise schedule: 4 with memory, 5 for plain image-to-video.",
        ),
        io.Float.Input(
            "boundary",
            default=M2V.boundary,
            min=0.0,
            max=1.0,
            step=0.005,
            tooltip="Noise level at which the experts switch: the high-noise expert runs while t >= boundary, the "
            "low-noise expert below it.",
        ),
    ]
