"""A draft, and the shots of a script that are made."""

from __future__ import annotations

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.making.draft import cheaper, project_name, title
from storymem_core.making.going_on import last_shot
from storymem_core.script.plan import plan
from storymem_core.script.script import parse
from storymem_core.script.shot_list import chosen
from storymem_core.store.project import Story

SCRIPT = parse("# Fox\n\nA.\n\n[continue] B.\n---\nC.\n\n[continue] D.\n\nE.")


@pytest.mark.parametrize(
    ("size", "half"),
    [((832, 480), (416, 240)), ((1280, 720), (640, 352)), ((480, 832), (240, 416)), ((32, 16), (16, 16))],
)
def test_a_draft_has_half_the_size_on_the_models_grid(size, half):
    given = {"width": size[0], "height": size[1], "steps": 40, "shift": 4.0}
    assert cheaper(given, 8) == {"width": half[0], "height": half[1], "steps": 8, "shift": 4.0}
    assert given["steps"] == 40


def test_a_draft_has_never_more_steps_than_its_film():
    assert cheaper({"width": 832, "height": 480, "steps": 4}, 8)["steps"] == 4


def test_a_draft_lies_inside_the_storys_folder_and_has_its_name(tmp_path):
    assert project_name("series/fox", True) == "series/fox/draft"
    assert project_name("series/fox", False) == "series/fox"
    assert title(tmp_path / "fox" / "draft") == "fox (draft)"
    assert title(tmp_path / "fox") == "fox"


def test_chosen_shots_are_those_of_the_whole_script():
    whole, kept = plan(SCRIPT, seed=3), plan(chosen(SCRIPT, "1-2, 5"), seed=3)
    assert kept == (whole[0], whole[1], whole[4])  # ids, scenes and seeds are the whole story's
    assert chosen(SCRIPT, " ") is SCRIPT
    assert chosen(SCRIPT, "all") == SCRIPT


def test_the_first_of_the_chosen_shots_is_the_films_first():
    assert [shot.mode for shot in plan(chosen(SCRIPT, "3,5"))] == ["t2v", "m2v"]


def test_a_shot_without_the_one_that_it_goes_on_from_is_refused():
    with pytest.raises(StoryMemError, match=r"shot 4 \(shot-\w+\) continues from shot 3, which is left out"):
        chosen(SCRIPT, "1,4")
    with pytest.raises(StoryMemError, match="no such shot"):
        chosen(SCRIPT, "6")
    begins = parse("[continue] A.\n\nB.")
    assert len(chosen(begins, "1").shots) == 1  # what it goes on from is given from outside


@pytest.mark.parametrize("keys", [(), ("key",)])
def test_a_draft_goes_on_with_no_story_not_even_one_that_is_not_begun(keys):
    with pytest.raises(StoryMemError, match="cannot continue a story"):
        last_shot(Story("fox", keys), memory=None, start_frames=None, draft=True)
