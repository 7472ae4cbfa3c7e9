"""The small world's characters: who they are, how they move, and that painting is linear in their colours."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from storymem_core.small_world.actions import ACTIONS, FLOOR, Pose, pose
from storymem_core.small_world.canvas import Canvas
from storymem_core.small_world.characters import colours, draw
from storymem_core.small_world.looks import Looks, alike, random_cast
from storymem_core.small_world.owners import Owner, parts

KINDS = ("hero", "friend")
FIELDS = ("body", "pattern_colour", "hat_colour", "limbs")
ZERO = dict.fromkeys(FIELDS, (0.0, 0.0, 0.0))
LOOKS = Looks((0.9, 0.5, 0.1), (0.1, 0.3, 0.8), (0.9, 0.1, 0.2), (0.2, 0.6, 0.3))
TIME = np.arange(17) / 16


def paint(looks, posed, kind="hero", ground=0.0, frames=1, size=64, **light):
    canvas = Canvas.new(size, frames=frames)
    canvas.rgb[:] = ground
    draw(canvas, looks, posed, kind, **light)
    return canvas


def acted(action, looks=LOOKS, kind="hero", **how):
    return paint(looks, pose(action, TIME, **how), kind, frames=len(TIME))


def some_looks(count):
    for seed in range(count):
        cast = random_cast(np.random.default_rng(seed))
        yield "hero", cast.hero
        yield "friend", cast.friend


def test_a_seed_is_one_cast_and_another_is_another():
    first, again, other = (random_cast(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_colours_that_lie_side_by_side_are_never_alike():
    for seed in range(300):
        cast = random_cast(np.random.default_rng(seed))
        for looks in (cast.hero, cast.friend):
            three = (looks.body, looks.pattern_colour, looks.hat_colour)
            assert not any(alike(a, b) for a, b in combinations(three, 2))
            assert not alike(looks.body, looks.limbs)
        assert not alike(cast.hero.body, cast.friend.body)
        assert not alike(cast.home.wall, cast.home.roof)


def test_alike_knows_two_greens_from_green_and_red():
    assert alike((0.1, 0.6, 0.3), (0.2, 0.7, 0.3))
    assert not alike((0.1, 0.6, 0.3), (0.9, 0.2, 0.2))


@pytest.mark.parametrize("action", ACTIONS)
def test_painting_is_linear_in_the_four_colours(action):
    for kind, looks in some_looks(4):
        posed = pose(action, TIME[:3] + 0.3, phase=0.2)
        whole, nothing = (paint(one, posed, kind, 0.7, 3).rgb for one in (looks, replace(looks, **ZERO)))
        mixed = nothing.copy()
        for field in FIELDS:
            one_hot = replace(looks, **(ZERO | {field: (1.0, 1.0, 1.0)}))
            mixed += (paint(one_hot, posed, kind, 0.7, 3).rgb - nothing) * np.float32(getattr(looks, field))
        np.testing.assert_allclose(mixed, whole, atol=1e-5)


def test_the_light_tints_all_of_a_character():
    bright = paint(LOOKS, Pose()).rgb
    dim = paint(LOOKS, Pose(), tint=(0.5, 0.6, 0.9)).rgb
    np.testing.assert_allclose(dim, bright * np.float32((0.5, 0.6, 0.9)), atol=1e-6)


@pytest.mark.parametrize("action", ACTIONS)
def test_each_pixel_of_a_character_is_its_own_and_no_other_is(action):
    for kind, looks in some_looks(4):
        posed = pose(action, TIME, x0=0.35, phase=0.1)
        canvas = paint(looks, posed, kind, 0.0, frames=17)
        seen_through = paint(looks, posed, kind, 1.0, frames=17).rgb[..., 0] - canvas.rgb[..., 0]
        assert set(np.unique(canvas.owner)) - {Owner.SKY} == set(parts(kind))
        assert np.all(canvas.owner[seen_through < 0.1] != Owner.SKY)
        assert np.all(seen_through[canvas.owner != Owner.SKY] <= 0.5 + 1e-6)


def test_a_part_that_is_wholly_covered_has_the_colour_of_its_looks():
    canvas = paint(LOOKS, Pose(), size=128)
    for owner, colour in colours(LOOKS, "hero").items():
        plain = np.abs(canvas.rgb - np.float32(colour)).max(-1) < 1e-5
        assert plain[canvas.owner == owner].mean() > 0.2
        assert np.all(canvas.owner[plain] == owner)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", ["small", "round", "tall"])
def test_feet_are_on_the_ground_but_for_a_jump(kind, build):
    looks = replace(LOOKS, build=build)
    standing = np.flatnonzero(paint(looks, Pose(), kind, size=256).owner[0].any(axis=1))
    assert (standing[-1] + 1) / 256 == pytest.approx(FLOOR, abs=0.006)
    for action in ACTIONS:
        owned = acted(action, looks, kind).owner != Owner.SKY
        lowest = np.array([np.flatnonzero(frame.any(axis=1))[-1] + 1 for frame in owned]) / 64
        if action == "jumps":
            assert np.ptp(lowest) > 0.1
        else:
            assert np.all(np.abs(lowest - FLOOR) < 0.035), (action, lowest)


@pytest.mark.parametrize("kind", KINDS)
def test_no_action_looks_like_another(kind):
    seen = {action: acted(action, kind=kind, x0=0.5).owner for action in ACTIONS}
    for one, other in combinations(ACTIONS, 2):
        differs = (seen[one] != seen[other]).sum(axis=(1, 2)) / (seen[one] > 0).sum(axis=(1, 2))
        assert differs.mean() > 0.25, (one, other, differs.mean())


def test_only_a_walk_goes_anywhere_and_it_goes_where_it_faces():
    for action in ACTIONS:
        for facing in (-1, 1):
            x = np.broadcast_to(pose(action, TIME, facing=facing).x, (17, 1, 1)).ravel()
            gone = facing * (x[-1] - x[0])
            assert gone == pytest.approx(0.32 if action == "walks" else 0, abs=0.061), action


def test_all_frames_at_once_are_the_frames_one_by_one():
    for action in ACTIONS:
        together = acted(action, phase=0.15, facing=-1)
        for k in (0, 7, 16):
            alone = paint(LOOKS, pose(action, TIME[k : k + 1], phase=0.15, facing=-1))
            np.testing.assert_allclose(together.rgb[k], alone.rgb[0], atol=1e-4)
            assert np.mean(together.owner[k] != alone.owner[0]) < 2e-3


def test_eyes_are_shut_in_sleep_and_open_in_a_jump():
    assert np.all(pose("sleeps", TIME).eyes_open == 0)
    assert np.all(pose("jumps", TIME).eyes_open == 1)
    awake, asleep = (paint(LOOKS, Pose(eyes_open=opened), size=128).rgb for opened in (1.0, 0.0))
    assert (awake.min(-1) > 0.97).sum() > 20
    assert (asleep.min(-1) > 0.97).sum() == 0


def test_the_hero_is_taller_than_the_friend():
    tall, small = (np.count_nonzero(paint(LOOKS, Pose(), kind).owner[0].any(axis=1)) / 64 for kind in KINDS)
    assert 0.45 < tall < 0.65
    assert small < tall - 0.03
