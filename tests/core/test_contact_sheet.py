from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from stories import PROMPTS, Told, make, noise, remembered, scene, tell

from storymem_core.memory.bank import MemoryBank
from storymem_core.sheets import contact_sheet
from storymem_core.sheets.lettering import Lettering, printable
from storymem_core.store.project import Project

COLOURS = [(255 - 9 * place, 40 + 12 * place, 10 + 17 * place % 200) for place in range(12)]


def flat(colours, size=(64, 64)) -> np.ndarray:
    """A frame of one colour each."""
    return np.stack([np.full((size[1], size[0], 3), colour, np.uint8) for colour in colours])


def places(sheet: Image.Image, colour) -> list[tuple[int, int]]:
    """Top left corners (y, x) of the pictures of this colour, in reading order."""
    here = np.pad((np.asarray(sheet) == colour).all(2), 1)
    corners = here & ~np.roll(here, 1, 0) & ~np.roll(here, 1, 1)
    return [(int(y), int(x)) for y, x in np.argwhere(corners)]


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "story")


# What the sheet shows


@pytest.mark.parametrize("size", [(64, 64), (832, 480), (480, 832)])
def test_frames_stand_in_order_without_the_repeated_ones(project, size):
    shot = make(project, Told("a", flat(COLOURS[:6], size), dropped=2))
    sheet = contact_sheet.draw([shot])
    assert all(not places(sheet, colour) for colour in COLOURS[:2])
    shown = [places(sheet, colour) for colour in COLOURS[2:6]]
    assert all(len(place) == 1 for place in shown)
    tops, lefts = zip(*(place[0] for place in shown), strict=True)
    assert len(set(tops)) == 1 and list(lefts) == sorted(lefts)


def test_memory_stands_below_the_frames_oldest_first(project):
    frames = flat(COLOURS)
    seen = MemoryBank(tuple(remembered(frame, "x", 0) for frame in frames[6:10]))
    sheet = contact_sheet.draw([make(project, Told("a", frames[:2]), seen)])
    ((top, _),) = places(sheet, COLOURS[0])
    shown = [places(sheet, colour) for colour in COLOURS[6:10]]
    assert all(len(place) == 1 and place[0][0] > top + 100 for place in shown)
    lefts = [place[0][1] for place in shown]
    assert lefts == sorted(lefts)


def test_shots_stand_one_below_the_other_each_with_its_own_memory(tmp_path):
    story = tell(tmp_path / "s", [Told(str(n), flat([COLOURS[n]] * 3), seed=n) for n in range(3)], keep=(0,))
    sheet = contact_sheet.draw(story.shots())
    first = places(sheet, COLOURS[0])
    # Three frames of its own, then once in the memory of each later shot.
    assert len(first) == 5
    assert [len(places(sheet, colour)) for colour in COLOURS[:3]] == [5, 4, 3]
    assert places(sheet, COLOURS[0])[0] < places(sheet, COLOURS[1])[0] < places(sheet, COLOURS[2])[0]


def test_prompt_title_and_numbers_are_drawn(project, monkeypatch):
    written: list[str] = []
    monkeypatch.setattr(Lettering, "draw", lambda self, canvas, at, text, fill: written.append(text))
    seen = MemoryBank(
        (
            remembered(noise(1)[0], "hero.png", 0, "reference"),
            remembered(noise(2)[0], "first", 11),
            remembered(noise(3)[0], "cut from the film", 4),
            remembered(noise(4)[0], "first", 12),
            replace(remembered(noise(5)[0], "first", 13), pinned=True),
        )
    )
    shots = [
        make(project, Told("first", noise(5, 9, (64, 64)), prompt=PROMPTS[2], seed=2**62)),
        make(project, Told("second", noise(6, 9, (64, 64)), dropped=5, seed=4, scene=2), seen),
    ]
    contact_sheet.draw(shots, title="The Lantern", crossfade=0)
    text = "\n".join(written)
    assert written[0] == "The Lantern"
    assert "2 scenes   ·   2 shots   ·   0.8 seconds   ·   13 frames at 16 fps   ·   64 x 64" in text
    assert PROMPTS[2] in " ".join(written) and f"seed {2**62}" in text
    assert "continues the motion" in text and "9 frames, 5 repeated" in text
    assert "saw no memory" in text and "saw 5 memory frames" in text
    captions = written[written.index("saw 5 memory frames") + 1 :]
    assert captions[:2] == ["hero.png", "sink"]
    assert captions[2:5] == ["shot 1", "frame 11", "sink"]
    assert captions[5].startswith("shot cut") and captions[6:8] == ["frame 4", "sink"]
    assert captions[8:] == ["shot 1", "frame 12", "window", "shot 1", "frame 13", "pinned"]


