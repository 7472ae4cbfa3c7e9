"""A few rounds of what `run.py bench damage` does hundreds of times."""

from __future__ import annotations

from hard_use import damaged, filled


def test_a_damaged_story_is_made_again_or_refused_and_never_another_film(tmp_path):
    told = damaged(tmp_path, 12, seed=1)
    assert told["remade"] + told.get("refused", 0) == 12 and told["remade"] >= 6


def test_a_disk_that_is_full_at_any_write_loses_nothing(tmp_path):
    told = filled(tmp_path, iter(range(3, 120, 29)))
    assert told["full"] >= 4 and told["kept"] >= 4
