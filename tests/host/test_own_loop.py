"""What each shot of a loop of one's own is given, and how its frames are kept; no server, no models."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from node_calls import Pixels, images

from storymem_core.errors import StoryMemError
from storymem_core.frames.pixels import quantise
from storymem_core.keyframes.remember import with_references
from storymem_core.making import own_loop
from storymem_core.making.own_loop import Making
from storymem_core.memory.bank import MemoryBank
from storymem_core.script import script
from storymem_core.store.project import Project
from storymem_core.store.shot_states import look

SCRIPT = script.parse("A desk.\n\n[continue] A pen.\n\nRain.")
BODY = Making("body")


def opened(root, text=SCRIPT, **change):
    widgets = {
        "project": "ink",
        "length": 5,
        "seed": 3,
        "negative_prompt": "fog",
        "overlap": 1,
        "keyframes": 2,
    }
    return own_loop.opened(root, script=text, embedder=Pixels(), **(widgets | change))


def run(loop, making=BODY, frames=5, size=(32, 32)):
    """All shots of a loop, as the Close's sub-graph makes them; the story."""
    story = own_loop.stored_before(loop, making)
    for seed, _ in enumerate(own_loop.left(loop, story), len(story.keys)):
        stored = own_loop.keep(loop, story, making, [images(frames, size, seed)])
        story = story.added(stored.key)
    return story


def test_each_shot_is_given_what_the_script_says(tmp_path):
    loop = opened(tmp_path)
    story = loop.story
    first = own_loop.begin(loop, story, BODY)
    assert (first.number, first.plan.prompt, first.plan.negative_prompt) == (1, "A desk.", "fog")
    assert (own_loop.given_images(first), first.seen.frames, first.plan.seed) == (
        (None, None), (), script.shot_seed(3, SCRIPT.shots[0].id),
    )  # fmt: skip
    one = own_loop.keep(loop, story, BODY, [images(5)])
    second = own_loop.begin(loop, story.added(one.key), BODY)
    assert (second.number, second.plan.cut, second.plan.dropped, second.plan.mode) == (2, False, 1, "mi2v")
    start, _ = own_loop.given_images(second)
    assert torch.equal(start[0], torch.from_numpy(one.last(1)[0] / np.float32(255)))
    assert second.seen == one.memory_after()
    assert own_loop.memory_seen(loop, story.added(one.key), second).load() == one.memory_after()


def test_a_stored_story_needs_no_body(tmp_path):
    story = run(opened(tmp_path))
    again = own_loop.stored_before(opened(tmp_path), BODY)
    assert (again.keys, again.reused) == (story.keys, (True,) * 3)
    assert own_loop.left(opened(tmp_path), again) == ()
    assert own_loop.kept(again).load() == own_loop.kept(story).load()
    assert [state.told for state in look(Project.open(story.folder))] == ["made"] * 3


def test_a_folder_that_is_moved_on_the_way_is_not_made_anew(tmp_path):
    loop = opened(tmp_path)
    one = own_loop.keep(loop, loop.story, BODY, [images(5)])
    (tmp_path / "ink").rename(tmp_path / "elsewhere")
    with pytest.raises(StoryMemError, match="no story in this folder; was it moved or renamed"):
        own_loop.begin(loop, loop.story.added(one.key), BODY)
    assert not (tmp_path / "ink").exists()


@pytest.mark.parametrize(
    "change, making",
    [
        ({"seed": 4}, BODY),
        ({"negative_prompt": "rain"}, BODY),
        ({"length": 9}, BODY),
        ({}, replace(BODY, body="another")),
        ({}, replace(BODY, interpolation=2)),
        ({}, replace(BODY, numbered=True)),
    ],
)
def test_what_makes_a_shot_is_in_its_key(tmp_path, change, making):
    run(opened(tmp_path))
    assert own_loop.stored_before(opened(tmp_path, **change), making).keys == ()


def test_a_shot_whose_keyframes_alone_are_chosen_anew_needs_no_body(tmp_path):
    old = run(opened(tmp_path)).shots()
    loop = opened(tmp_path, keyframes=1)
    story = own_loop.stored_before(loop, BODY)
    (one,) = story.shots()
    assert (story.reused, one.key == old[0].key, one.row["frames_of"]) == ((False,), False, old[0].key)
    assert np.array_equal(one.all_frames(), old[0].all_frames())
    assert [len(shot.row["keyframes"]) for shot in (old[0], one)] == [2, 1]
    assert (one.row["changed"], one.row["body"]) == (["keyframe limit"], "body")
    assert own_loop.begin(loop, story, BODY).standing is None, "the next one's memory is another"
    assert own_loop.stored_before(loop, BODY).reused == (True,)
    assert old[1].repeats(one), "it goes on from the same frames"
    two = own_loop.keep(loop, story, BODY, [images(5, seed=9)])
    assert two.row["follows"] == old[0].key and two.repeats(one) and two.repeats(old[0])


