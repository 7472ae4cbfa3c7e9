"""Rotary positions of memory, in place of diffusers' `WanRotaryPosEmbed`, which can only count from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..conditioning.positions import DEFAULT_SPACING, temporal_positions

THETA = 10000.0
"""Base of Wan's rotary frequencies."""


class MemoryRope(nn.Module):
    """M memory frames in front of the f frames of a shot: positions -M*S ... -S, then 0 .. f-1.

    M is what a sequence holds beyond f frames, so one model takes any M, and M = 0 is Wan as it is.

    Args:
        latent_frames: f.
        head: channels of an attention head.
        patch: latent frames, rows and columns of a token.
        spacing: S >= 0.
    """

    def __init__(
        self,
        latent_frames: int,
        *,
        head: int = 128,
        patch: tuple[int, int, int] = (1, 2, 2),
        spacing: float = DEFAULT_SPACING,
    ):
        super().__init__()
        self.latent_frames, self.head, self.patch, self.spacing = latent_frames, head, patch, spacing
        self._tables: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for a latent [B, C, M + f, H, W]: twice fp32 [1, tokens, 1, head]."""
        frames, height, width = (
            size // step for size, step in zip(hidden_states.shape[2:], self.patch, strict=True)
        )
        device = hidden_states.device
        key = (frames, height, width, device)
        if key not in self._tables:
            positions = temporal_positions(frames - self.latent_frames, self.latent_frames, self.spacing)
            cos, sin = rotary(positions, height, width, self.head)
            self._tables[key] = cos.to(device), sin.to(device)
        return self._tables[key]


def with_memory_rope(model: Any, latent_frames: int, spacing: float = DEFAULT_SPACING) -> Any:
    """Let a WanTransformer3DModel see memory in front of its `latent_frames` frames; it is changed."""
    config = model.config
    model.rope = MemoryRope(
        latent_frames, head=config.attention_head_dim, patch=tuple(config.patch_size), spacing=spacing
    )
    return model


def rotary(positions: Sequence[float], height: int, width: int, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines as diffusers' attention wants them: each angle twice in a row, computed in fp64.

    A head's channels are dealt to time, rows and columns as Wan does it: rows and columns get 2 * (head // 6)
    each, time the rest.

    Args:
        positions: in time, any real numbers, one per frame of tokens.
        height, width: tokens.
        head: channels of an attention head.

    Returns:
        Twice fp32 [1, len(positions) * height * width, 1, head].
    """
    side = 2 * (head // 6)
    times = torch.tensor(positions, dtype=torch.float64)
    rows, columns = (torch.arange(size, dtype=torch.float64) for size in (height, width))
    grid = (len(positions), height, width, -1)
    angles = torch.cat(
        [
            _angles(times, head - 2 * side)[:, None, None].expand(grid),
            _angles(rows, side)[None, :, None].expand(grid),
            _angles(columns, side)[None, None].expand(grid),
        ],
        dim=-1,
    ).reshape(1, -1, 1, head)
    return angles.cos().float(), angles.sin().float()


def _angles(positions: Tensor, channels: int) -> Tensor:
    """[n, channels], fp64: position * THETA ** (-i / channels) for even i, each twice."""
    frequencies = THETA ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    return torch.outer(positions, frequencies).repeat_interleave(2, dim=1)
