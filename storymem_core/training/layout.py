"""What the model reads in training, and what it must say: memory slots in front, then the shot.

Dimension letters: B batch, M memory frames, f latent frames of the shot, C = 16, H and W latent pixels. A
frame of the input has 36 channels, 16 noisy latent + 4 mask + 16 condition, as in Wan2.2-I2V and StoryMem
(arXiv 2512.19539). Latents are the model's own: (raw - mean) / std.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..conditioning.slots import memory_slots
from ..models.wan_shapes import MASK_CHANNELS

TIMESTEPS = 1000.0
"""The model is told t as a timestep of 0 .. 1000."""

KNOWN = {"m2v": 0, "mi2v": 1, "mm2v": 2}
"""Latent frames that a shot is given: none after a cut, the last frame before it, the last five."""


class Shots(NamedTuple):
    """A batch of shots and all that the model is told of them."""

    video: Tensor
    """[B, C, f, H, W], clean."""
    condition: Tensor
    """[B, C, f, H, W]: the encoding of the start frames and grey."""
    known: Tensor
    """[B], int: latent frames of the shot that are given."""
    memory: Tensor
    """[B, C, M, H, W], clean, oldest first."""
    text: Tensor
    """[B, tokens, ...]: whatever the model takes for text."""
    weight: Tensor | None = None
    """[B, 1, f, H, W]: how much each latent counts in the loss; all alike if None."""

    def to(self, device: torch.device) -> Shots:
        """The same shots there."""
        video, condition, known, memory, text = (tensor.to(device) for tensor in self[:5])
        weight = None if self.weight is None else self.weight.to(device)
        return Shots(video, condition, known, memory, text, weight)


class Example(NamedTuple):
    """A step's input and target; the first M frames are memory."""

    hidden_states: Tensor
    """[B, 36, M + f, H, W]."""
    timestep: Tensor
    """[B], 0 .. 1000."""
    target: Tensor
    """[B, C, M + f, H, W]: the velocity eps - z."""


def example(shots: Shots, t: Tensor, noise: Tensor) -> Example:
    """Rectified flow, z_t = (1 - t) z + t eps: all slots at one t, the memory's too, as in the release.

    Args:
        shots: clean.
        t: [B], 0 .. 1.
        noise: eps, [B, C, M + f, H, W].
    """
    frames = shots.memory.shape[2]
    t_B1111 = t.to(shots.video).reshape(-1, 1, 1, 1, 1)
    noisy = (1 - t_B1111) * shots.video + t_B1111 * noise[:, :, frames:]
    clean = torch.cat([shots.memory, shots.video], dim=2)
    read = hidden_states(shots, noisy, t, noise[:, :, :frames])
    return Example(read, TIMESTEPS * t, noise - clean)


def hidden_states(shots: Shots, noisy: Tensor, t: Tensor, memory_noise: Tensor) -> Tensor:
    """What the model reads of a shot that has become `noisy` [B, C, f, H, W]: [B, 36, M + f, H, W]."""
    frames = torch.arange(noisy.shape[2], device=noisy.device)
    given = (frames < shots.known[:, None]).to(noisy)[:, None, :, None, None]
    mask = given.expand(-1, MASK_CHANNELS, -1, *noisy.shape[3:])
    rows = torch.cat([noisy, mask, shots.condition], dim=1)
    return torch.cat([memory_slots(shots.memory, memory_noise, t, len(t)), rows], dim=2)


def times(count: int, shift: float, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Noise levels [count] in low..high: u uniform, t = shift * u / (1 + (shift - 1) u), cut to the range.

    Args:
        shift: > 1 dwells at noise.
        low, high: an expert's range of t.
    """
    first, last = (t / (shift - (shift - 1) * t) for t in (low, high))
    # One number per stratum: a batch covers the range evenly, which makes its loss steadier.
    strata = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    u = first + (last - first) * strata[torch.randperm(count, generator=generator)]
    return shift * u / (1 + (shift - 1) * u)


def loss(
    output: Tensor, target: Tensor, memory: int, *, on_memory: bool = False, weight: Tensor | None = None
) -> Tensor:
    """Mean squared error of the velocity on the shot's frames, or on the memory's too.

    Args:
        output, target: [B, C, M + f, H, W].
        memory: M.
        on_memory: whether the memory's own velocity counts.
        weight: of the shot's latents, [B, 1, f, H, W], whatever its mean; the memory's have 1.
    """
    error = (output.float() - target).square()
    shot = error[:, :, memory:]
    shot = shot if weight is None else shot * (weight / weight.mean())
    return torch.cat([error[:, :, :memory], shot], 2).mean() if on_memory else shot.mean()
