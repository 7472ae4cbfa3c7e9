"""Names of reference images, and which of them a shot sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stories import Told, make, noise, remembered

from storymem_core.errors import StoryMemError
from storymem_core.keyframes.remember import with_references
from storymem_core.memory.bank import MemoryBank
from storymem_core.memory.references import (
    as_text,
    from_text,
    names_of_images,
    of_shots,
    picked,
    reference_names,
    seen_by,
)
from storymem_core.script.script import parse
from storymem_core.store.project import Project


class Brightness:
    """Embeddings that any two pictures may share: references are taken as they are."""

    name, threshold = "brightness", 0.9

    def __call__(self, frames):
        return torch.ones(len(frames), 8)


def cast() -> MemoryBank:
    """Two pictures of a hero and one of a castle, then two keyframes of the story."""
    images = [torch.full((16, 16, 3), value) for value in (0.2, 0.4, 0.6)]
    bank = with_references(MemoryBank(), images, Brightness(), ["Hero", "Hero", "castle"])
    return replace(bank, frames=(*bank.frames, *(remembered(noise(n)[0], "one", n) for n in (1, 2))))


def told(frames) -> list[tuple[str, int]]:
    return [(frame.origin.shot, frame.origin.frame) for frame in frames]


def test_names_go_to_all_images_of_their_input():
    assert names_of_images("hero, castle", [2, 1]) == ["hero", "hero", "castle"]
    assert names_of_images("hero\ncastle", [1, 1, 2]) == ["hero", "castle", "", ""]
    assert names_of_images("hero,,hero", [1, 1, 1]) == ["hero", "", "hero"]
    assert names_of_images("  ", [2]) == ["", ""] and names_of_images("", []) == []


@pytest.mark.parametrize(
    "text, says",
    [("a, b", "2 names for 1"), ("7", "a letter"), ("*", "a letter"), ("a:b", "no colon")],
)
def test_a_name_that_cannot_be_is_refused(text, says):
    with pytest.raises(StoryMemError, match=says):
        names_of_images(text, [1])


def test_images_of_one_name_are_counted_behind_those_that_are_there():
    assert told(cast().frames[:3]) == [("Hero", 0), ("Hero", 1), ("castle", 0)]
    assert reference_names(cast()) == ("Hero", "castle")
    more = with_references(cast(), [torch.full((16, 16, 3), 0.9)] * 2, Brightness(), ["castle"])
    assert told(more.frames[5:]) == [("castle", 1), ("reference 5", 0)]


STORY = [("one", 1), ("one", 2)]


@pytest.mark.parametrize(
    "names, seen",
    [
        (None, [("Hero", 0), ("Hero", 1), ("castle", 0), *STORY]),
        ((), STORY),
        (["castle"], [("castle", 0), *STORY]),
        (["CASTLE", " hero "], [("Hero", 0), ("Hero", 1), ("castle", 0), *STORY]),
    ],
)
def test_a_shot_sees_the_references_that_it_names_and_the_story(names, seen):
    bank = cast()
    assert told(picked(bank, names)) == seen
    assert bank == cast()


def test_a_name_that_the_memory_lacks_is_refused_with_those_it_has():
    with pytest.raises(StoryMemError, match=r"no reference.*'dog'\)\. It has: Hero, castle\."):
        picked(cast(), ["Hero", "dog"])


def test_a_shot_sees_less_and_the_bank_stays_whole():
    bank = cast()
    seen = seen_by(bank, ["castle"])
    assert (told(seen.frames), seen.sink, seen.capacity) == ([("castle", 0), *STORY], 1, bank.capacity)
    assert seen_by(bank, None) == bank
    assert seen_by(bank, ()).sink == 0


def test_the_memory_after_a_shot_has_what_the_shot_did_not_need(tmp_path):
    project = Project.open(tmp_path / "story")
    shot = make(project, Told("a", noise(7), extra={"references": ["castle"]}), cast())
    assert told(shot.seen().frames) == [("castle", 0), *STORY]
    assert shot.before() == cast()
    assert told(shot.memory_after().frames) == [*told(cast().frames), ("a", 4)]


@pytest.mark.parametrize("names", [None, (), ("hero",), ("hero", "a castle")])
def test_names_as_a_widgets_text(names):
    assert from_text(as_text(names)) == names
    assert from_text(" * ") is None and from_text("hero,\n castle,") == ("hero", "castle")


def script(*shots, cast="@Mira [hero]: a girl"):
    return parse(cast + "\n\n" + "\n\n".join(shots))


def with_own(prompt, names):
    (shot,) = parse(prompt).shots
    return replace(shot, references=names)


def test_references_of_the_cast_stay_away_where_nobody_mentions_them():
    told = script("Mira waits.", "A lake.", "[as written] A lake.")
    assert of_shots(told, cast(), [3] * 3) == [None, ("castle",), None]
    own = replace(told, shots=(with_own("Mira waits.", ("castle",)), with_own("A lake.", ())))
    assert of_shots(own, cast(), [3] * 2) == [("castle",), ()]
    assert of_shots(script("A lake.", cast=""), MemoryBank(), [3]) == [None]


def test_references_that_are_not_there_are_told_before_any_shot():
    with pytest.raises(StoryMemError, match=r"cast, 'Mira'.*no reference with this name.*'heroine'"):
        of_shots(script("A lake.", cast="@Mira [heroine]: a girl"), cast(), [3])
    own = replace(script("A lake."), shots=(with_own("A lake.", ("dog",)),))
    with pytest.raises(StoryMemError, match=r"shot 1 \(shot-\w+\).*no reference.*'dog'"):
        of_shots(own, cast(), [3])


def test_a_reference_that_may_slide_out_is_refused():
    bank = replace(cast(), sink=0, capacity=6)
    shots = (with_own("A.", ("hero",)), with_own("B.", ("castle",)), with_own("C.", ("castle",)))
    own = replace(script("A."), shots=shots)
    assert of_shots(own, bank, [1] * 3) == [("hero",), ("castle",), ("castle",)]
    with pytest.raises(StoryMemError, match=r"shot 3 .*may have slid out.*'castle'.*Pin it"):
        of_shots(own, bank, [1, 3, 1])
    pinned = replace(bank, frames=(*bank.frames[:2], replace(bank.frames[2], pinned=True), *bank.frames[3:]))
    assert of_shots(own, pinned, [1, 3, 1])


def test_no_reference_of_the_cast_is_missed_when_a_later_shot_is_made():
    """Of five pictures the sink holds three. What has slid out by then cannot be asked for."""
    images = [torch.full((16, 16, 3), 0.1 * n) for n in range(1, 6)]
    bank = with_references(MemoryBank(), images, Brightness(), ["Mira", "Tom", "sea", "Zoe", "castle"])
    people = "@Mira [Mira]: a girl\n@Tom [Tom]: a boy\n@Zoe [Zoe]: a crow"
    told = script(*["Mira waits."] * 4, cast=people)
    assert of_shots(told, bank, [3] * 4) == [*[("Mira", "sea", "castle")] * 3, ("Mira", "sea")]
    with pytest.raises(StoryMemError, match=r"shot 4 .*may have slid out.*'Zoe'"):
        of_shots(script(*["Mira waits."] * 3, "Zoe waits.", cast=people), bank, [3] * 4)
