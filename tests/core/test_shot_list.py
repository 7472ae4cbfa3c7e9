from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.script.shot_list import picked

IDS = ("wake", "trot", "lake", "swim", "2-3x")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("1", [0]),
        ("5, 2", [1, 4]),
        ("2-4", [1, 2, 3]),
        ("2 - 2,2", [1]),
        ("lake", [2]),
        ("swim,1-2,2-3x", [0, 1, 3, 4]),
        ("all", [0, 1, 2, 3, 4]),
        (" All ", [0, 1, 2, 3, 4]),
    ],
)
def test_numbers_ids_and_ranges(text, places):
    assert list(picked(text, IDS)) == places


@pytest.mark.parametrize("text", ["0", "6", "4-2", "3-6", "Wake", "1;2", "-1", "1-", "9" * 40, "²"])
def test_a_shot_that_is_not_there_is_refused(text):
    with pytest.raises(StoryMemError, match="the story has no such shot") as error:
        picked(f"1, {text}", IDS)
    assert error.value.value == text and "from 1 to 5" in error.value.remedy


@pytest.mark.parametrize("text", ["", "  ", "1,", ",2"])
def test_it_must_be_said_which(text):
    with pytest.raises(StoryMemError, match="no shot is given"):
        picked(text, IDS)


@pytest.mark.parametrize(("text", "ids"), [("2", ["2", "b"]), ("1-2", ["a", "1-2"]), ("all", ["all", "b"])])
def test_an_id_that_also_means_others_is_refused(text, ids):
    with pytest.raises(StoryMemError, match="also means other shots"):
        picked(text, ids)


def test_an_id_that_is_its_own_number_is_that_shot():
    assert picked("2", ["1", "2", "3"]) == (1,)


def test_of_a_story_without_shots_none_can_be_named():
    with pytest.raises(StoryMemError, match="Run the story first"):
        picked("1", ())
    assert picked("all", ()) == ()


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        places = picked(text, IDS)
    except StoryMemError:
        return
    assert places and list(places) == sorted(set(places)) and set(places) <= set(range(5))
