import pytest
import torch

from storymem_core.errors import StoryMemError
from storymem_core.sampling import M2V, T2V, check_finite, expert_switch


def sigmas(steps: int, shift: float) -> torch.Tensor:
    """Evenly spaced noise levels, shifted, with the closing 0 (Wan2.2's own schedule)."""
    t = torch.arange(steps, 0, -1) / steps
    return torch.cat([shift * t / (1 + (shift - 1) * t), torch.zeros(1)])


@pytest.mark.parametrize(("steps", "high"), [(4, 2), (8, 3), (40, 13)])
def test_steps_of_the_high_noise_expert_are_the_releases(steps, high):
    assert expert_switch(sigmas(steps, M2V.shift), M2V.boundary) == high


def test_the_first_shot_by_text_to_video():
    # 12u / (1 + 11u) >= .875 for u >= .3684: 26 of the steps at u = 1, .975, ...
    assert expert_switch(sigmas(40, T2V.shift), T2V.boundary) == 26


def test_one_expert_may_have_all_steps():
    levels = sigmas(6, 4.0)
    assert expert_switch(levels, 0.0) == 6
    assert expert_switch(levels, 1.1) == 0
    assert expert_switch(levels[3:], 0.9) == 0


def test_the_boundary_itself_belongs_to_high_noise():
    # fp32 holds .9 as .89999998: compared as a double it would fall to the wrong expert.
    assert expert_switch(torch.tensor([1.0, 0.9, 0.5, 0.0]), 0.9) == 2
    assert expert_switch(torch.tensor([1.0, 0.8999, 0.5, 0.0]), 0.9) == 1


def test_the_last_sigma_is_no_step():
    assert expert_switch(torch.tensor([1.0, 0.95]), 0.9) == 1


def test_a_schedule_that_rises_again_does_not_change_the_expert_back():
    assert expert_switch(torch.tensor([1.0, 0.5, 0.95, 0.0]), 0.9) == 1


def test_finite_values_come_back_as_they_are():
    values = torch.rand(2, 3)
    assert check_finite(values, "latents") is values


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_other_values_are_counted_and_the_shot_named(bad):
    values = torch.zeros(2, 3)
    values[1, 1:] = bad
    with pytest.raises(
        StoryMemError, match=r"latents of shot '007' must not be NaN.*'2 of 6 values'.*LoRA strength"
    ):
        check_finite(values, "latents", shot="007")
