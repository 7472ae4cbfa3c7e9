"""A memory on a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from stories import noise, remembered

from storymem_core.memory.bank import MemoryBank
from storymem_core.memory.edits import edited, parse
from storymem_core.sheets.memory_sheet import cards, draw


def memory() -> MemoryBank:
    told = [("hero", 0, "reference"), ("shot-ab", 0), ("shot-ab", 12), ("shot-cd", 4), ("shot-cd", 9)]
    frames = [remembered(noise(n, 1, (32, 16))[0], *origin) for n, origin in enumerate(told)]
    twin = replace(frames[2], embedding=frames[1].embedding * 3)
    bank = MemoryBank((replace(frames[0], score=None), frames[1], twin, *frames[3:]), 1, 10, "pixels")
    return edited(bank, parse("pin 3\ndrop 4"))


def test_each_frame_is_told_by_number_role_origin_age_score_and_likeness():
    told = cards(memory(), ["shot-ab"])
    assert [(card.number, card.role) for card in told] == [
        (1, "sink"), (2, "window"), (3, "pinned"), (4, "window"), (5, "set aside"),
    ]  # fmt: skip
    assert told[0].lines[:2] == ("hero:0", "age 4")
    assert told[1].lines == ("shot 1, frame 0", "age 3   ·   score 0.50", "similar to 3: 1.00")
    assert told[2].lines[::2] == ("shot 1, frame 12", "similar to 2: 1.00")
    assert told[3].lines[:2] == ("shot-cd:9", "age 1   ·   score 0.50")
    assert told[4].lines == ("shot-cd:4", "score 0.50")


def test_the_picture_shows_every_frame_once_and_changes_nothing():
    bank = memory()
    flat = tuple(
        replace(frame, pixels=np.full((16, 32, 3), (10, 200 - 30 * place, 40 * place), np.uint8))
        for place, frame in enumerate((*bank.frames, *bank.aside))
    )
    bank = replace(bank, frames=flat[:4], aside=flat[4:])
    before = hash(bank)
    sheet = np.asarray(draw(bank))
    places = [np.argwhere((sheet == frame.pixels[0, 0]).all(2)) for frame in flat]
    assert all(len(place) > 10_000 for place in places)
    lefts = [int(place[:, 1].min()) for place in places[:4]]
    assert lefts == sorted(lefts) and len(set(lefts)) == 4
    assert places[4][:, 0].min() > max(place[:, 0].max() for place in places[:4]), "set aside, so below"
    assert hash(bank) == before and sheet.shape[1] == 1720


def test_any_memory_can_be_drawn():
    many = [remembered(noise(n, 1, (16 + n, 40 - n))[0], "a long name of a shot" * 4, n) for n in range(23)]
    sizes = [draw(bank).height for bank in (MemoryBank(), MemoryBank(many[:1]), MemoryBank(many, 3, 30))]
    assert sizes == sorted(sizes) and sizes[2] > 5 * (sizes[1] - sizes[0])
