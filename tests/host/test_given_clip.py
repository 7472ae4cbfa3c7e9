"""A given clip as a story's first shot: its size and speed, the memory that it leaves, and what goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from node_calls import Pixels, images

from storymem_core.errors import StoryMemError
from storymem_core.frames.pixels import quantise
from storymem_core.keyframes.remember import with_references
from storymem_core.making import given_clip, own_loop
from storymem_core.memory.bank import MemoryBank
from storymem_core.script import script
from storymem_core.store.project import Project
from storymem_core.store.story_project import act

SAME = {"width": 32, "height": 32, "fit": "crop", "clip_fps": 16.0, "fps": 16.0, "keyframes": 2}


def add(root, clip, **change):
    return given_clip.add_clip(root, clip, embedder=Pixels(), **({"project": "ink"} | SAME | change))


def test_a_clip_is_the_first_shot_and_the_first_memory(tmp_path):
    clip = images(6)
    story = add(tmp_path, clip, prompt="A desk.")
    (shot,) = story.shots()
    assert np.array_equal(np.stack(list(shot.frames())), quantise(clip.numpy()))
    assert (shot.id, shot.dropped, shot.row["mode"], shot.row["prompt"]) == ("clip", 0, "given", "A desk.")
    assert [frame.origin.shot for frame in story.memory().load().frames] == ["clip", "clip"]
    again = add(tmp_path, clip, prompt="A desk.")
    assert (again.keys, again.reused) == (story.keys, (True,))


def test_another_clip_is_another_shot(tmp_path):
    story = add(tmp_path, images(6))
    other = add(tmp_path, images(6, seed=1))
    assert other.keys != story.keys
    assert other.shots()[0].row["changed"] == ["frames"]


def test_a_clip_of_which_other_keyframes_are_wanted_is_still_what_the_next_shot_goes_on_from(tmp_path):
    """The next shot's key has the clip's pixels, so it is found again, and its join has to be one."""
    first = add(tmp_path, images(6))
    loop = going_on(tmp_path, first)
    clip = own_loop.keep(loop, first, own_loop.Making("body"), [images(9, seed=4)])
    (other,) = add(tmp_path, images(6), keyframes=5).shots()
    assert other.key != first.keys[0]
    assert clip.repeats(other)


def test_a_locked_clip_stays(tmp_path):
    story = add(tmp_path, images(6))
    project = Project.open(story.folder)
    project.outlined(project.outline().decided("clip", held=story.keys[0], locked=True))
    again = add(tmp_path, images(6, seed=1))
    assert (again.keys, again.stale) == (story.keys, (("frames",),))


def test_a_clip_has_one_take(tmp_path):
    project = Project.open(add(tmp_path, images(6)).folder)
    project.outlined(replace(project.outline(), shots=({"shot_id": "clip", "prompt": ""},)))
    act(project, "take", "all", 1)
    with pytest.raises(StoryMemError, match="given clip, which has only one take"):
        act(project, "take", "all", 2)


def test_a_locked_clip_does_not_bring_its_old_references_along(tmp_path):
    old, new = (
        with_references(MemoryBank(), [torch.full((16, 16, 3), value)], Pixels()) for value in (0.2, 0.4)
    )
    story = add(tmp_path, images(6), memory=old)
    project = Project.open(story.folder)
    project.outlined(project.outline().decided("clip", held=story.keys[0], locked=True))
    again = add(tmp_path, images(6), memory=new)
    assert (again.keys, again.stale) == (story.keys, (("memory",),))
    assert again.memory().load().frames[0] == new.frames[0]


@pytest.mark.parametrize(
    "count, own, wanted, places",
    [
        (4, 16, 16, [0, 1, 2, 3]),
        (6, 24, 16, [0, 1, 3, 4]),
        (5, 30, 16, [0, 1, 3]),
        (3, 8, 16, [0, 0, 1, 1, 2, 2]),
        (1, 60, 16, [0]),
        (7, 23.976, 16, [0, 1, 2, 4, 5]),
    ],
)
def test_a_clip_keeps_its_speed(count, own, wanted, places):
    assert given_clip.at_rate(count, own, wanted) == places


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_clip_of_another_shape_comes_to_the_films_size(tmp_path, fit):
    clip = torch.zeros(2, 16, 64, 3)
    clip[:, :, 24:40] = 1.0  # white in the middle, black beside it
    (shot,) = add(tmp_path, clip, fit=fit).shots()
    assert shot.size == (32, 32)
    column, row = shot.pick([0])[0][:, 16, 0], shot.pick([0])[0][16, :, 0]
    assert (column[0] == 255) == (fit != "pad") and column[16] == 255
    assert (row[1] == 255) == (fit == "crop")


@pytest.mark.parametrize(
    "change, told",
    [
        ({"width": 40}, "divisible by 16"),
        ({"clip_fps": 0.0}, "fps must be above 0"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, change, told):
    with pytest.raises(StoryMemError, match=told):
        add(tmp_path, images(3), **change)
    with pytest.raises(StoryMemError, match="at least one frame"):
        add(tmp_path, images(3)[:0])


def going_on(root, story):
    return own_loop.opened(
        root, script=script.parse("[continue] A pen."), project="", length=9, seed=0, negative_prompt="",
        overlap=5, keyframes=2, embedder=Pixels(), story=story,
    )  # fmt: skip


def test_an_interpolating_body_starts_from_frames_as_far_apart_as_the_model_makes_them(tmp_path):
    """The clip is at the film's rate, like the body's own frames behind the interpolation."""
    story = add(tmp_path, images(11), clip_fps=32.0, fps=32.0)
    loop = going_on(tmp_path, story)
    making = own_loop.Making("body", interpolation=2)
    begun = own_loop.begin(loop, loop.story, making)
    assert np.array_equal(begun.images.start, story.shots()[0].last(9)[::2])
    assert begun.plan.dropped == 9


@pytest.mark.parametrize(
    ("clip", "film", "says"),
    [
        ({"clip_fps": 24.0, "fps": 24.0}, (16.0, 0), "'clip' was made for 24 fps"),
        ({}, (16.0, 7), "'clip' adds 6 frames to the film, and its cross-fades take 7"),
    ],
)
def test_a_loop_tells_at_once_that_the_clip_fits_no_film(tmp_path, clip, film, says):
    story = add(tmp_path, images(6), **clip)
    cut = own_loop.opened(
        tmp_path, script=script.parse("A pen."), project="", length=33, seed=0, negative_prompt="",
        overlap=1, keyframes=2, embedder=Pixels(), story=story,
    )  # fmt: skip
    with pytest.raises(StoryMemError, match=says):
        own_loop.check_film(cut, own_loop.Making("body"), *film)


def test_a_loop_goes_on_from_the_clip(tmp_path):
    story = add(tmp_path, images(6))
    loop = going_on(tmp_path, story)
    begun = own_loop.begin(loop, loop.story, own_loop.Making("body"))
    (clip,) = story.shots()
    assert np.array_equal(begun.images.start, clip.last(5))
    assert (begun.number, begun.seen) == (2, story.memory().load())
    assert [told["shot_id"] for told in Project.open(story.folder).outline().shots] == ["clip", begun.plan.id]


def test_a_script_cannot_have_the_clips_id(tmp_path):
    story = add(tmp_path, images(6))
    text = '{"scenes": [{"shots": [{"prompt": "A pen.", "id": "clip"}]}]}'
    with pytest.raises(StoryMemError, match=r"earlier shot of this story has the same id.*\(got 'clip'\)"):
        own_loop.opened(
            tmp_path, script=script.parse(text), project="", length=5, seed=0, negative_prompt="",
            overlap=1, keyframes=2, embedder=Pixels(), story=story,
        )  # fmt: skip