def test_the_body_does_not_run_for_a_shot_that_has_just_been_stored(tmp_path, caplog):
    run(opened(tmp_path))
    loop = opened(tmp_path, keyframes=1)
    with caplog.at_level("INFO"):
        begun = own_loop.begin(loop, loop.story, BODY)
        assert own_loop.is_stored(loop.story, begun)
    assert begun.added_to(loop.story).reused == (False,)
    assert own_loop.kept(begun.added_to(loop.story)).key == begun.key
    assert "keyframes selected again" in caplog.text and "is there already" not in caplog.text


@pytest.mark.parametrize("bank", [MemoryBank(capacity=9), MemoryBank(sink=2)])
def test_a_body_that_is_given_another_bank_runs_again(tmp_path, bank):
    """It may use all of it, as a Memory Edit in the body does."""
    run(opened(tmp_path))
    assert own_loop.stored_before(opened(tmp_path, memory=bank), BODY).keys == ()


def test_interpolated_shots_go_on_at_the_models_rate(tmp_path):
    """Of nine frames that became 17, an overlap of five is every second of the last nine."""
    making, loop = replace(BODY, interpolation=2), opened(tmp_path, length=9, overlap=5)
    frames = images(17)
    one = own_loop.keep(loop, loop.story, making, [frames])
    second = own_loop.begin(loop, loop.story.added(one.key), making)
    assert np.array_equal(second.images.start, quantise(frames.numpy())[8::2])
    assert (second.plan.dropped, second.plan.frames) == (9, 9)
    two = own_loop.keep(loop, loop.story.added(one.key), making, [images(17, seed=1)])
    assert (two.count, two.dropped, two.row["frames"]) == (17, 9, 17)


def test_another_take_and_a_locked_shot(tmp_path):
    """Story Project's decisions hold for a body of one's own too."""
    loop = opened(tmp_path)
    story = run(loop)
    project, (one, two, three) = Project.open(story.folder), story.shots()
    assert [asked["shot_id"] for asked in project.outline().shots] == [one.id, two.id, three.id]
    project.outlined(project.outline().decided(one.id, take=2).decided(three.id, held=three.key, locked=True))
    begun = own_loop.begin(loop, loop.story, BODY)
    assert (begun.plan.take, begun.standing) == (2, None)
    assert begun.plan.seed == script.take_seed(loop.shots[0].seed, 2)
    again = loop.story
    for seed in (7, 8):
        again = again.added(own_loop.keep(loop, again, BODY, [images(5, seed=seed)]).key)
    again = own_loop.begin(loop, again, BODY).added_to(again)
    assert (again.keys[2], again.reused[2], again.stale[2]) == (three.key, True, ("memory",))


def test_a_stale_first_shot_that_is_kept_hides_no_reference_from_the_next(tmp_path):
    """It saw one of two; what it did not see is in the memory still."""
    bank = with_references(
        MemoryBank(), torch.cat([images(1), images(1, seed=1)]), Pixels(), ["hero", "castle"]
    )
    needs = script_of(
        {"prompt": "A.", "references": ["hero"]}, {"prompt": "B.", "references": ["hero", "castle"]}
    )
    story = run(opened(tmp_path, needs, memory=bank))
    project, (one, _) = Project.open(story.folder), story.shots()
    project.outlined(project.outline().decided(one.id, held=one.key, locked=True))
    changed = Making("another body")
    again = own_loop.stored_before(opened(tmp_path, needs, memory=bank), changed)
    assert (again.keys, again.stale) == ((one.key,), (("body",),))
    second = own_loop.begin(opened(tmp_path, needs, memory=bank), again, changed)
    assert [frame.origin.shot for frame in second.seen.frames[:2]] == ["hero", "castle"]
    assert second.memory.sink == bank.sink


