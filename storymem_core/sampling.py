"""Two experts share a shot: which steps each takes (pure).

Wan2.2's high-noise expert makes the rough shot, its low-noise expert the details. Sigma is the noise level
t in [0, 1]; the experts change where it falls below a boundary (t >= boundary: high noise).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .errors import StoryMemError


class Schedule(NamedTuple):
    """shift: of the noise levels towards noise, t' = shift t / (1 + (shift - 1) t); boundary: in t."""

    shift: float
    boundary: float


M2V = Schedule(shift=4.0, boundary=0.9)
"""A shot by the image-to-video pair with StoryMem's LoRA (the settings of StoryMem's release)."""

T2V = Schedule(shift=12.0, boundary=0.875)
"""A first shot by the text-to-video pair (the settings of StoryMem's release)."""


def expert_switch(sigmas: Tensor, boundary: float) -> int:
    """How many leading steps belong to the high-noise expert.

    Args:
        sigmas: noise levels in falling order, [steps + 1], the last one the end of the last step.
        boundary: a step belongs to the high-noise expert if its sigma is >= boundary. 0 gives all steps to
            it; 1 leaves it only a step that starts from pure noise.

    Returns:
        0 .. steps: the index of the first step whose sigma is below the boundary.
    """
    high = (sigmas[:-1] >= boundary).long()
    return int(high.cumprod(0).sum())


SAMPLING_REMEDY = (
    "Lower the LoRA strength, take another sampler or scheduler, or load the models in bf16 or fp8, not fp16."
)
"""What to do about latents that sampling has spoilt."""


def check_finite(values: Tensor, what: str, *, remedy: str = SAMPLING_REMEDY, shot: str = "") -> Tensor:
    """Give `values` back if all are finite; one NaN would spread over the whole film.

    Args:
        values: any shape.
        what: their name in the message, in the plural.
        remedy: what to do about it.
        shot: id of the shot, if there is one.

    Raises:
        StoryMemError: a value is NaN or infinite; it names the shot and counts such values.
    """
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        of_shot = f" of shot {shot!r}" if shot else ""
        raise StoryMemError(
            f"the {what}{of_shot} must not be NaN or infinite",
            value=f"{bad} of {values.numel()} values",
            remedy=remedy,
        )
    return values
