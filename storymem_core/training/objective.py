"""What a model is trained to do: to tell a shot's velocity, with and without memory.

Stages differ in what of the model is trained and in which shots they see; this is what they share.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import layout


class Range(NamedTuple):
    """An expert and its noise levels."""

    expert: str
    low: float
    high: float


def ranges(boundary: float) -> tuple[Range, ...]:
    """Both experts, in the order of their training."""
    return Range("low", 0.0, boundary), Range("high", boundary, 1.0)


def velocity(model: nn.Module, shots: layout.Shots, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """What the model says of noisy shots, and what it should: [B, C, M + f, H, W] each."""
    device = next(model.parameters()).device
    shots = shots.to(device)
    example = layout.example(shots, t.to(device), noise.to(device))
    words = shots.text.float()
    output = model(example.hidden_states, example.timestep, words, return_dict=False)[0]
    return output, example.target


def velocity_loss(
    model: nn.Module,
    shots: layout.Shots,
    span: Range,
    shift: float,
    generator: torch.Generator,
    *,
    on_memory: bool = False,
) -> Tensor:
    """The loss of a batch at noise levels by chance."""
    t = layout.times(len(shots.video), shift, span.low, span.high, generator)
    output, target = velocity(model, shots, t, noise(shots, generator))
    return loss(shots, output, target, on_memory=on_memory)


def loss(shots: layout.Shots, output: Tensor, target: Tensor, *, on_memory: bool = False) -> Tensor:
    """`layout.loss` of what `velocity` gave for these shots."""
    weight = None if shots.weight is None else shots.weight.to(output.device)
    return layout.loss(output, target, shots.memory.shape[2], on_memory=on_memory, weight=weight)


def noise(shots: layout.Shots, generator: torch.Generator) -> Tensor:
    """Standard normal [B, C, M + f, H, W]; the shot's own does not depend on M."""
    video = torch.randn(shots.video.shape, generator=generator)
    return torch.cat([torch.randn(shots.memory.shape, generator=generator), video], dim=2)