def test_edits_of_the_memory_hold_for_every_shot(tmp_path):
    loop = opened(tmp_path, memory_edits="drop shot-1")
    one = own_loop.keep(loop, loop.story, BODY, [images(5)])
    story = loop.story.added(one.key)
    second = own_loop.begin(loop, story, BODY)
    assert (len(one.memory_after().frames) > 0, second.seen.frames) == (True, ())
    assert own_loop.memory_seen(loop, story, second) == second.seen
    there = Project.open(run(loop).folder)
    assert [state.told for state in look(there)] == ["made"] * 3  # looking knows the edits
    opened(tmp_path)  # without them
    stale = ("memory", "memory set aside")
    assert [state.standing.stale for state in look(there)] == [(), stale, stale]


def test_frames_that_a_person_adds_are_counted_as_the_body_gives_them(tmp_path):
    """Of three frames a body makes nine; the second shot repeats one of them."""
    body = Making("body", interpolation=2)
    loop = opened(tmp_path, memory_edits="add 1:7, 2:8")
    own_loop.check_film(loop, body, 16.0, 0)
    shots = run(loop, body, frames=9).shots()
    for shot, number in zip(shots, (7, 8), strict=False):
        assert shot.keyframes().frames[-1].origin.frame == shot.row["added"][0] == number
    assert [shot.made_of.get("added keyframes") for shot in shots] == [[7], [8], None]
    assert [state.told for state in look(Project.open(tmp_path / "ink"))] == ["made"] * 3
    for edits, own in (("add 1:9", "0 to 8"), ("add 2:0", "1 to 8")):
        with pytest.raises(StoryMemError, match=f"does not have .*Its own frames are {own}"):
            own_loop.check_film(opened(tmp_path, memory_edits=edits), body, 16.0, 0)


def test_a_kept_shot_of_the_body_gives_another_frame(tmp_path):
    story = run(opened(tmp_path))
    there = Project.open(story.folder)
    ids = [shot.id for shot in SCRIPT.shots]
    there.outlined(there.outline().decided(ids[0], take=2).decided(ids[1], held=story.keys[1]))
    again = own_loop.stored_before(opened(tmp_path), BODY)
    again = again.added(own_loop.keep(opened(tmp_path), again, BODY, [images(5, (32, 32), 9)]).key)
    loop = opened(tmp_path, memory_edits="add 2:3")
    begun = own_loop.begin(loop, again, BODY)
    assert begun.chosen_anew and begun.standing.stale == ("start frames", "memory")
    kept = begun.standing.shot
    assert (kept.frames_of, kept.row["added"]) == (story.keys[1], [3])
    assert 3 in [frame["frame"] for frame in kept.row["keyframes"]]
    assert own_loop.begin(loop, again, BODY).standing.shot.key == kept.key, "it stands from now on"


def test_a_reference_that_the_edits_pin_does_not_slide_out(tmp_path):
    bank = with_references(MemoryBank(sink=0, capacity=2), [torch.full((16, 16, 3), 0.2)], Pixels(), ["hero"])
    needs = script_of({"prompt": "A."}, {"prompt": "B.", "references": ["hero"]})
    with pytest.raises(StoryMemError, match="may have slid out"):
        opened(tmp_path, needs, memory=bank)
    assert opened(tmp_path, needs, memory=bank, memory_edits="pin hero").shots[1].references == ("hero",)


def test_a_locked_shot_that_is_gone_is_told_before_any_shot(tmp_path):
    story = run(opened(tmp_path))
    there = Project.open(story.folder)
    there.outlined(there.outline().decided(SCRIPT.shots[2].id, held="0" * 64, locked=True))
    with pytest.raises(StoryMemError, match="is locked, and its stored copy is gone"):
        opened(tmp_path)


def test_keyframes_are_none_that_repeat_the_shot_before(tmp_path):
    story = run(opened(tmp_path))
    rows = [shot.row for shot in story.shots()]
    assert [min(frame["frame"] for frame in row["keyframes"]) for row in rows] == [0, 1, 0]


@pytest.mark.parametrize(
    "frames, told",
    [
        ([images(5), images(5)], r"as one batch, not as a list \(got 2\)"),
        ([images(5, (32, 33))], r"width and height must be even \(got '33x32'\)"),
        ([images(5, (64, 32))], r"the same size as the shots before it, 32x32 \(got '32x64'\)"),
        ([None], r"the loop body gave no frames"),
        ([images(9)], r"outputs 2 frames per generated frame, but interpolation is 1 \(got 9\)"),
        ([images(1)], r"adds nothing to the 1 frames"),
        ([images(5) * float("nan")], "finite floats"),
    ],
)
def test_frames_that_cannot_be_a_shot(tmp_path, frames, told):
    loop = opened(tmp_path)
    one = own_loop.keep(loop, loop.story, BODY, [images(5)])
    with pytest.raises(StoryMemError, match=rf"^StoryMemStoryLoopClose, shot 2 \(shot-\w+\): .*{told}"):
        own_loop.keep(loop, loop.story.added(one.key), BODY, frames)


