from __future__ import annotations

import torch

from storymem_core.conditioning.slots import memory_slots, path_noise

SIZE = (16, 4, 6)


def test_noise_depends_on_seed_and_frame_alone():
    noise = path_noise(1, ["a", "b", "c"], SIZE)
    assert noise.shape == (1, 16, 3, 4, 6)
    assert torch.equal(noise, path_noise(1, ["a", "b", "c"], SIZE))
    moved = path_noise(1, ["c", "a"], SIZE)
    assert torch.equal(moved[:, :, 0], noise[:, :, 2])
    assert torch.equal(moved[:, :, 1], noise[:, :, 0])
    assert not torch.equal(noise, path_noise(2, ["a", "b", "c"], SIZE))
    assert not torch.equal(noise[:, :, 0], noise[:, :, 1])


def test_noise_is_standard_normal_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    noise = path_noise(7, [str(i) for i in range(64)], (16, 16, 16))
    assert torch.equal(torch.get_rng_state(), before)
    assert noise.dtype == torch.float32
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01


def test_slots_are_path_mask_and_condition():
    clean, noise = torch.randn(1, *SIZE[:1], 3, *SIZE[1:]), torch.randn(1, 16, 3, 4, 6)
    slots = memory_slots(clean, noise, torch.tensor([0.25]), 2)
    assert slots.shape == (2, 36, 3, 4, 6)
    assert torch.allclose(slots[:, :16], (0.75 * clean + 0.25 * noise).expand(2, -1, -1, -1, -1))
    assert torch.equal(slots[:, 16:20], torch.ones(2, 4, 3, 4, 6))
    assert torch.equal(slots[:, 20:], clean.expand(2, -1, -1, -1, -1))


def test_ends_of_the_path():
    clean, noise = torch.randn(1, 16, 2, 4, 6), torch.randn(1, 16, 2, 4, 6)
    assert torch.equal(memory_slots(clean, noise, torch.tensor([0.0]), 1)[:, :16], clean)
    assert torch.equal(memory_slots(clean, noise, torch.tensor([1.0]), 1)[:, :16], noise)


def test_levels_repeat_over_the_batch_as_the_host_stacks_its_branches():
    clean, noise = torch.randn(1, 16, 1, 4, 6), torch.randn(1, 16, 1, 4, 6)
    slots = memory_slots(clean, noise, torch.tensor([0.2, 0.8]), 4)
    for row, t in enumerate((0.2, 0.8, 0.2, 0.8)):
        assert torch.allclose(slots[row, :16], ((1 - t) * clean + t * noise)[0], atol=1e-6)


def test_inputs_are_left_alone():
    clean, noise, t = torch.randn(1, 16, 1, 4, 6), torch.randn(1, 16, 1, 4, 6), torch.tensor([0.5])
    copies = [clean.clone(), noise.clone(), t.clone()]
    memory_slots(clean, noise, t, 2).zero_()
    assert all(torch.equal(a, b) for a, b in zip((clean, noise, t), copies, strict=True))
