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
                        f"nothing arrives at the input {needed.id!r}",
                        value=None,
                        remedy=f"It takes: {needed.tooltip}",
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
        tooltip="Frames that the model generates, 4k+1. 81 is five seconds at 16 fps.",
    )


def seed_input() -> io.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=io.ControlAfterGenerate.fixed,
        tooltip="Noise of the shot's latent, and of the memory's noise path.",
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
            tooltip="Frames per second: 16 for Wan.",
        ),
        io.Int.Input(
            "crossfade",
            default=0,
            min=0,
            max=64,
            tooltip="Frames of cross-fade at a cut; 0 is a hard cut. Continued shots are never faded.",
        ),
    ]


def fit_input() -> io.Input:
    return io.Combo.Input(
        "fit",
        options=list(FITS),
        default=CROP,
        optional=True,
        tooltip="Pictures of another shape than the film: crop at the centre, pad with grey, or stretch. The film keeps "
        "its size.",
    )


def spacing_input() -> io.Input:
    return io.Float.Input(
        "spacing",
        default=5.0,
        min=0.0,
        max=100.0,
        step=0.5,
        advanced=True,
        tooltip="S: latent frames between two memory frames on the time axis, -M*S ... -S. "
        "5 as in training; 1 puts the memory right before the shot.",
    )


def end_image_input() -> io.Input:
    return io.Image.Input(
        "end_image", optional=True, tooltip="What the shot ends on, its last frame (first-last-frame)."
    )


def colour_match_input() -> io.Input:
    return io.Int.Input(
        "colour_match",
        default=0,
        min=0,
        max=81,
        optional=True,
        tooltip="Over so many frames a continued shot's colours are led over from those of the shot before; 0 leaves "
        "them as they are. It changes the film, never the stored shots.",
    )


def sampling_inputs() -> list[io.Input]:
    """How two experts sample: steps, cfg per expert, sampler, scheduler, shift, boundary."""
    from ..storymem_core.host.sampling import SAMPLERS, SCHEDULERS

    return [
        io.Int.Input("steps", default=40, min=1, max=1000, tooltip="Steps of both experts together."),
        io.Float.Input(
            "cfg_high",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="Guidance of the high-noise expert. 1 computes no negative branch.",
        ),
        io.Float.Input(
            "cfg_low",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="Guidance of the low-noise expert. 1 computes no negative branch.",
        ),
        io.Combo.Input(
            "sampler_name", options=SAMPLERS, default="uni_pc", tooltip="Any of the host's samplers."
        ),
        io.Combo.Input(
            "scheduler",
            options=SCHEDULERS,
            default="simple",
            tooltip="Any of the host's schedulers. 'simple' changes experts at the release's step.",
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
            tooltip="Noise level t from which on (t >= boundary) the high-noise expert works; below it the low-noise one.",
        ),
    ]