def test_a_body_that_gave_nothing_is_told(tmp_path):
    loop = opened(tmp_path)
    begun = own_loop.begin(loop, loop.story, BODY)
    with pytest.raises(StoryMemError, match=r"the loop body gave no frames \(got 'shot 1'\)"):
        own_loop.kept(loop.story.added(begun.key))


def test_a_script_goes_on_with_a_story(tmp_path):
    before = run(opened(tmp_path))
    more = script.parse("[continue] The rain stops.")
    loop = opened(tmp_path, more, project="ignored", story=before)
    begun = own_loop.begin(loop, loop.story, BODY)
    last = before.shots()[-1]
    assert (begun.number, begun.seen) == (4, last.memory_after())
    assert np.array_equal(begun.images.start, last.last(1))
    assert len(run(loop).keys) == 4
    assert not (tmp_path / "ignored").exists()


@pytest.mark.parametrize("given", ["memory", "start_frames"])
def test_a_story_takes_no_second_beginning(tmp_path, given):
    before = run(opened(tmp_path))
    other = {"memory": own_loop.kept(before), "start_frames": images(1)}[given]
    with pytest.raises(StoryMemError, match=f"takes no {given}"):
        opened(tmp_path, story=before, **{given: other})


def test_another_run_in_the_folder_is_told_at_once(tmp_path):
    (tmp_path / "ink").mkdir()
    with Project.open(tmp_path / "ink").locked(), pytest.raises(StoryMemError, match="another run"):
        opened(tmp_path)


def script_of(*shots):
    return script.parse(json.dumps({"scenes": [{"shots": [*shots]}]}))


def test_a_shot_is_given_images_and_references_of_its_own(tmp_path, picture):
    own = {"prompt": "A.", "start_image": picture, "end_image": picture, "references": ["castle"]}
    given = torch.cat([images(1), images(1, seed=1)])
    bank = with_references(MemoryBank(), given, Pixels(), ["hero", "castle"])
    loop = opened(tmp_path, script_of(own, {"prompt": "B."}), memory=bank, length=9)
    first = own_loop.begin(loop, loop.story, BODY)
    start, end = own_loop.given_images(first)
    assert (first.plan.mode, start.shape, torch.equal(start, end)) == ("i2v", (1, 48, 64, 3), True)
    seen = own_loop.memory_seen(loop, loop.story, first)
    assert [frame.origin.shot for frame in seen.frames] == ["castle"]
    stored = own_loop.keep(loop, loop.story, BODY, [images(5)])
    second = own_loop.begin(loop, loop.story.added(stored.key), BODY)
    assert [frame.origin.shot for frame in second.seen.frames[:2]] == ["hero", "castle"]


@pytest.mark.parametrize(
    "own, message",
    [
        ({"end_image": "gone.png"}, r"shot 2 .*no such image in the input folder.*'gone.png'"),
        ({"lora_strength": 0.5}, r"shot 2 .*so a shot cannot have its own LoRA.*'lora_strength'"),
        ({"references": ["dog"]}, r"shot 2 .*no reference with this name.*'dog'"),
    ],
)
def test_what_a_loop_of_ones_own_cannot_give_is_told_before_any_shot(tmp_path, own, message):
    with pytest.raises(StoryMemError, match=message):
        opened(tmp_path, script_of({"prompt": "A."}, {"prompt": "B.", **own}))


class OtherPixels(Pixels):
    name = "other pixels"


def test_of_an_empty_memory_no_embedder_has_made_anything(tmp_path):
    """So the first shot keeps its frames under another one; the next sees what that has embedded."""
    loop = opened(tmp_path)
    first = own_loop.keep(loop, loop.story, BODY, [images(5)])
    other = replace(loop, choice=replace(loop.choice, embedder=OtherPixels()))
    begun = own_loop.begin(other, other.story, BODY)
    assert begun.chosen_anew and begun.standing.shot.frames_of == first.key
