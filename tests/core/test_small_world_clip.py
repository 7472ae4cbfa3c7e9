"""The small world's clips: the same bytes each time, and true about who owns each pixel."""

from dataclasses import replace

import numpy as np
import pytest

from storymem_core.small_world import camera, clip, places, scene
from storymem_core.small_world.actions import ACTIONS, PACE
from storymem_core.small_world.canvas import Canvas
from storymem_core.small_world.looks import random_cast
from storymem_core.small_world.owners import parts
from storymem_core.small_world.scene import FPS, Scene, continued

CAST = random_cast(np.random.default_rng(7))
WALK = Scene("beach", "day", "walks", x0=0.2, speed=0.9, phase=0.4)


def scenes(count, **fixed):
    return [scene.random(np.random.default_rng(seed), **fixed) for seed in range(count)]


def shown(owners, kind):
    """How many pixels of each frame are a character's."""
    return np.isin(owners, parts(kind)).sum((1, 2))


def render(row, length=17):
    return clip.render(row, CAST, size=32, length=length)


def test_the_same_scene_and_cast_give_the_same_bytes():
    for row in scenes(6):
        one, other = render(row), render(row)
        assert (
            one.frames.tobytes() == other.frames.tobytes() and one.owners.tobytes() == other.owners.tobytes()
        )
        assert one.frames.shape == (17, 32, 32, 3) and one.frames.dtype == np.uint8 == one.owners.dtype
        assert one.owners.shape == (17, 32, 32) and (one.scene, one.cast) == (row, CAST)


def test_a_longer_clip_begins_like_a_short_one():
    for row in scenes(6):
        short, long = render(row), render(row, 33)
        assert len(long.frames) == 33
        np.testing.assert_array_equal(long.frames[:17], short.frames)


@pytest.mark.parametrize("move", camera.MOVES)
def test_a_background_is_what_the_camera_sees_in_every_frame(move):
    row = replace(WALK, move=move, framing="wide", start=0.5)
    made = clip.background(row, CAST, 32, 17)
    time = (0.5 + np.arange(17) / FPS).reshape(-1, 1, 1)
    left, top, side = camera.window("wide", move, time, row.focus)
    truth = Canvas.new(32, left=left, top=top, side=side, frames=17)
    places.draw(truth, row.place, row.time, CAST.home)
    np.testing.assert_array_equal(made.rgb, truth.rgb)
    np.testing.assert_array_equal(made.owner, truth.owner)


@pytest.mark.parametrize("overlap", [1, 5])
@pytest.mark.parametrize("length", [17, 33])
def test_a_continued_clip_starts_with_the_last_frames(overlap, length):
    for row in scenes(8, spoil="blur"):
        before = render(row, length)
        after = render(continued(row, length, overlap))
        np.testing.assert_array_equal(after.frames[:overlap], before.frames[-overlap:])
        np.testing.assert_array_equal(after.owners[:overlap], before.owners[-overlap:])


@pytest.mark.parametrize("overlap", [1, 5])
@pytest.mark.parametrize("facing", [-1, 1])
def test_at_another_tempo_the_walk_goes_on_from_where_it_was(overlap, facing):
    before = continued(replace(WALK, facing=facing), 17, overlap, speed=0.7)
    after = continued(before, 17, overlap, speed=0.3)

    def place(walk):
        ((_, _, pose),) = clip.actors(walk, CAST, walk.start + np.arange(17) / FPS)
        return pose.x.ravel()

    assert place(after)[overlap - 1] == pytest.approx(place(before)[-1], abs=1e-6)
    np.testing.assert_allclose(np.diff(place(after)), facing * 0.3 * PACE / FPS, atol=1e-6)
    np.testing.assert_allclose(np.diff(place(before)), facing * 0.7 * PACE / FPS, atol=1e-6)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_moves_and_goes_on_at_another_tempo(action):
    row = Scene("desert", "day", action, phase=0.1)
    before, after = render(row), render(continued(row, 17, 1, speed=0.5))
    assert (before.frames != before.frames[0]).any()
    np.testing.assert_array_equal(after.frames[0], before.frames[-1])
    np.testing.assert_array_equal(after.frames[16], render(row, 33).frames[24])


def test_the_newcomer_comes_in_the_middle_of_the_shot_and_stays():
    for row in scenes(40, who="hero", newcomer=True):
        friend = shown(render(row).owners, "friend")
        assert 4 <= np.argmax(friend > 0) <= 11 and not friend[:4].any(), row
        assert friend[-3:].min() > 15, row


def test_who_acts_is_who_is_seen():
    seen = {"hero": (True, False), "friend": (False, True), "both": (True, True)}
    for who, (hero, friend) in seen.items():
        for row in scenes(6, who=who, newcomer=False):
            owners = render(row).owners
            assert (shown(owners, "hero").min() > 20, shown(owners, "friend").min() > 15) == (hero, friend), (
                row
            )


@pytest.mark.parametrize("spoil", ["blur", "flash"])
def test_spoiled_frames_are_some_and_the_truth_about_them_is_kept(spoil):
    for row in scenes(5, spoil="none"):
        good, bad = render(row), render(replace(row, spoil=spoil))
        np.testing.assert_array_equal(good.owners, bad.owners)
        hit = (good.frames != bad.frames).any((1, 2, 3))
        assert 4 <= hit.sum() <= 9
        if spoil == "flash":
            assert (bad.frames[hit].min() >= 0.75 * 255 - 1) and bad.frames[hit].mean() > good.frames[
                hit
            ].mean()
        else:
            assert sharpness(bad.frames[hit]) < 0.5 * sharpness(good.frames[hit])


def sharpness(frames):
    return np.abs(np.diff(frames.astype(float), axis=2)).mean()


def test_a_reference_shows_the_character_on_a_plain_ground():
    hero = clip.reference(CAST.hero, "hero", 64)
    assert hero.shape == (64, 64, 3) and hero.dtype == np.uint8
    assert hero[:8].std(axis=(0, 1)).max() < 3 and hero[:8].mean() > 220
    body = np.array(CAST.hero.body) * 255
    assert (np.abs(hero - body).max(-1) < 3).sum() > 60
    assert (hero != clip.reference(CAST.friend, "hero", 64)).any()
    assert (hero != clip.reference(CAST.hero, "friend", 64)).any()


def test_a_random_scene_keeps_what_is_fixed():
    fixed = {"place": "home", "action": "sits", "framing": "close", "who": "both", "x0": 0.123}
    for row in scenes(20, **fixed):
        assert fixed.items() <= vars(row).items()
    assert not any(row.framing == "close" for row in scenes(200) if row.who == "both" or row.newcomer)
