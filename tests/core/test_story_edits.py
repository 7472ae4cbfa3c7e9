"""Edits that hold for a whole story."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stories import noise, remembered

from storymem_core.errors import StoryMemError
from storymem_core.memory.bank import MemoryBank
from storymem_core.memory.edits import edited, parse
from storymem_core.memory.story_edits import added, check_added, for_story, seen_by_next

SHOTS = ("shot-ab", "shot-cd", "7")
GIVEN = {"shot-ab": (0, 12), "shot-cd": (4,)}


def memory() -> MemoryBank:
    told = [("hero", 0, "reference"), ("shot-ab", 0, "shot"), ("shot-ab", 12, "shot"), ("shot-cd", 4, "shot")]
    return MemoryBank(tuple(remembered(noise(n)[0], *origin) for n, origin in enumerate(told)))


def left(bank: MemoryBank) -> list[tuple[str, int]]:
    return [(frame.origin.shot, frame.origin.frame) for frame in bank.frames]


def test_shots_have_their_numbers():
    text = "drop 1:12, Shot 2, hero\npin 2:4\nmove shot-1:0 to 1\ncap 2"
    by_id = "drop shot-ab:12, shot-cd, hero\npin shot-cd:4\nmove shot-ab:0 to 1\ncap 2"
    assert for_story(text, SHOTS, memory()) == by_id
    assert for_story(by_id, SHOTS, memory()) == by_id


def test_an_id_that_looks_like_a_number_is_that_shot_at_every_step():
    shots, bank = ("one", "shot-3", "2"), MemoryBank()
    edits = for_story("drop 2:4, 2, shot-3:4, 1:0", shots, bank)
    assert edits == for_story(edits, shots, bank) == "drop @2:4, @2, @shot-3:4, one:0"
    assert seen_by_next(bank, edits, {}) == bank
    given = {"one": (5,), "shot-3": (4,)}
    frames = [remembered(noise(n)[0], *of) for n, of in enumerate([("one", 5), ("shot-3", 4), ("2", 9)])]
    with pytest.raises(StoryMemError, match="'one' added no frame 0 to the memory"):
        seen_by_next(MemoryBank(tuple(frames[:2])), edits, given)
    edits = for_story("drop 2:4, 2", shots, bank)
    assert left(seen_by_next(MemoryBank(tuple(frames[:2])), edits, given)) == [("one", 5), ("shot-3", 4)]
    both = given | {"2": (4, 9)}
    assert left(seen_by_next(MemoryBank(tuple(frames)), edits, both)) == [("one", 5), ("shot-3", 4)]


@pytest.mark.parametrize("reference", ["4:0", "shot-9", "castle", "shot-xy:3"])
def test_what_the_story_does_not_have_is_refused(reference):
    with pytest.raises(StoryMemError, match=rf"does not have \(got '{reference}'\)"):
        for_story(f"drop {reference}", SHOTS, memory())


def test_a_number_alone_is_refused():
    with pytest.raises(StoryMemError, match=r"a number alone .*\(got '2'\)\. Write 2:0 .*, or shot-2"):
        for_story("pin 2", SHOTS, memory())


def test_edits_wait_for_their_frames():
    edits = "drop 1:12\npin 2:4, 3:0"
    first = seen_by_next(MemoryBank(memory().frames[:1]), edits, {})
    assert first == MemoryBank(memory().frames[:1])
    third = seen_by_next(memory(), edits, GIVEN)
    assert left(third) == [("hero", 0), ("shot-ab", 0), ("shot-cd", 4)]
    assert [frame.pinned for frame in third.frames] == [False, False, True]
    assert seen_by_next(third, edits, GIVEN) == third, "they may be done again at each shot"


def test_a_frame_that_its_shot_did_not_give_is_refused():
    says = r"'shot-ab' added no frame 13 to the memory .*It added: 0, 12\. Correct"
    with pytest.raises(StoryMemError, match=says):
        seen_by_next(memory(), "drop 1:13", GIVEN)
    assert seen_by_next(memory(), "drop 3:13", GIVEN) == memory(), "shot 3 is still to come"


def test_frames_are_added_to_the_shots_that_they_are_of():
    text = for_story("add 1:12, 2:4\ndrop 2:4\nADD shot-1:3, 1:12\nadd 3:5", SHOTS, memory())
    assert text == "add shot-ab:12, shot-cd:4\ndrop shot-cd:4\nadd shot-ab:3, shot-ab:12\nadd @7:5"
    assert [added(text, SHOTS, shot) for shot in SHOTS] == [(12, 3), (4,), (5,)]
    assert [added(text, SHOTS[: n + 1], shot) for n, shot in enumerate(SHOTS)] == [(12, 3), (4,), (5,)]
    assert added("add 2:40", ("shot-1", "shot-2"), "shot-2") == (40,), "as it is written into a Story Shot"
    assert seen_by_next(memory(), "add 1:12, 2:4, 3:5", GIVEN) == memory(), "its shot has done it"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "add hero",
            r"only a frame of a shot can be added .*'add hero'\)\. Name shot and frame, such as add 2:40",
        ),
        ("add shot-2", "only a frame of a shot can be added"),
        ("add 1:0, 2", "a number alone"),
        (
            "add hero:0",
            r"a frame of a shot that this story does not have \(got 'add hero:0'\)\. It has 3 shots",
        ),
        ("add 4:0", "of a shot that this story does not have"),
    ],
)
def test_an_add_of_no_frame_is_refused(line, says):
    with pytest.raises(StoryMemError, match=says):
        for_story(line, SHOTS, memory())


def test_a_cap_leaves_what_was_added():
    told = [("a", frame, "shot") for frame in (0, 12, 24, 40)]
    bank = MemoryBank(tuple(remembered(noise(n)[0], *origin) for n, origin in enumerate(told)))
    given = {"a": (0, 12, 24, 40)}
    assert left(seen_by_next(bank, "cap 2", given)) == [("a", 0), ("a", 12)]
    assert left(seen_by_next(bank, "cap 2\nadd 1:40", given)) == [("a", 0), ("a", 40)]


def test_an_added_frame_must_be_the_shots_own_and_have_room():
    check_added("a", (5, 80), range(5, 81), memory())
    for frame in (4, 81):
        with pytest.raises(StoryMemError, match=rf"'a' does not have .*'add a:{frame}'\)\. .* are 5 to 80"):
            check_added("a", (5, frame), range(5, 81), memory())
    pinned = replace(memory().frames[3], pinned=True)
    bank = MemoryBank((*memory().frames[:3], pinned), sink=2, capacity=5)
    check_added("a", (0, 1), range(9), bank)
    with pytest.raises(StoryMemError, match=r"more frames of shot 'a' than .* \(got 3\)\. Add at most 2"):
        check_added("a", (0, 1, 2), range(9), bank)


def test_an_add_that_a_shot_did_not_do_is_told_with_its_reason():
    with pytest.raises(
        StoryMemError, match=r"'shot-ab' added no frame 3 .*An add must stand where its shot is made"
    ):
        seen_by_next(memory(), "add 1:3", GIVEN)


def test_a_bank_of_no_story_has_nothing_to_add():
    with pytest.raises(
        StoryMemError, match=r"cannot be added .*'add 2:4'\)\. .*`memory_edits` of Story Loop"
    ):
        edited(memory(), parse("add 2:4"))
