"""Joins of a film: what jumps is measured, and drifted colours are led over."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import Told, make, noise, scene, tell

from storymem_core.errors import StoryMemError
from storymem_core.film import film, movie, seams
from storymem_core.film.publish import publish
from storymem_core.film.seams import colours, distance, measure
from storymem_core.store.project import Project


def drifted(frames: np.ndarray, gain: float = 0.8, shift: tuple[int, int, int] = (20, 12, -6)) -> np.ndarray:
    """Frames as a model might hand them on: another contrast, another tint."""
    return np.round(128 + gain * (frames.astype(float) - 128) + shift).clip(0, 255).astype(np.uint8)


def pair(tmp_path, overlap: int = 5, shot=drifted):
    """A shot, and one that goes on from it with drifted colours: the true frames of it beside."""
    project, frames = Project.open(tmp_path / "story"), scene(1, 9 + 8)
    true = frames[9 - overlap :]
    before = make(project, Told("a", frames[:9]))
    return before, make(project, Told("b", shot(true), dropped=overlap)), true[overlap:]


# Correction


@pytest.mark.parametrize("overlap", [1, 5])
def test_drift_is_taken_back_and_comes_back_little_by_little(tmp_path, overlap):
    before, after, true = pair(tmp_path, overlap)
    made = drifted(true)
    frames = [*film.shown(before, after, 4)]
    assert np.abs(frames[0].astype(int) - true[0]).max() <= 2, "the first frame is as if nothing had drifted"
    away = [np.abs(frame.astype(int) - made[place]).mean() for place, frame in enumerate(frames)]
    assert away[0] > away[1] > away[2] > away[3] > away[4] == 0
    assert all(np.array_equal(*pair) for pair in zip(frames[4:], made[4:], strict=True))


def test_what_did_not_drift_stays(tmp_path):
    before, after, true = pair(tmp_path, shot=lambda frames: frames)
    assert np.array_equal(np.stack([*film.shown(before, after, 8)]), true)


def test_a_cut_a_first_shot_and_a_match_over_no_frames_are_left_alone(tmp_path):
    before, after, _ = pair(tmp_path)
    cut = make(Project.open(tmp_path / "story"), Told("c", scene(2, 9)))
    for first, shot, frames in ((before, cut, 8), (None, after, 8), (before, after, 0)):
        assert seams.correction(first, shot, frames) is None
    with pytest.raises(StoryMemError, match="colour_match must be a whole number >= 0"):
        seams.correction(before, after, -1)


def test_a_channel_without_contrast_is_only_shifted(tmp_path):
    project = Project.open(tmp_path / "story")
    before = make(project, Told("a", np.full((5, 16, 32, 3), 100, np.uint8)))
    after = make(project, Told("b", np.full((5, 16, 32, 3), 90, np.uint8), dropped=1))
    assert np.array_equal(next(film.shown(before, after, 4)), np.full((16, 32, 3), 100))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 5))
def test_corrected_colours_are_the_true_ones(one, other, frames):
    made, true = noise(one, 1) // 2 + 64, noise(other, 1) // 3 + 80
    corrected = seams.Correction(colours(made), colours(true), frames)(made[0], 0)
    assert distance(colours([corrected]), colours(true)) < 0.6, "half a step of rounding"


# Measure


def test_nothing_jumps_where_all_goes_on_as_it_was():
    ramp = np.arange(4, dtype=np.uint8)[:, None, None, None] * 3 + np.zeros((1, 16, 32, 3), np.uint8)
    seam = measure(ramp[:2], ramp[2:])
    assert seam == pytest.approx((3.0, 0.0, 3.0, 3.0, 3.0), abs=1e-4)
    still = np.broadcast_to(ramp[:1], (4, 16, 32, 3))
    assert measure(still[:2], still[2:]) == (0, 0, 0, 0, 0)


def test_each_kind_of_jump_has_its_number():
    frames = scene(1, 6)
    smooth = measure(frames[:2], frames[2:4])
    tinted = measure(frames[:2], drifted(frames[2:4], gain=1.0))
    assert tinted.colour > smooth.colour + 10
    halting = measure(frames[:2], frames[[2, 2]])
    assert halting.motion > smooth.motion and halting.after == 0
    assert halting.colour == smooth.colour


def test_shots_of_a_single_frame_have_no_step_to_compare_with():
    frames = scene(1, 3)
    assert measure(frames[:1], frames[1:2])[1:3] == (None, None)
    assert measure(frames[:1], frames[1:3]).before is None
    assert measure(frames[:2], frames[2:3]).after is None


def test_colours_of_many_frames_are_those_of_all_their_pixels():
    frames = noise(5, 4)
    luma = frames @ np.array([0.2126, 0.7152, 0.0722])
    told = colours(frames)
    assert (told.mean[0], told.spread[0]) == pytest.approx((luma.mean(), luma.std()))
    assert colours(np.full((1, 8, 8, 3), 70, np.uint8)) == (pytest.approx([70, 0, 0]), pytest.approx([0] * 3))


# In the film and in story.json


def test_a_shot_behind_another_than_it_goes_on_from_is_left_as_it_is(tmp_path):
    told = [Told("a", noise(1)), Told("b", noise(2), dropped=1), Told("c", noise(3))]
    one, two, other = tell(tmp_path / "story", told).shots()
    made_for_one = replace(two, row={**two.row, "follows": one.key})
    assert seams.correction(one, made_for_one, 4) is not None
    assert seams.correction(other, made_for_one, 4) is None


def test_a_shot_goes_on_from_the_same_frames_under_another_key(tmp_path):
    """Its memory changed, so the shot before was stored once more: with other keyframes and these frames."""
    one, two = tell(tmp_path / "story", [Told("a", noise(1)), Told("b", noise(2), dropped=1)]).shots()
    made_for_one = replace(two, row={**two.row, "follows": one.key})
    again = replace(one, key="0" * 64)
    assert seams.correction(again, made_for_one, 4) is None
    with_its_frames = replace(again, row={**one.row, "frames_of": one.key})
    assert seams.correction(with_its_frames, made_for_one, 4) is not None


@pytest.fixture
def story(tmp_path):
    frames = scene(1, 18)
    shots = [
        Told("a", frames[:9]),
        Told("b", drifted(frames[8:15]), dropped=1, seed=1),
        Told("c", scene(2, 5), seed=2),
    ]
    return tell(tmp_path / "story", shots)


def test_every_join_is_measured(story):
    publish(story)
    told = json.loads(Path(story.folder, "story.json").read_text())
    assert told["colour_match"] == 0
    joins = told["seams"]
    assert [(join["after_shot"], join["cut"]) for join in joins] == [(1, False), (2, True)]
    assert [set(join) for join in joins] == [{"after_shot", "cut", *seams.Seam._fields}] * 2
    one, two, _ = story.shots()
    expected = measure(one.pick([7, 8]), two.pick([1, 2]))
    assert [joins[0][name] for name in seams.Seam._fields] == pytest.approx(list(expected), abs=1e-3)
    publish(story, colour_match=4)
    matched = json.loads(Path(story.folder, "story.json").read_text())
    assert matched["colour_match"] == 4
    assert matched["seams"][0]["colour"] < joins[0]["colour"] / 4
    assert matched["seams"][1] == joins[1]


def test_film_and_clip_are_matched_and_nothing_else(story, monkeypatch):
    publish(story)
    folder = Path(story.folder)
    files = ("film.mp4", "contact_sheet.png", "shots/001.mp4", "shots/002.mp4", "shots/003.mp4")
    before = {name: (folder / name).read_bytes() for name in files}
    publish(story, colour_match=4)
    changed = {name for name in files if (folder / name).read_bytes() != before[name]}
    assert changed == {"film.mp4", "shots/002.mp4"}
    one, two, three = story.shots()
    shown = [*film.shown(None, one, 4), *film.shown(one, two, 4), *film.shown(two, three, 4)]
    assert np.array_equal(np.stack([*film.join((one, two, three), 0, 4)]), np.stack(shown))
    monkeypatch.setattr(movie, "write", lambda *_: pytest.fail("encoded again"))
    publish(story, colour_match=4)
