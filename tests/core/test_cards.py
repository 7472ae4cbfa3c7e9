"""What a card needs: the measurements that it was computed from, and the page that tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from storymem_core.models.cards import (
    BYTES_PER_TOKEN,
    PRESETS,
    decodes_whole,
    needed,
    preset_table,
    ram,
    size_table,
    streamed,
)
from storymem_core.training.memory_needed import BF16, GIB, Shape, tokens

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cards.md"


@pytest.mark.parametrize("memory, peak", [(0, 8.4), (3, 8.8), (10, 9.7)])
def test_it_meets_what_was_measured_with_8_blocks(memory, peak):
    weights = Shape(blocks=8).weights() * BF16
    assert (weights + tokens(memory) * BYTES_PER_TOKEN) / GIB == pytest.approx(peak, abs=0.05)


def test_fp8_takes_the_size_of_its_file_and_smaller_formats_less():
    assert needed("fp8").weights == pytest.approx(13.3, abs=0.3)
    sizes = [needed(format).weights for format in ("Q8_0", "fp8", "Q6_K", "Q5_K", "Q4_K")]
    assert sizes == sorted(sizes, reverse=True)


def test_what_does_not_fit_is_streamed_and_never_more_than_the_weights():
    need = needed("fp8")
    assert streamed(need, 24) == 0
    assert streamed(need, 16) == pytest.approx(need.sampling + 1 - 16)
    assert streamed(need, 1) == need.weights


def test_every_preset_leaves_room_for_the_work_and_is_told():
    for preset in PRESETS:
        need = needed(preset.format, width=preset.width, height=preset.height)
        assert need.working + need.lora + 1 < preset.card
        assert streamed(need, preset.card) < need.weights
    assert {preset.card for preset in PRESETS} == {12, 16, 24}


def test_720p_is_decoded_in_tiles_on_12_gb_alone():
    need = needed("fp8", width=1280, height=720)
    assert [decodes_whole(need, card) for card in (12, 16, 24)] == [False, True, True]


def test_a_second_pair_of_experts_waits_in_ram():
    both, one = ram("fp8", t2v_first=True), ram("fp8", t2v_first=False)
    assert both - one == pytest.approx(2 * needed("fp8").weights)


def test_the_page_tells_what_is_computed_and_says_so():
    page = PAGE.read_text(encoding="utf-8")
    assert preset_table() in page
    assert size_table() in page
    assert "Computed, not measured" in page
