"""Rotary tables against diffusers' own, and attention that moves with them."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from storymem_core.training.rope import MemoryRope, rotary


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 1, 1), (5, 4, 4), (21, 3, 7)])
def test_without_memory_it_is_diffusers_own_table(frames: int, height: int, width: int):
    latent = torch.empty(1, 16, frames, 2 * height, 2 * width)
    theirs = WanRotaryPosEmbed(128, (1, 2, 2), 64)(latent)
    ours = MemoryRope(frames)(latent)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert (a - b).abs().max() < 1e-6


def test_memory_stands_at_negative_positions_in_front_of_a_shot_that_stays_where_it_is():
    plain, behind = (MemoryRope(5)(torch.empty(1, 16, frames, 8, 8)) for frames in (5, 8))
    for a, b in zip(plain, behind, strict=True):
        assert torch.equal(a, b[:, 3 * 16 :])
    cos, sin = (table.reshape(8, 4, 4, 128) for table in behind)
    for frame, position in enumerate((-15.0, -10.0, -5.0)):
        # Channel pair 1 of the 22 that stand for time: frequency 10000 ** (-2 / 44).
        angle = position * 10000 ** (-2 / 44)
        assert cos[frame, 2, 1, 2].item() == pytest.approx(math.cos(angle), abs=1e-6)
        assert sin[frame, 2, 1, 3].item() == pytest.approx(math.sin(angle), abs=1e-6)


def test_a_spacing_of_one_is_a_longer_shot_seen_from_later():
    """RoPE is relative: what two frames see of one another depends on their distance alone."""
    memory = MemoryRope(5, spacing=1.0)(torch.empty(1, 16, 8, 2, 2))
    longer = MemoryRope(8)(torch.empty(1, 16, 8, 2, 2))

    def products(tables: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        cos, sin = (table[0, :, 0, ::2].double() for table in tables)
        rotated = torch.complex(cos, sin)
        return rotated[:, None] * rotated[None].conj()

    assert torch.allclose(products(memory), products(longer), atol=1e-6)


def test_positions_may_be_any_numbers_and_are_not_rounded():
    cos, _ = rotary((-11.7,), 1, 1, 128)
    assert cos[0, 0, 0, 0].item() == pytest.approx(math.cos(-11.7), abs=1e-7)
