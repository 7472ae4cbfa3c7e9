"""Who is seen in a clip: right on true clips, wherever the hero is, whatever the frames went through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from storymem_core.small_world import clip, looks, measure
from storymem_core.small_world.actions import ACTIONS, pose
from storymem_core.small_world.canvas import Canvas
from storymem_core.small_world.characters import draw
from storymem_core.small_world.fitting import blurred
from storymem_core.small_world.layers import PARTS, layers
from storymem_core.small_world.scene import Scene

CAST = looks.random_cast(np.random.default_rng(3))
OTHER = looks.random_cast(np.random.default_rng(4)).hero
SCENE = Scene("beach", "day", "waves", x0=0.42, phase=0.3, focus=0.5)


def seen(scene: Scene, spoil=lambda frames: frames, size: int = 64) -> measure.Seen:
    return measure.see(spoil(clip.render(scene, CAST, size=size).frames), scene)


def error(scene: Scene, spoil=lambda frames: frames) -> float:
    return seen(scene, spoil).identity_error(CAST.hero)


def noisy(frames: np.ndarray) -> np.ndarray:
    """Blurred by 0.7 pixels, and noise of 8 of 255 on top."""
    soft = blurred(frames.astype(np.float32), 0.7)
    rough = soft + np.random.default_rng(0).normal(0, 8, frames.shape)
    return rough.clip(0, 255).astype(np.uint8)


def test_a_character_taken_apart_is_the_one_that_is_drawn():
    canvas = Canvas.new(48, frames=2)
    canvas.rgb[...] = (0.3, 0.5, 0.7)
    posed, light = pose("jumps", np.array([0.0, 0.4]), phase=0.2), np.array([0.7, 0.8, 0.9])
    part = layers(canvas, CAST.hero, posed)
    colours = np.array([getattr(CAST.hero, name) for name in PARTS])
    again = part.over(canvas.rgb.copy(), colours, light)
    draw(canvas, CAST.hero, posed, tint=light)
    assert np.abs(again - canvas.rgb).max() < 1e-5


@pytest.mark.parametrize("action", ACTIONS)
def test_a_true_clip_is_seen_as_it_is(action):
    scene = replace(SCENE, action=action, place="castle", time="evening", facing=-1, x0=0.55)
    found = seen(scene)
    assert found.identity_error(CAST.hero) < 0.03
    assert found.identity_error(OTHER) > 0.3
    assert (found.place, found.time, found.action) == ("castle", "evening", action)
    assert (found.looks.build, found.looks.hat) == (CAST.hero.build, CAST.hero.hat)
    assert found.looks.body == pytest.approx(CAST.hero.body, abs=0.03)


def test_where_the_hero_stands_does_not_matter():
    errors = [error(replace(SCENE, x0=x0)) for x0 in (0.25, 0.5, 0.75)]
    assert max(errors) < 0.02


@pytest.mark.parametrize("framing, move", [("wide", "pan"), ("close", "push"), ("medium", "push")])
def test_from_where_it_is_seen_does_not_matter(framing, move):
    assert error(replace(SCENE, framing=framing, move=move, time="night")) < 0.03


def test_blur_and_noise_change_little():
    assert error(SCENE, noisy) < 0.05


def test_a_shifted_clip_is_the_same_hero():
    """As a model may paint it: all of the picture a little aside from where any scene would have it."""
    assert error(SCENE, lambda frames: np.roll(frames, 3, axis=2)) < 0.04


def test_another_hero_in_the_clip_is_the_one_that_is_seen():
    frames = clip.render(SCENE, replace(CAST, hero=OTHER)).frames
    found = measure.see(frames, SCENE)
    assert found.identity_error(OTHER) < 0.02
    assert found.identity_error(CAST.hero) > 0.3


def test_a_larger_clip_gives_the_same():
    assert seen(SCENE, size=128).identity_error(CAST.hero) < 0.02


def test_a_friend_and_a_home_are_found_when_asked_for():
    scene = replace(SCENE, who="friend", place="home")
    found = measure.see(clip.render(scene, CAST).frames, scene, CAST.home, "friend")
    assert found.place == "home"
    assert found.identity_error(CAST.friend) < 0.03
    assert found.identity_error(CAST.hero) > 0.2


def test_the_frames_are_left_alone():
    frames = clip.render(SCENE, CAST).frames
    before = frames.copy()
    measure.see(frames, SCENE)
    assert np.array_equal(frames, before)