def test_a_sheet_is_the_same_bytes_each_time(tmp_path):
    shots = tell(tmp_path / "s", [Told(str(n), scene(n, 9), seed=n) for n in range(2)]).shots()
    for name in ("a.png", "b.png"):
        contact_sheet.write(shots, tmp_path / name, title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.format == "PNG" and sheet.mode == "RGB" and sheet.width == 1720


def test_a_sheet_holds_the_graph_as_text(project, tmp_path):
    shots = [make(project, Told("a", scene(0, 5)))]
    graph = {"workflow": {"nodes": [{"title": "Märchen 猫"}]}, "prompt": {"1": {"class_type": "A"}}}
    contact_sheet.write(shots, tmp_path / "a.png", graph=graph)
    contact_sheet.write(shots, tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as told, Image.open(tmp_path / "b.png") as bare:
        assert {name: json.loads(text) for name, text in told.text.items()} == graph
        assert bare.text == {} and np.array_equal(np.asarray(told), np.asarray(bare))


def test_long_stories_go_on_in_another_column(project, monkeypatch):
    shots = [make(project, Told(str(n), flat([COLOURS[n]] * 2), seed=n)) for n in range(6)]
    one = contact_sheet.draw(shots)
    monkeypatch.setattr(contact_sheet, "_HIGHEST", (one.height - 194) // 2 + 10)
    two = contact_sheet.draw(shots)
    assert (one.width, two.width) == (1720, 3440) and two.height < 0.6 * one.height
    lefts = [places(two, COLOURS[n])[0][1] // 1720 for n in range(6)]
    assert lefts == [0, 0, 0, 1, 1, 1]
    assert all(len(places(two, COLOURS[n])) == 2 for n in range(6))


@pytest.mark.parametrize(
    ("first", "count", "most", "indices"),
    [
        (0, 17, 8, [0, 2, 5, 7, 9, 11, 14, 16]),
        (5, 17, 4, [5, 9, 12, 16]),
        (1, 5, 8, [1, 2, 3, 4]),
        (0, 1, 8, [0]),
        (4, 5, 6, [4]),
        (0, 81, 6, [0, 16, 32, 48, 64, 80]),
    ],
)
def test_spread(first, count, most, indices):
    assert contact_sheet.spread(first, count, most) == indices


@given(first=st.integers(0, 40), more=st.integers(1, 100), most=st.integers(1, 10))
def test_spread_is_in_order_and_reaches_both_ends(first, more, most):
    indices = contact_sheet.spread(first, first + more, most)
    assert len(indices) == min(more, most) == len(set(indices)) and indices == sorted(indices)
    assert indices[0] == first and (most == 1 or indices[-1] == first + more - 1)


def test_what_is_drawn_is_left_alone(project):
    seen = MemoryBank((remembered(noise(1)[0], "r", 0, "reference"),))
    shot = make(project, Told("a", noise(2)), seen)
    before = dict(shot.row)
    contact_sheet.draw([shot])
    assert shot.row == before and shot.seen() == seen


# Letters


def test_wrapping_loses_nothing_that_fits():
    letters = Lettering(18)
    lines = letters.wrap(PROMPTS[2], 380, 12)
    assert " ".join(lines) == PROMPTS[2] and len(lines) > 3
    assert all(letters.width(line) <= 380 for line in lines)


def test_wrapping_breaks_signs_without_spaces():
    text = "小さな灯台の下で赤いコートの少女が海を見つめている" * 3
    lines = Lettering(18).wrap(text, 380, 30)
    assert "".join(lines) == text and len(lines) > 1


def test_too_much_text_is_cut_off_with_an_ellipsis():
    lines = Lettering(18).wrap("word " * 500, 380, 12)
    assert len(lines) == 12 and lines[-1].endswith("…")
    (line,) = Lettering(18).wrap("a" * 500, 380, 12)
    assert line.endswith("…")
    width = Lettering(18).width
    assert width(line) <= 380 < width("a" + line), "no shorter than it must be"


def test_letters_without_a_font_lose_their_accents_first(monkeypatch):
    letters = Lettering(18)
    letters._others = []
    assert "".join(run for _, run in letters._runs("Café žluťoučký")) == "Cafe zlutoucky"
    assert [run for _, run in letters._runs("猫")] == ["猫"]


def test_control_characters_and_lone_surrogates_are_not_drawn():
    assert printable(" a\tb\r\n\x00c \ud800 ") == "a b c ?"


@settings(deadline=None, max_examples=60)
@given(text=st.text(st.characters(), max_size=40), width=st.integers(20, 400), lines=st.integers(1, 5))
def test_any_text_is_wrapped_and_drawn(text, width, lines):
    letters = Lettering(15)
    wrapped = letters.wrap(text, width, lines)
    assert len(wrapped) <= lines
    assert all(letters.width(line) <= width or line == "…" for line in wrapped)
    canvas = ImageDraw.Draw(Image.new("RGB", (50, 30)))
    for line in wrapped:
        letters.draw(canvas, (0, 0), line, "#000")
