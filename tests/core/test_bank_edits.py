"""Edits of a memory: laws of each, in any order, and as a person writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin, marks, update
from storymem_core.memory.bank_folder import load, save
from storymem_core.memory.edits import cap, drop, edited, move, name_of, parse, pin, restore, unpin


def frame(number: int, shot: str = "", source: str = "shot", at: int | None = None) -> MemoryFrame:
    """A frame unlike all others; three to a shot unless another is named."""
    rng = np.random.default_rng(number)
    origin = Origin(source, shot or f"shot-{number // 3}", number if at is None else at)
    return MemoryFrame(
        rng.integers(0, 256, (2, 3, 3), dtype=np.uint8), rng.normal(size=64), None, None, origin
    )


def bank(*numbers: int, sink: int = 2, capacity: int = 6) -> MemoryBank:
    return MemoryBank(tuple(map(frame, numbers)), sink, capacity)


def names(of: MemoryBank, *numbers: int):
    return [name_of(f) for n in numbers for f in (*of.frames, *of.aside) if f.origin.frame == n]


def numbers(of: MemoryBank) -> list[int]:
    return [f.origin.frame for f in of.frames]


def aside(of: MemoryBank) -> list[int]:
    return [f.origin.frame for f in of.aside]


def test_a_pinned_frame_stays_while_the_window_slides():
    before = bank(0, 1, 2, 3, 4, 5)
    after = pin(before, names(before, 2))
    for number in range(6, 12):
        after = update(after, [frame(number)], 0.9).bank
    assert numbers(after) == [0, 1, 2, 9, 10, 11]
    free = update(unpin(after, names(after, 2)), [frame(12)], 0.9).bank
    assert numbers(free) == [0, 1, 9, 10, 11, 12]
    assert [f.pinned for f in before.frames] == [False] * 6, "the bank that came in is as it was"


def test_pins_that_leave_no_room_are_refused():
    before = bank(0, 1, 2, 3, 4)
    with pytest.raises(StoryMemError, match=r"sink of 2 and 4 pinned .* capacity 6 .*shot-1:3.* Unpin one"):
        pin(bank(0, 1, 2, 3, 4, 5), names(bank(0, 1, 2, 3, 4, 5), 2, 3, 4, 5))
    full = pin(before, names(before, 0, 1, 2, 3, 4))  # the sink's own pins take no more room
    assert numbers(update(full, [frame(9), frame(10)], 0.9).bank) == [0, 1, 2, 3, 4, 10]


def test_what_was_dropped_is_not_seen_and_can_be_restored():
    before = pin(bank(0, 1, 2, 3), names(bank(0, 1, 2, 3), 1))
    without = drop(before, names(before, 1, 3))
    assert (numbers(without), aside(without)) == ([0, 2], [1, 3])
    back = restore(without, names(without, 1))
    assert (numbers(back), aside(back)) == ([0, 2, 1], [3])
    assert not any(f.pinned for f in back.frames)
    later = update(without, [frame(7)], 0.9).bank
    assert aside(later) == [1, 3], "what was set aside stays so over the shots"


def test_there_must_be_room_to_restore():
    without = drop(bank(0, 1, 2), names(bank(0, 1, 2), 0))
    full = update(without, [frame(n) for n in (5, 6, 7, 8)], 0.9).bank
    with pytest.raises(StoryMemError, match=r"6 frames in a memory of capacity 6 leave no room .*\(got 1\)"):
        restore(full, names(full, 0))


def test_frames_move_together_in_the_order_asked_for():
    before = bank(0, 1, 2, 3, 4)
    assert numbers(move(before, names(before, 4, 2), 1)) == [4, 2, 0, 1, 3]
    assert numbers(move(before, names(before, 0), 5)) == [1, 2, 3, 4, 0]
    for to in (0, 6):
        with pytest.raises(StoryMemError, match=r"Use 1 to 5\."):
            move(before, names(before, 0), to)


def test_a_cap_takes_a_shots_later_frames_but_no_pinned_ones_and_no_references():
    frames = (*(frame(n, "hero", "reference") for n in (90, 91)), *map(frame, (0, 1, 2, 3)))
    before = MemoryBank(frames, 2, 10)
    before = pin(before, names(before, 2))
    assert numbers(cap(before, 1)) == [90, 91, 2, 3]
    assert numbers(cap(before, 2)) == [90, 91, 0, 2, 3]
    assert cap(before, 3) == before and cap(before, 1).aside == ()
    with pytest.raises(StoryMemError, match="at least one"):
        cap(before, 0)


# --- as text ---


def test_edits_are_a_line_each():
    before = bank(0, 1, 2, 3, 4)
    after = edited(before, parse("\nPin 1, 3\n drop shot-1:4\nmove shot-1 to 1\n"))
    assert (numbers(after), aside(after)) == ([3, 0, 1, 2], [4])
    assert [f.pinned for f in after.frames] == [False, True, False, True]
    assert numbers(edited(after, parse("restore 5\nunpin 2\ncap 1"))) == [3, 2]


def test_numbers_are_those_of_the_memory_as_it_came_in():
    assert numbers(edited(bank(0, 1, 2, 3), parse("drop 1\ndrop 2\nmove 4 to 1"))) == [3, 2]


def test_names_of_references_need_no_capitals():
    hero = MemoryBank((frame(1, "Hero", "reference", at=0), frame(2, "Hero", "reference", at=1)))
    assert numbers(edited(hero, parse("drop hero:1"))) == [0]
    assert numbers(edited(hero, parse("drop HERO"))) == []


@pytest.mark.parametrize(
    "line", ["pin", "pin ,", "keep 3", "move 3", "move to 3", "cap", "cap two", "pin 1; drop 2 to"]
)
def test_what_is_no_edit_is_refused_by_its_line(line):
    if line == "pin 1; drop 2 to":
        with pytest.raises(StoryMemError, match="no frame with this name"):
            edited(bank(0, 1), parse(line))
        return
    with pytest.raises(StoryMemError, match=r"not a memory edit \(got "):
        parse(f"pin 1\n{line}")


@pytest.mark.parametrize(
    "text", ["pin 3", "pin 0", "drop shot-9", "unpin shot-0:7", "restore 1", "move hero to 1", "pin 1, 99"]
)
def test_what_is_not_there_is_refused_unless_it_is_for_a_whole_story(text):
    before = bank(0, 1)
    with pytest.raises(StoryMemError, match=r"Available: (shot-0:0, shot-0:1|nothing)\."):
        edited(before, parse(text))
    assert edited(before, parse(text), standing=True) == before, "a number is nobody's place there"


# --- in any order ---

EDITS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["pin", "unpin", "drop", "restore"]), st.integers(1, 12), st.just(0)),
        st.tuples(st.just("move"), st.integers(1, 12), st.integers(1, 8)),
        st.tuples(st.just("cap"), st.just(0), st.integers(1, 3)),
        st.tuples(st.just("shot"), st.integers(0, 4), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=EDITS, sink=st.integers(0, 4), capacity=st.integers(1, 7))
def test_whatever_is_done_the_bank_holds_its_promises(steps, sink, capacity):
    of, number = MemoryBank((), min(sink, capacity), capacity), 0
    for action, first, second in steps:
        before = of
        if action == "shot":
            of = update(of, [frame(number + k) for k in range(first)], 0.9).bank
            number += first
            lasting = [f for place, f in enumerate(before.frames) if f.pinned or place < of.sink]
            assert [f for f in of.frames if f in lasting] == lasting
        else:
            line = f"{action} {first}" if action != "cap" else f"cap {second}"
            line += f" to {second}" if action == "move" else ""
            try:
                of = edited(before, parse(line))
            except StoryMemError as error:
                assert len(str(error)) > 40
        everyone = [name_of(f) for f in (*of.frames, *of.aside)]
        assert len(everyone) == len(set(everyone))
        assert len(of.frames) <= capacity and not any(f.pinned for f in of.aside)
        if action in ("pin", "unpin", "drop", "restore", "move"):
            assert set(everyone) == {name_of(f) for f in (*before.frames, *before.aside)}, "nothing is lost"


# --- on disk ---


def test_a_folder_keeps_pins_and_what_was_set_aside(tmp_path):
    before = edited(bank(0, 1, 2, 3), parse("pin 3\ndrop 2"))
    save(before, tmp_path)
    assert load(tmp_path) == before
    assert '"version": 2' in (tmp_path / "bank.json").read_text()
    save(bank(0, 1), tmp_path)
    assert load(tmp_path) == bank(0, 1) and '"version": 1' in (tmp_path / "bank.json").read_text()
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["001.png", "002.png"]


def test_a_key_is_made_of_marks_where_there_are_any():
    plain = bank(0, 1, 2)
    assert marks(plain) == {}
    assert marks(replace(plain, frames=(frame(1, "reference 7", "reference"),))) == {}
    named = replace(plain, frames=(frame(1, "hero", "reference"), *plain.frames))
    assert marks(named) == {"memory names": ["hero"]}
    changed = [pin(plain, names(plain, 0)), drop(plain, names(plain, 2)), named]
    assert len({str(marks(of)) for of in changed}) == 3
