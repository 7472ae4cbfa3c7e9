"""The sizes and lengths that people use: 480p and 720p, wide and upright, up to the model's 81 frames.

Everything that a shot is made of has its shape here, but for the pixels, which would only cost time.
"""

from __future__ import annotations

import pytest
import torch

from storymem_core.conditioning.memory_patch import CALL, MEMORY, memory_entry, rope_with_memory
from storymem_core.conditioning.positions import temporal_positions
from storymem_core.conditioning.slots import memory_slots
from storymem_core.conditioning.start import check_size, check_start, unknown_mask
from storymem_core.frames.counts import latent_frames, next_start
from storymem_core.training.memory_needed import tokens

SIZES = [(832, 480), (480, 832), (1280, 720), (720, 1280)]
LENGTHS = range(1, 82, 4)
MEMORY_FRAMES = 10


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("start", [0, 1, 5])
def test_the_mask_of_every_length_fits_the_latent(width, height, start):
    check_size(width, height)
    for length in LENGTHS:
        if length <= start:
            continue
        check_start(start, length)
        mask = unknown_mask(start, length, height, width)
        assert mask.shape == (1, 1, (length + 3) // 4, height // 8, width // 8)
        known = (start + 3) // 4
        assert not mask[:, :, :known].any() and mask[:, :, known:].all()


@pytest.mark.parametrize("length", LENGTHS)
def test_positions_and_what_is_handed_on_of_every_length(length):
    frames = latent_frames(length)
    positions = temporal_positions(MEMORY_FRAMES, frames)
    assert positions[:MEMORY_FRAMES] == tuple(range(-50, 0, 5))
    assert positions[MEMORY_FRAMES:] == tuple(range(frames))
    if length > 5:
        assert next_start(list(range(length)), 5) == list(range(length - 5, length))


@pytest.mark.parametrize("width, height", SIZES)
def test_memory_slots_have_the_size_of_the_shot(width, height):
    clean = torch.zeros(1, 16, 1, height // 8, width // 8).expand(-1, -1, MEMORY_FRAMES, -1, -1)
    slots = memory_slots(clean, clean, torch.tensor([0.5]), 1)
    assert slots.shape == (1, 36, MEMORY_FRAMES, height // 8, width // 8)


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("length", [5, 49, 81])
def test_every_token_has_a_position(width, height, length):
    """As many rows as tokens; the rows of a frame are the patches of its size, and memory's come last."""

    def rope(t, h, w, t_start=0, **kwargs):
        times = torch.arange(t, dtype=torch.float32) + t_start
        return times.repeat_interleave((h // 2) * (w // 2)).reshape(1, -1, 1)

    clean = torch.zeros(1, 16, MEMORY_FRAMES, 1, 1)
    entry = memory_entry(clean, [str(i) for i in range(MEMORY_FRAMES)], seed=0)
    call = {"placed": False, "inserted": True, "frames_behind": 0}
    options = {MEMORY: entry, CALL: call}
    frames = latent_frames(length)
    rows = rope_with_memory(
        rope, 5.0, frames + MEMORY_FRAMES, height // 8, width // 8, transformer_options=options
    )
    count = tokens(MEMORY_FRAMES, width=width, height=height, frames=length)
    assert rows.shape[1] == count
    per_frame = count // (frames + MEMORY_FRAMES)
    assert rows[0, ::per_frame, 0].tolist() == [*range(frames), *range(-50, 0, 5)]
