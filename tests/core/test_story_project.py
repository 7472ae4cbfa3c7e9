"""Takes, stale shots, locks: what a person does with a story's folder, and what runs then make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from stories import noise, remembered
from toy_story import SHOTS, run, shot

from storymem_core.errors import StoryMemError
from storymem_core.film.publish import publish
from storymem_core.memory.bank import MemoryBank
from storymem_core.store import story_project
from storymem_core.store.project import Project, Story, shot_ids
from storymem_core.store.shot_states import KEPT, LOCKED, kept, look, report, so_far
from storymem_core.store.story_project import ACTIONS, act, use


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "fox"


def do(folder, action, shots, take=1):
    act(Project.open(folder), action, shots, take)


def told(folder):
    return [state.told for state in look(Project.open(folder))]


def there(folder) -> Story:
    return so_far(look(Project.open(folder)), Story(str(folder)))


def same(*keys):
    return [one == other for one, other in zip(*keys, strict=True)]


# Takes


def test_a_take_is_made_once_and_the_old_one_can_be_chosen_again(folder):
    first = run(folder)
    for _ in range(2):  # asking again changes nothing
        do(folder, "take", "2", 2)
        assert told(folder) == ["made", "not made yet", "kept", "kept"]
    second = run(folder)
    assert second.reused == (True, False, True, True)
    assert same(first.keys, second.keys) == [True, False, True, True]
    do(folder, "take", "trot", 2)
    assert run(folder).reused == (True,) * 4
    do(folder, "take", "2", 1)
    assert there(folder).keys == run(folder).keys == first.keys
    assert [sorted(state.takes) for state in look(Project.open(folder))] == [[1], [1, 2], [1], [1]]


def test_later_shots_are_stale_and_redone_or_kept_as_a_person_says(folder):
    first = run(folder)
    do(folder, "take", "2", 2)
    second = run(folder)
    assert second.stale == ((), (), ("memory",), ("memory",))
    assert told(folder) == ["made", "made", "kept, stale: memory", "kept, stale: memory"]
    assert there(folder).stale == second.stale  # known without a run
    do(folder, "redo", "3")
    assert told(folder)[2] == "stale: memory; the next run makes it again"
    third = run(folder)
    assert same(second.keys, third.keys) == [True, True, False, True]
    assert third.stale == ((), (), (), ("start frames", "memory"))
    do(folder, "redo", "all")
    fourth = run(folder)
    assert (fourth.stale, told(folder)) == (((),) * 4, ["made"] * 4)
    do(folder, "take", "2", 1)
    do(folder, "redo", "all")
    assert run(folder).keys == first.keys  # each copy is stored still


def test_shots_that_were_left_out_keep_their_numbers(folder):
    story = run(folder, [SHOTS[0], SHOTS[2]])
    project = Project.open(folder)
    script = {"scenes": [{"shots": [{"id": one["shot_id"], "prompt": "A fox."} for one in SHOTS[:3]]}]}
    project.outlined(replace(project.outline(), script=json.dumps(script)))
    assert shot_ids(story) == ("wake", "trot", "lake")
    assert [state.number for state in look(project)] == [1, 3]
    assert report("fox", look(project)).splitlines()[2].startswith("3. lake: ")
    with pytest.raises(StoryMemError, match="left out when the story was last run"):
        do(folder, "lock", "2")
    do(folder, "lock", "2-3")
    assert told(folder) == ["made", "locked"]
    with pytest.raises(StoryMemError, match=r"shot 3 \(lake\) is locked"):
        do(folder, "take", "3", 2)


def test_what_a_decision_keeps_is_known_before_the_next_run(folder):
    run(folder)
    do(folder, "take", "2", 2)
    do(folder, "lock", "4")
    project = Project.open(folder)
    outline, copies = project.outline(), project.copies()
    assert [kept(outline.of(one["shot_id"]), one, copies) for one in SHOTS] == ["", "", KEPT, LOCKED]
    others = [{**one, "prompt": "Another."} for one in SHOTS]
    assert [kept(outline.of(one["shot_id"]), one, copies) for one in others] == ["", "", "", LOCKED]


def test_an_edit_of_a_frame_that_a_take_did_not_give_keeps_nobody_from_looking(folder):
    run(folder, [{**one, "memory_edits": "drop 1:3"} for one in SHOTS])
    assert told(folder) == ["made", *["stale: memory; the next run makes it again"] * 3]


def test_looking_tells_where_only_keyframes_are_chosen_anew(folder):
    run(folder, [{**one, "memory_edits": "pin 1:4"} for one in SHOTS])
    anew = "stale: memory pins; the next run selects its keyframes again, samples only if it sees others"
    assert told(folder) == ["made", *[anew] * 3]


def test_looking_knows_which_frames_were_added_to_a_shot(folder):
    run(folder, [{**one, "memory_edits": "add lake:2"} for one in SHOTS])
    anew = "stale: added keyframes; the next run selects its keyframes again, samples only if it sees others"
    assert told(folder) == ["made", "made", anew, "stale: memory; the next run makes it again"]


def test_what_comes_after_a_kept_shot_remembers_the_story_as_it_is_now(folder):
    """The kept shot saw the first take; the story has another, and a new shot sees that one."""
    run(folder)
    do(folder, "take", "1", 2)
    story = run(folder, [*SHOTS, shot("home")])
    one, *_, new = story.shots()
    assert one.take == 2
    seen = [frame.sha256 for frame in new.seen().frames]
    assert seen == [frame.sha256 for one in story.shots()[:-1] for frame in one.keyframes().frames]


def test_a_locked_first_shot_does_not_bring_its_old_references_along(folder):
    old, new = (MemoryBank((remembered(noise(n)[0], "hero", 0, "reference"),)) for n in (1, 2))
    run(folder, memory=old)
    do(folder, "lock", "1")
    story = run(folder, memory=new)
    assert story.stale == (("memory",), (), (), ()) and story.reused == (True, False, False, False)
    for later in story.shots()[1:]:
        assert later.seen().frames[0] == new.frames[0] and old.frames[0] not in later.seen().frames


def test_a_changed_prompt_makes_a_kept_shot_again(folder):
    run(folder)
    do(folder, "keep", "all")
    changed = run(folder, [SHOTS[0], SHOTS[1], {**SHOTS[2], "prompt": "A lake."}, SHOTS[3]])
    assert changed.reused == (True, True, False, True)
    assert changed.stale[3] == ("start frames", "memory")


def test_without_a_decision_all_that_changes_is_made_again(folder):
    run(folder)
    changed = run(folder, [{**SHOTS[0], "prompt": "A cat."}, *SHOTS[1:]])
    assert (changed.reused, changed.stale) == ((False,) * 4, ((),) * 4)


def test_a_locked_shot_is_never_another(folder):
    first = run(folder)
    do(folder, "lock", "3")
    other = [{**one, "prompt": "Another story.", "seed": 9} for one in SHOTS]
    changed = run(folder, other)
    assert same(first.keys, changed.keys) == [False, False, True, False]
    assert changed.stale[2] == ("prompt", "seed", "memory")
    assert told(folder)[2] == "locked, stale: prompt, seed, memory"
    do(folder, "redo", "all")
    assert run(folder, other).keys == changed.keys
    with pytest.raises(StoryMemError, match=r"shot 3 \(lake\) is locked"):
        do(folder, "take", "3", 2)
    do(folder, "unlock", "3")
    assert told(folder)[2] == "stale: prompt, seed, memory; the next run makes it again"
    assert not run(folder, other).reused[2]


def test_only_what_is_made_can_stay(folder):
    run(folder, stop=2)
    assert told(folder) == ["made", "made", "not made yet", "not made yet"]
    for action in ("keep", "lock"):
        with pytest.raises(StoryMemError, match=r"shot 3 \(lake\) is not made yet"):
            do(folder, action, "2-3")
    assert not Project.open(folder).outline().decisions  # all or nothing


# What is there


def test_the_film_can_be_stitched_at_any_time(folder):
    run(folder, stop=3)
    do(folder, "take", "2", 2)
    story = there(folder)
    publish(story)
    record = json.loads((folder / "story.json").read_text())
    assert [row["id"] for row in record["shots"]] == ["wake", "lake"]
    run(folder)
    do(folder, "lock", "1")
    publish(there(folder))
    rows = json.loads((folder / "story.json").read_text())["shots"]
    assert [(row["id"], row["take"], row["locked"], row["stale"]) for row in rows] == [
        ("wake", 1, True, []),
        ("trot", 2, False, []),
        ("lake", 1, False, ["memory"]),
        ("swim", 1, False, []),  # made after the new take
    ]


def test_a_damaged_copy_is_shown_as_not_made(folder):
    story = run(folder)
    (folder / "store" / story.keys[2] / "frames.mkv").write_bytes(b"")
    assert told(folder) == ["made", "made", "not made yet", "made"]
    assert run(folder).reused == (True, True, False, True)
    do(folder, "lock", "3")
    (folder / "store" / story.keys[2] / "frames.mkv").unlink()
    assert told(folder)[2] == "locked, and its copy is gone or damaged"
    with pytest.raises(StoryMemError, match="locked, and its stored copy is gone or damaged"):
        run(folder)
    do(folder, "unlock", "3")
    assert run(folder).reused == (True, True, False, True)


def test_shots_made_one_by_one_are_known_from_the_film(folder):
    publish(run(folder))
    (folder / "store" / "outline.json").unlink()
    assert told(folder) == ["made"] * 4
    do(folder, "take", "trot", 2)
    assert told(folder)[1] == "not made yet"


def test_looking_makes_nothing(tmp_path):
    seen = use(tmp_path, "nothing/yet", "look", "", 1)
    assert (seen.story.keys, seen.script, seen.report) == ((), None, "nothing/yet: no shots here yet")
    assert seen.sheet.shape[1:] == (1720, 3)
    for action in ACTIONS:
        with pytest.raises(StoryMemError, match="there is no story in this folder"):
            use(tmp_path, "nothing/yet", action, "1", 1)
    assert not list(tmp_path.iterdir())


def test_report_and_sheet_tell_of_each_shot(tmp_path):
    run(tmp_path / "fox")
    seen = use(tmp_path, "fox", "take", "2", 3)
    assert seen.report.splitlines() == [
        "fox: 3 of 4 shots made",
        "1. wake: take 1 (1 made), made",
        "2. trot: take 3 (1 made), not made yet",
        "3. lake: take 1 (1 made), kept",
        "4. swim: take 1 (1 made), kept",
    ]
    one, all_shots = (use(tmp_path, "fox", "look", shots, 1).sheet for shots in ("2", ""))
    assert one.shape[0] < all_shots.shape[0] and one.std() > 1


def test_of_a_long_story_the_sheet_shows_the_last_shots(tmp_path, monkeypatch):
    run(tmp_path / "fox")
    monkeypatch.setattr(story_project, "MOST_SHOWN", 2)
    last, named, everything = (use(tmp_path, "fox", "look", text, 1).sheet for text in ("", "3-4", "all"))
    assert np.array_equal(last, named) and last.shape[0] < everything.shape[0]


# Any order of things


class People(RuleBasedStateMachine):
    """Decisions and runs in any order."""

    @initialize(tmp=st.builds(lambda: None))
    def begin(self, tmp):
        import tempfile

        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name, "fox")
        self.shots = list(SHOTS[:3])
        self.film = run(self.folder, self.shots)
        self.locks: dict[str, str] = {}

    @rule(action=st.sampled_from([*ACTIONS]), place=st.integers(1, 3), take=st.integers(1, 2))
    def decide(self, action, place, take):
        state = look(Project.open(self.folder))[place - 1]
        try:
            do(self.folder, action, str(place), take)
        except StoryMemError as error:
            assert "is locked" in str(error) or "not made yet" in str(error)
            return
        if action == "lock":
            self.locks[state.id] = state.standing.shot.key
        if action == "unlock":
            self.locks.pop(state.id, None)

    @rule(place=st.integers(0, 2), prompt=st.sampled_from(["A fox.", "A cat."]))
    def rewrite(self, place, prompt):
        self.shots[place] = {**self.shots[place], "prompt": prompt}
        self.film = run(self.folder, self.shots)

    @rule()
    def tell(self):
        states = look(Project.open(self.folder))
        self.film = run(self.folder, self.shots)
        for state, key, stale in zip(states, self.film.keys, self.film.stale, strict=True):
            assert state.decision.held or not stale  # nothing stale that nobody keeps
            assert self.locks.get(state.id, key) == key
        assert run(self.folder, self.shots).keys == self.film.keys
        seen, told = there(self.folder), run(self.folder, self.shots)  # looking tells what a run tells
        assert (seen.keys, seen.reused, seen.stale) == (told.keys, told.reused, told.stale)

    @invariant()
    def nothing_is_lost(self):
        project = Project.open(self.folder)
        assert all(project.find(key) for key in self.film.keys)
        for state in look(project):
            assert state.decision.locked == (state.id in self.locks)

    def teardown(self):
        if hasattr(self, "temporary"):
            self.temporary.cleanup()


TestPeople = People.TestCase
TestPeople.settings = settings(max_examples=6, stateful_step_count=8, deadline=None)
