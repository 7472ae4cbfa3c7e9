"""A story's folder by its node: takes, stale shots and locks, with the loop that makes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from node_calls import SMALL, Pixels, call, core, images, run_expansion, shown

SCRIPT = "# Ink\n\nA desk.\n\n[continue] A pen.\n\nRain."
WIRES = ("high_noise_model", "low_noise_model", "clip", "vae")


@pytest.fixture(autouse=True)
def folders(pack, output):
    return output


def tell(parts, script=None, **widgets):
    """Run the story."""
    run_expansion(*ask(parts, script, **widgets))


def ask(parts, script=None, **widgets):
    """The loop alone, which makes no shot: its result, and what its sub-graph's links bring."""
    given = {name: parts[name] for name in WIRES} | {"embedder": Pixels()}
    given["script"] = script or call("StoryMemScript", text=SCRIPT)[0]
    links = {name: [f"from {name}", 0] for name in given}
    loop = call("StoryMemStoryLoop", links, **{**SMALL, **given, **widgets})
    return loop, {f"from {name}": value for name, value in given.items()}


def rows(output, name="Ink"):
    return json.loads((output / name / "story.json").read_text())["shots"]


def project(action="look", shot="", take=1, name="Ink", **more):
    return call("StoryMemStoryProject", project=name, action=action, shot=shot, take=take, **more)


def column(output, name, story="Ink"):
    return [row[name] for row in rows(output, story)]


def test_a_shot_is_rolled_again_and_later_ones_are_a_persons_choice(parts, output):
    tell(parts)
    first = column(output, "key")
    seed = column(output, "seed")
    project("take", "1", 2)
    tell(parts)
    assert column(output, "take") == [2, 1, 1]
    assert column(output, "reused") == [False, True, True]
    assert column(output, "stale")[0] == [] and column(output, "stale")[1] == ["start frames", "memory"]
    assert column(output, "seed")[0] != seed[0] and column(output, "seed")[1:] == seed[1:]

    report = project("redo", "2")[3]
    assert "1. " in report and "take 2 (2 made), made" in report
    assert "stale: start frames, memory; the next run makes it again" in report
    tell(parts)
    assert column(output, "reused") == [True, False, True]
    assert [bool(stale) for stale in column(output, "stale")] == [False, False, True]

    project("lock", "3")
    edited = call("StoryMemScript", text=SCRIPT.replace("Rain.", "Snow."))[0]
    with pytest.raises(
        ValueError, match=r"StoryMemStoryLoop: shot .* is locked, but the script no longer contains it"
    ):
        tell(parts, script=edited)
    tell(parts, negative_prompt="fog")
    assert column(output, "locked") == [False, False, True]
    assert column(output, "reused") == [False, False, True]
    assert column(output, "key")[2] == first[2]
    project("unlock", "3")
    project("take", "1", 1)
    project("redo", "all")
    tell(parts)
    assert column(output, "key") == first


def test_a_kept_shot_gives_another_frame_and_is_not_sampled(parts, output, request):
    """Its frames saw another memory than the story has now, so that they cannot be made again."""
    tell(parts, keyframes=1)
    project("take", "1", 2)
    tell(parts, keyframes=1)
    kept = column(output, "key")
    assert column(output, "stale")[1] == ["start frames", "memory"]
    request.getfixturevalue("no_sampling")
    tell(parts, keyframes=1, memory_edits="add 2:3")
    assert column(output, "reused") == [True, False, True]
    assert column(output, "frames_of")[1] == kept[1] and column(output, "added")[1] == [3]
    assert column(output, "stale")[1] == ["start frames", "memory"], "it is kept still"
    assert [frame["frame"] for frame in rows(output)[1]["keyframes"]] == [1, 3]
    assert "stale: start frames, memory" in project()[3].splitlines()[2]
    tell(parts, keyframes=1, memory_edits="add 2:3")
    assert column(output, "reused") == [True] * 3
    tell(parts, keyframes=1)
    assert column(output, "key") == kept


def test_a_kept_shot_keeps_its_own_frames_where_a_card_once_made_others(parts, output):
    """A newer copy is made of the same, but for its keyframes; not every card gives the same bits twice."""
    tell(parts, keyframes=1)
    project("keep", "1")
    there = core("store.project").Project.open(output / "Ink")
    held = there.stored(column(output, "key")[0])
    made_of = {**held.made_of, "keyframe limit": 9}
    others = 255 - held.all_frames()
    there.store(there.key(made_of), made_of, held.row, others, held.before(), held.keyframes())
    tell(parts, keyframes=2)
    kept = there.stored(column(output, "key")[0])
    assert (kept.frames_of, kept.made_of["keyframe limit"]) == (held.key, 2)
    assert np.array_equal(kept.all_frames(), held.all_frames())


class AllDiffer(Pixels):
    threshold = 1.0


