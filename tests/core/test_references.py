"""Names of reference images, and which of them a shot sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stories import noise, remembered

from storymem_core.errors import StoryMemError
from storymem_core.memory import MemoryBank
from storymem_core.references import names_of_images, picked, reference_names
from storymem_core.remember import with_references


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


@pytest.mark.parametrize("text, says", [("a, b", "2 names for 1"), ("7", "a letter"), ("a:b", "no colon")])
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
