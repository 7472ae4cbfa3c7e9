"""The shots of a script as the steps of a loop, and a look at all that they name before any is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NamedTuple

from ..conditioning.start import check_start
from ..errors import at_node
from ..host import files
from ..lora.extra_lora import as_widgets
from ..memory.references import as_text
from ..script.plan import ShotPlan
from . import shot_images
from .shot import Models
from .shot_loras import with_loras
from .shot_record import digest

_EVERY_SHOT = ("clip", "vae", "embedder", "filter")
_FIRST_SHOT = ("memory", "start_frames", "story")
_I2V = {"high_noise_model": "high_noise_model", "low_noise_model": "low_noise_model"}
_T2V = {"high_noise_model": "t2v_high_noise_model", "low_noise_model": "t2v_low_noise_model"}


class Step(NamedTuple):
    """One StoryMemShot of a loop."""

    widgets: Mapping[str, Any]
    wires: Mapping[str, str]
    """Each socket of the shot -> the loop's input that feeds it."""
    images: Mapping[str, str] = MappingProxyType({})
    """Each socket of the shot that an image of the host's input folder feeds -> its file."""
    number: int = 1
    """The shot's place in the whole script behind the shots of `story`, from 1."""
    kept: str = ""
    """Why the shot stays as it is whatever the memory becomes, for people; "" if it does not."""


def asked(step: Step) -> Mapping[str, Any]:
    """A step as the story's outline keeps it: its images by their pixels, all but the name of its folder."""
    size = (step.widgets["width"], step.widgets["height"])
    images = {
        name: digest(shot_images.fitted(files.image(step.images[name]), size))
        if name in step.images
        else None
        for name in shot_images.OWN
    }
    return {name: value for name, value in {**step.widgets, **images}.items() if name != "project"}


def step(
    planned: ShotPlan, widgets: Mapping[str, Any], negative_prompt: str, *, first: bool, number: int
) -> Step:
    """A planned shot as a StoryMemShot.

    Args:
        widgets: those that do not come from the plan.
        negative_prompt: the story's.
        number: the shot's place in the whole script, from 1.
    """
    own = planned.negative_prompt
    images = {name: getattr(planned, name) for name in shot_images.OWN}
    return Step(
        {
            **widgets,
            "shot_id": planned.id,
            "scene": planned.scene,
            "prompt": planned.prompt,
            "negative_prompt": negative_prompt if own is None else own,
            "cut": planned.cut,
            "length": planned.frames,
            "seed": planned.seed,
            "references": as_text(planned.references),
            "lora_strength": float(planned.lora_strength),
            **as_widgets(planned.lora),
        },
        {
            **{name: name for name in _EVERY_SHOT},
            **(_T2V if planned.mode == "t2v" else _I2V),
            **({name: name for name in _FIRST_SHOT} if first else {}),
        },
        {name: file for name, file in images.items() if file is not None},
        number,
    )


def check_images(planned: ShotPlan) -> None:
    """Refuse images that a shot of the script cannot have.

    Raises:
        StoryMemError: one is not there or no image, or the shot is too short for them; it names the shot.
    """
    with _named(planned):
        check_start(planned.given, planned.frames, planned.end_image is not None)
        for name in (planned.start_image, planned.end_image):
            if name is not None:
                files.image(name)


def check_loras(shots: Sequence[ShotPlan], models: Callable[[ShotPlan], Models]) -> None:
    """Refuse LoRAs that a shot of the script cannot have. Files of gigabytes, so each is read once.

    Args:
        models: those that make a shot.

    Raises:
        StoryMemError: as `with_loras`; it names the first shot that wants it.
    """
    kinds = {(one.mode == "t2v", one.lora, one.lora_strength): one for one in reversed(shots)}
    for planned in kinds.values():
        with _named(planned):
            with_loras(models(planned), planned)


def _named(planned: ShotPlan) -> AbstractContextManager[None]:
    return at_node(f"StoryMemStoryLoop, shot {planned.id!r}")
