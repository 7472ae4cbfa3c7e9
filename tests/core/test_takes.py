"""Which stored copy stands for a shot."""

from __future__ import annotations

import json

import pytest
from stories import Told, make, noise

from storymem_core.errors import StoryMemError
from storymem_core.store.outline import FIRST_TAKE, Decision, Outline
from storymem_core.store.project import Project
from storymem_core.store.takes import (
    check_kept_in_script,
    check_locked,
    check_locked_gave,
    check_place,
    chosen_anew,
    kept_frames,
    standing,
)

OLD, NEW = (Told("a", noise(n), extra={"memory": [f"m{n}"]}) for n in (1, 2))


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "story")


@pytest.fixture
def old(project):
    return make(project, OLD)


def test_the_copy_that_fits_stands(project, old):
    assert standing(project, "a", OLD.made_of, FIRST_TAKE).shot.key == old.key
    assert standing(project, "a", NEW.made_of, FIRST_TAKE) is None


def test_a_kept_copy_stands_though_its_memory_has_changed_and_though_another_fits(project, old):
    kept = Decision(held=old.key)
    for _ in range(2):
        found = standing(project, "a", NEW.made_of, kept)
        assert (found.shot.key, found.stale) == (old.key, ("memory",))
        make(project, NEW)
    assert standing(project, "a", OLD.made_of, kept).stale == ()


def test_a_kept_copy_does_not_stand_for_what_is_another_shot(project, old):
    kept = Decision(held=old.key)
    assert standing(project, "a", {**NEW.made_of, "prompt": "another"}, kept) is None
    new = make(project, NEW._replace(prompt="another"))
    found = standing(project, "a", new.made_of, kept)
    assert (found.shot.key, found.stale) == (new.key, ())


def test_a_kept_copy_whose_keyframes_were_chosen_anew_stands_for_the_one_that_is_held(project, old):
    kept, asked = Decision(held=old.key), {**NEW.made_of, "keyframe limit": 5}
    assert standing(project, "a", asked, kept) is None
    assert kept_frames(project, "a", {**asked, "prompt": "another"}, kept) is None
    assert kept_frames(project, "a", asked, FIRST_TAKE) is None
    assert kept_frames(project, "a", asked, kept).key == old.key
    made_of = chosen_anew(old, asked)
    assert made_of == {**OLD.made_of, "keyframe limit": 5}, "with the memory that the frames saw"
    row = {**old.row, "frames_of": old.key}
    anew = project.store(project.key(made_of), made_of, row, old.all_frames(), old.before(), old.keyframes())
    found = standing(project, "a", asked, kept)
    assert (found.shot.key, found.stale) == (anew.key, ("memory",))
    assert standing(project, "a", NEW.made_of, kept).shot.key == old.key
    assert kept_frames(project, "a", {**asked, "keyframe limit": 7}, kept).key == old.key


def test_a_kept_copy_gives_way_to_no_copy_that_fits_and_has_other_frames(project, old):
    """Its keyframes are chosen anew instead."""
    fits = make(project, NEW._replace(extra={**NEW.extra, "keyframe limit": 5}))
    assert standing(project, "a", fits.made_of, FIRST_TAKE).shot.key == fits.key
    assert standing(project, "a", fits.made_of, Decision(held=old.key)) is None
    assert kept_frames(project, "a", fits.made_of, Decision(held=old.key)).key == old.key


def test_for_another_embedder_a_kept_shot_is_made_again(project, old):
    """It cannot compare its frames with those of the memory that the kept copy saw."""
    kept, asked = Decision(held=old.key), {**OLD.made_of, "embedder": "another"}
    assert standing(project, "a", asked, kept) is kept_frames(project, "a", asked, kept) is None


