"""Lengths, overlaps and what a shot hands on."""

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.frames.counts import dropped, is_length, latent_frames, next_start


@pytest.mark.parametrize(("length", "latent"), [(1, 1), (5, 2), (9, 3), (17, 5), (77, 20), (81, 21)])
def test_latent_frames(length, latent):
    assert latent_frames(length) == latent


@pytest.mark.parametrize("length", [0, -3, 2, 80, 82, 84, True, 81.0, "81", None])
def test_other_lengths_are_refused(length):
    assert not is_length(length)
    with pytest.raises(StoryMemError, match="a length must be a whole number of the form 4k\\+1"):
        latent_frames(length)


@pytest.mark.parametrize(("length", "remedy"), [(80, "77 or 81"), (82, "81 or 85"), (0, "1 or 5")])
def test_the_nearest_lengths_are_offered(length, remedy):
    with pytest.raises(StoryMemError, match=f"got {length}.*Use {remedy}"):
        latent_frames(length)


def test_frames_left_of_81_are_those_of_the_paper():
    assert 81 - dropped(cut=True, overlap=1) == 81
    assert 81 - dropped(cut=True, overlap=5) == 81
    assert 81 - dropped(cut=False, overlap=1) == 80
    assert 81 - dropped(cut=False, overlap=5) == 76


@pytest.mark.parametrize("overlap", [0, 2, 4, True])
def test_an_overlap_is_a_length_too(overlap):
    with pytest.raises(StoryMemError, match="an overlap must be"):
        dropped(cut=False, overlap=overlap)
    with pytest.raises(StoryMemError, match="an overlap must be"):
        next_start([0] * 9, overlap)


def test_the_last_frames_are_handed_on_in_order():
    frames = list(range(17))
    assert next_start(frames, 1) == [16]
    assert next_start(frames, 5) == [12, 13, 14, 15, 16]
    assert next_start(frames, 17) == frames == list(range(17))


def test_a_shot_cannot_hand_on_more_than_it_has():
    with pytest.raises(StoryMemError, match="a shot of 5 frames is too short to hand on its last 9"):
        next_start(list(range(5)), 9)
