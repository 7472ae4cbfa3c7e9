from __future__ import annotations

from itertools import pairwise

import pytest

from storymem_core.conditioning.positions import memory_positions, temporal_positions
from storymem_core.errors import StoryMemError


def test_the_papers_formula():
    assert temporal_positions(3, 4) == (-15, -10, -5, 0, 1, 2, 3)
    assert temporal_positions(0, 3, 5) == (0, 1, 2)


@pytest.mark.parametrize("spacing", [0, 0.5, 1, 5, 11.7])
@pytest.mark.parametrize("memory", [0, 1, 3, 10, 40])
@pytest.mark.parametrize("latent", [1, 5, 21])
def test_spacing_and_order(memory, latent, spacing):
    positions = temporal_positions(memory, latent, spacing)
    assert len(positions) == memory + latent
    assert positions[memory:] == tuple(range(latent))
    steps = [after - before for before, after in pairwise(positions[: memory + 1])]
    assert steps == pytest.approx([spacing] * memory)


def test_spacing_one_continues_the_axis_to_the_front():
    assert temporal_positions(3, 2, 1) == (-3, -2, -1, 0, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-1, 5, 5), "must not be negative"),
        ((3, 0, 5), "at least one latent frame"),
        ((3, 5, -0.1), "spacing"),
        ((3, 5, float("nan")), "spacing"),
        ((3, 5, float("inf")), "spacing"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(StoryMemError, match=message):
        temporal_positions(*arguments)


def test_memory_alone():
    assert memory_positions(2, 3) == (-6, -3)