def test_frames_are_added_from_no_locked_shot_that_did_not_give_them(project):
    locked = make(project, Told("a", noise(3), extra={"keyframes": [{"frame": 0}, {"frame": 4}]}))
    outline = Outline(decisions={"a": Decision(held=locked.key, locked=True), "b": Decision(held=locked.key)})
    check_locked_gave(project, outline, {"a": (4, 0), "b": (7,), "c": (7,)})
    with pytest.raises(StoryMemError, match=r"shot 'a', which is locked .*'add a:3'\)\. Unlock"):
        check_locked_gave(project, outline, {"a": (4, 3)})


def test_a_locked_copy_stands_whatever_changes(project, old):
    locked = Decision(held=old.key, locked=True)
    found = standing(project, "a", {**NEW.made_of, "prompt": "another", "new": 1}, locked)
    assert (found.shot.key, found.stale) == (old.key, ("prompt", "memory", "new"))


def test_a_damaged_copy_is_made_again_if_it_is_kept_and_refused_if_it_is_locked(project, old):
    (old.folder / "frames.mkv").write_bytes(b"")
    assert standing(project, "a", NEW.made_of, Decision(held=old.key)) is None
    with pytest.raises(StoryMemError, match="'a' is locked, and its stored copy is gone or damaged") as error:
        standing(project, "a", NEW.made_of, Decision(held=old.key, locked=True))
    assert error.value.value == old.key


def test_a_locked_shot_may_not_leave_the_script_unnoticed():
    shots = tuple({"shot_id": name, "prompt": f"The {name}."} for name in "abc")
    outline = Outline(shots=shots, decisions={"b": Decision(held="k", locked=True), "c": Decision(held="k")})
    check_kept_in_script(outline, {"b", "d"})
    with pytest.raises(StoryMemError, match="'b' is locked, but the script no longer contains it") as error:
        check_kept_in_script(outline, {"a", "c"})
    assert error.value.value == "The b."
    assert "[cut, id: b] or [continue, id: b] before its prompt" in error.value.remedy
    check_kept_in_script(outline.decided("b", locked=False), {"a"})


def test_the_first_of_two_loops_knows_nothing_of_the_seconds_locked_shots():
    """They share a folder; of both the outline has the second one's script."""
    script = json.dumps({"scenes": [{"shots": [{"id": "c", "prompt": "C."}, {"id": "d", "prompt": "D."}]}]})
    shots = tuple({"shot_id": name, "prompt": f"The {name}."} for name in "abcd")
    outline = Outline(script, shots, {name: Decision(held="k", locked=True) for name in "bd"})
    check_kept_in_script(outline, {"a", "b"})
    for ids, gone in (({"a"}, "b"), ({"a", "b", "c"}, "d"), ({"c", "d"}, "b"), ({"x"}, "b")):
        with pytest.raises(StoryMemError, match=f"shot '{gone}' is locked, but"):
            check_kept_in_script(outline, ids)


def test_a_shot_named_by_its_place_is_no_locked_one_of_another_prompt(project):
    locked = make(project, Told("shot-2", noise(3), prompt="A fox."))
    outline = Outline(decisions={"shot-2": Decision(held=locked.key, locked=True)})
    check_place(project, outline, "shot-2", "A fox.")
    check_place(project, outline, "shot-3", "A hare.")
    check_place(project, outline.decided("shot-2", locked=False), "shot-2", "A hare.")
    with pytest.raises(StoryMemError, match=r"locked shot with another prompt, 'A fox\.'.*shot_id") as error:
        check_place(project, outline, "shot-2", "A hare.")
    assert error.value.value == "A hare."


def test_a_lock_of_another_size_is_told_before_any_work(project, old):
    outline = Outline(decisions={"a": Decision(held=old.key, locked=True), "b": Decision(held=old.key)})
    check_locked(project, outline, ["a", "b", "c"], (32, 16))
    check_locked(project, outline, ["b", "c"], (64, 64))
    with pytest.raises(StoryMemError, match="'a' is locked at the size 32x16"):
        check_locked(project, outline, ["a"], (64, 64))
