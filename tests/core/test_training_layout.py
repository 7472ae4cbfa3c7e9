"""What the model reads, number by number, and the noise levels it is trained at."""

from __future__ import annotations

import pytest
import torch

from storymem_core.conditioning.slots import memory_slots
from storymem_core.training.layout import Shots, example, loss, times


def shots(memory: int, known: tuple[int, ...] = (0, 1, 2)) -> Shots:
    torch.manual_seed(0)
    count = len(known)
    return Shots(
        video=torch.randn(count, 16, 5, 2, 2),
        condition=torch.randn(count, 16, 5, 2, 2),
        known=torch.tensor(known),
        memory=torch.randn(count, 16, memory, 2, 2),
        text=torch.zeros(count, 4),
    )


def test_memory_is_in_front_known_and_clean_in_the_condition_and_noisy_like_the_shot():
    batch = shots(2)
    t = torch.tensor([0.25, 0.5, 1.0])
    noise = torch.randn(3, 16, 7, 2, 2)
    read, timestep, target = example(batch, t, noise)
    assert read.shape == (3, 36, 7, 2, 2) and timestep.tolist() == [250.0, 500.0, 1000.0]
    assert torch.equal(read[:, 20:, :2], batch.memory) and torch.equal(read[:, 20:, 2:], batch.condition)
    clean = torch.cat([batch.memory, batch.video], dim=2)
    assert torch.allclose(read[0, :16], 0.75 * clean[0] + 0.25 * noise[0])
    assert torch.equal(read[2, :16], noise[2])
    assert torch.equal(target, noise - clean)
    known = read[:, 16:20].mean(dim=(1, 3, 4))
    assert known.tolist() == [[1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0]]


def test_the_slots_are_those_of_sampling():
    batch, t, noise = shots(3, (0,)), torch.tensor([0.7]), torch.randn(1, 16, 8, 2, 2)
    sampled = memory_slots(batch.memory, noise[:, :, :3], t, 1)
    assert torch.equal(example(batch, t, noise).hidden_states[:, :, :3], sampled)


def test_without_memory_it_is_an_ordinary_shot():
    read, _, target = example(shots(0), torch.rand(3), torch.randn(3, 16, 5, 2, 2))
    assert read.shape == (3, 36, 5, 2, 2) and target.shape == (3, 16, 5, 2, 2)


def test_the_loss_is_the_shots_own_unless_memory_counts_too():
    output = torch.zeros(1, 16, 7, 2, 2)
    target = torch.ones_like(output)
    target[:, :, :2] = 3.0
    assert loss(output, target, 2).item() == pytest.approx(1.0)
    assert loss(output, target, 2, on_memory=True).item() == pytest.approx((2 * 9 + 5 * 1) / 7)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.9), (0.9, 1.0)])
def test_noise_levels_fill_an_experts_range_shifted_towards_noise(low: float, high: float):
    t = times(4000, 3.0, low, high, torch.Generator().manual_seed(0))
    assert low <= t.min() and t.max() <= high
    # u is uniform between the range's ends: t = 3u / (1 + 2u), so u = t / (3 - 2t).
    u = t / (3 - 2 * t)
    first, last = low / (3 - 2 * low), high / (3 - 2 * high)
    assert u.mean().item() == pytest.approx((first + last) / 2, abs=0.01)
    assert u.std().item() == pytest.approx((last - first) / 12**0.5, abs=0.01)


def test_noise_levels_of_a_batch_are_in_no_order():
    t = times(64, 3.0, 0.0, 1.0, torch.Generator().manual_seed(0))
    assert not torch.equal(t, t.sort().values)


def test_some_latents_may_count_more_and_the_memorys_do_not():
    output, target = torch.zeros(1, 16, 3, 1, 2), torch.ones(1, 16, 3, 1, 2)
    target[:, :, 0], target[:, :, 1:, :, 1] = 3.0, 2.0
    weight = torch.ones(1, 1, 2, 1, 2)
    weight[..., 1] = 3.0
    shot = (1 * 1 + 4 * 3) / (1 + 3)
    assert loss(output, target, 1, weight=weight).item() == pytest.approx(shot)
    assert loss(output, target, 1, weight=weight, on_memory=True).item() == pytest.approx((9 + 2 * shot) / 3)