def test_what_is_pinned_stays_in_the_memory_of_kept_shots_and_in_what_leaves_the_story(parts, output):
    """The second shot is in the sink, so with another take of it all later ones stay stale."""
    bank = call("StoryMemMemoryBank", sink=2, capacity=4, embedder=AllDiffer())[0]
    models = {name: parts[name] for name in WIRES} | {"embedder": AllDiffer()}

    def told(edits):
        story, memory = None, None
        for number in range(1, 6):
            first = {"memory": bank} if story is None else {"story": story}
            own = {"prompt": f"Desk {number}.", "shot_id": f"s{number}", "memory_edits": edits}
            given = {**SMALL, **models, **first, **own, "project": "hand", "keyframes": 1}
            story, memory = call("StoryMemShot", **given).values
        call("StoryMemShotStitch", story=story)
        return story, [frame.origin.shot for frame in memory.load().frames]

    assert told("pin s3:0")[1] == ["s1", "s2", "s3", "s5"]
    project("take", "s2", 2, name="hand")
    story, left = told("pin s3:0")
    assert [bool(stale) for stale in story.stale] == [False, False, True, True, True]
    assert left == ["s1", "s2", "s3", "s5"]
    assert told("")[1] == ["s1", "s2", "s4", "s5"]


def test_the_loops_report_marks_what_a_decision_keeps(parts):
    def marks():
        (text,) = ask(parts)[0].ui["text"]
        return [line.partition(": ")[0].partition("seed ")[2] for line in text.split("\n")]

    tell(parts)
    plain = marks()
    project("take", "1", 2)
    project("lock", "3")
    mark = " ({}; {} it in Story Project to make it again)"
    kept, locked = mark.format("kept by a chosen take or by keep", "redo"), mark.format("locked", "unlock")
    assert marks() == [plain[0], plain[1] + kept, plain[2] + locked]
    project("unlock", "3")
    project("redo", "all")
    assert marks() == plain


def test_a_story_goes_on_from_its_folder_alone_and_is_stitched_from_what_is_there(parts, output):
    tell(parts)
    name, story, script, report, sheet = project().values
    assert (name, script.name, len(story.keys)) == ("Ink", "Ink", 3)
    assert report.splitlines()[0] == "Ink: 3 of 3 shots made"
    assert [line.rpartition(", ")[2] for line in report.splitlines()[1:]] == ["made"] * 3
    (picture,) = shown(project())
    assert np.array_equal(picture, (sheet[0].numpy() * 255).round().astype(np.uint8))
    tell(parts, script=script, project=name)
    assert column(output, "reused") == [True] * 3

    (output / "Ink" / "store" / story.keys[1] / "shot.json").unlink()
    film = call("StoryMemShotStitch", story=project()[1])
    assert len(film[0].get_components().images) == 10
    assert len(rows(output)) == 2


def test_what_was_made_by_hand_has_takes_too(parts, output):
    models = {name: parts[name] for name in WIRES}
    given = {
        **models,
        **SMALL,
        "embedder": Pixels(),
        "prompt": "A desk.",
        "project": "hand",
        "shot_id": "desk",
    }
    first = call("StoryMemShot", **given)[0]
    call("StoryMemShotStitch", story=first)
    project("take", "desk", 2, name="hand")
    second = call("StoryMemShot", **given)[0]
    assert second.keys != first.keys and second.reused == (False,)
    assert second.shots()[0].row["take"] == 2
    project("take", "desk", 1, name="hand")
    assert call("StoryMemShot", **given)[0].keys == first.keys


def test_before_the_first_run_there_is_nothing_to_see(output):
    result = project(name="nothing")
    assert result[1].keys == () and result[2] is None
    assert result.ui["text"] == ("nothing: no shots here yet",)
    assert not list(output.iterdir())


def test_a_take_with_a_start_of_its_own(parts, output):
    """A first shot that goes on from given frames keeps them in each take."""
    models = {name: parts[name] for name in WIRES}
    given = {**models, **SMALL, "embedder": Pixels(), "prompt": "On.", "project": "on", "shot_id": "on"}
    given |= {"cut": False, "start_frames": images(1)}
    call("StoryMemShotStitch", story=call("StoryMemShot", **given)[0])
    project("take", "1", 2, name="on")
    (stored,) = call("StoryMemShot", **given)[0].shots()
    assert (stored.dropped, stored.take) == (1, 2)


def test_other_keyframes_are_seen_before_a_run_makes_the_shots_again(parts):
    tell(parts)
    ask(parts, keyframes=1)
    assert "1. " in (report := project()[3]) and report.count("stale: keyframe limit") == 3


def test_a_draft_first_then_the_shots_that_are_kept(parts, output):
    tell(parts, draft=True, draft_steps=2, steps=4, width=64)
    told = json.loads((output / "Ink/draft/story.json").read_text())
    assert (told["name"], told["size"], len(told["shots"])) == ("Ink (draft)", [32, 16], 3)
    assert not (output / "Ink/film.mp4").exists()
    project("take", "3", 2, draft=True)
    tell(parts, draft=True, draft_steps=2, steps=4, width=64)
    assert column(output, "take", "Ink/draft") == [1, 1, 2]
    drafts = column(output, "key", "Ink/draft")

    tell(parts, only="1,3", steps=4, width=64)
    told = json.loads((output / "Ink/story.json").read_text())
    assert (told["name"], told["size"]) == ("Ink", [64, 32])
    assert [row["take"] for row in told["shots"]] == [1, 1]
    assert not {row["key"] for row in told["shots"]} & set(drafts)
    first, last = told["shots"]
    assert [frame["shot"] for frame in last["memory"]] == [first["id"]] * len(last["memory"])
    assert len(project()[1].keys) == 2 and len(project()[2].shots) == 3  # the film's shots, the whole script
    assert len(project(draft=True)[1].keys) == 3

    tell(parts, steps=4, width=64)  # the rest
    assert column(output, "reused") == [True, False, False]
    assert column(output, "key", "Ink/draft") == drafts
