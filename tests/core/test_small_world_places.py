"""Places of the small world: none looks like another, the owner map is whole, the camera stays inside."""

from dataclasses import replace

import numpy as np
import pytest

from storymem_core.small_world import camera, places
from storymem_core.small_world.canvas import Canvas
from storymem_core.small_world.looks import HomeLooks
from storymem_core.small_world.owners import Owner

HOME = HomeLooks(
    wall=(0.96, 0.84, 0.46),
    roof=(0.88, 0.20, 0.20),
    door=(0.18, 0.32, 0.80),
    tree_colour=(0.20, 0.55, 0.26),
    tree="round",
    props="fence",
)
OTHER = HomeLooks(
    wall=(0.68, 0.84, 0.94),
    roof=(0.50, 0.26, 0.72),
    door=(0.88, 0.20, 0.20),
    tree_colour=(0.90, 0.50, 0.20),
    tree="pine",
    props="lamp",
)
HOME_PARTS = {Owner.HOME_WALL, Owner.HOME_ROOF, Owner.HOME_DOOR, Owner.HOME_TREE}


def painted(
    place: str, time: str = "day", home: HomeLooks = HOME, framing: str = "medium", size: int = 32
) -> Canvas:
    left, top, side = camera.window(framing, "still", 0.0, 0.5)
    canvas = Canvas.new(size, left=left, top=top, side=side)
    places.draw(canvas, place, time, home)
    return canvas


def distance(one: Canvas, other: Canvas) -> float:
    """Mean absolute difference of the colours, 0..1."""
    return float(np.abs(one.rgb - other.rgb).mean())


def test_there_are_eight_places_and_a_home():
    assert len(set(places.FIXED_PLACES)) == 8
    assert (*places.FIXED_PLACES, "home") == places.PLACES
    assert places.TIMES == ("day", "evening", "night")


@pytest.mark.parametrize("framing", camera.FRAMINGS)
def test_every_place_at_every_time_looks_unlike_every_other(framing):
    seen = {
        (place, time): painted(place, time, framing=framing)
        for place in places.PLACES
        for time in places.TIMES
    }
    names = list(seen)
    pairs = {(a, b): distance(seen[a], seen[b]) for i, a in enumerate(names) for b in names[:i]}
    nearest = min(pairs, key=pairs.__getitem__)
    assert pairs[nearest] > 0.08, nearest


@pytest.mark.parametrize("place", places.PLACES)
def test_the_colours_are_colours_and_the_owners_whole(place):
    wide = painted(place, framing="wide")
    assert wide.rgb.min() >= 0 and wide.rgb.max() <= 1
    owners = set(np.unique(wide.owner))
    assert owners >= {Owner.SKY, Owner.GROUND, Owner.PROP}
    assert owners & HOME_PARTS == (HOME_PARTS if place == "home" else set())
    assert (wide.owner[0, -3:] == Owner.GROUND).mean() > 0.8


@pytest.mark.parametrize("place", places.PLACES)
def test_the_ground_is_warm_in_the_evening_and_dark_and_bluish_at_night(place):
    day, evening, night = (painted(place, time).rgb[0, -4:].mean((0, 1)) for time in places.TIMES)
    assert evening[2] / evening[0] < 0.75 * day[2] / day[0]
    assert night.mean() < 0.7 * day.mean()
    assert night[2] / night[0] > 1.4 * day[2] / day[0]


@pytest.mark.parametrize("place", places.FIXED_PLACES)
def test_a_fixed_place_is_the_same_for_every_home(place):
    assert np.array_equal(painted(place, home=HOME).rgb, painted(place, home=OTHER).rgb)


@pytest.mark.parametrize(
    ("part", "owner", "least"),
    [("wall", 3, 0.05), ("roof", 4, 0.05), ("door", 5, 0.02), ("tree_colour", 6, 0.05)],
)
@pytest.mark.parametrize("time", places.TIMES)
def test_a_colour_of_the_home_changes_a_big_part_and_nothing_else(part, owner, least, time):
    before = painted("home", time, size=128)
    after = painted("home", time, replace(HOME, **{part: getattr(OTHER, part)}), size=128)
    changed = np.abs(after.rgb - before.rgb).max(-1) > 0.1
    assert changed.mean() > least
    assert (before.owner[changed] == owner).mean() > 0.9


@pytest.mark.parametrize(
    ("part", "forms"), [("tree", ("round", "pine", "poplar")), ("props", ("fence", "flowers", "lamp"))]
)
def test_every_form_of_the_home_shows(part, forms):
    seen = [painted("home", home=replace(HOME, **{part: form})) for form in forms]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        changed = np.abs(seen[one].rgb - seen[other].rgb).max(-1) > 0.1
        assert changed.mean() > 0.02


def test_painting_the_home_is_linear_in_its_colours():
    half = tuple((a + b) / 2 for a, b in zip(HOME.wall, OTHER.wall, strict=True))
    ends = painted("home", "night").rgb + painted("home", "night", replace(HOME, wall=OTHER.wall)).rgb
    np.testing.assert_allclose(painted("home", "night", replace(HOME, wall=half)).rgb, ends / 2, atol=1e-5)


def test_characters_keep_their_colours_by_day_and_are_bluish_at_night():
    assert places.tint("day").tolist() == [1, 1, 1]
    red, _, blue = places.tint("night")
    assert 0.6 < red < blue <= 1
    red, _, blue = places.tint("evening")
    assert blue < red == 1


def test_a_reference_has_a_light_plain_ground():
    canvas = Canvas.new(16)
    places.plain(canvas)
    assert canvas.rgb.min() > 0.8
    assert canvas.rgb.std(axis=2).max() < 1e-6
    assert canvas.owner[0, 0, 0] == Owner.SKY and canvas.owner[0, -1, 0] == Owner.GROUND


@pytest.mark.parametrize("move", camera.MOVES)
@pytest.mark.parametrize("framing", camera.FRAMINGS)
@pytest.mark.parametrize("focus_x", [0.1, 0.5, 0.9])
def test_the_camera_stays_inside_what_is_painted_and_on_the_character(framing, move, focus_x):
    time = np.arange(80, dtype=np.float32).reshape(-1, 1, 1) / 16
    left, top, side = camera.window(framing, move, time, focus_x)
    assert np.min(left) >= -1 and np.max(left + side) <= 2
    assert np.min(top) >= -0.5 and np.max(top + side) <= 1.3
    seen_at = (focus_x - left) / side
    assert np.min(seen_at) >= 0.2 and np.max(seen_at) <= 0.8


@pytest.mark.parametrize("framing", camera.FRAMINGS)
def test_a_still_camera_gives_floats_so_that_one_picture_serves_all_frames(framing):
    time = np.zeros((17, 1, 1))
    assert all(isinstance(value, float) for value in camera.window(framing, "still", time, 0.3))


def test_a_still_medium_shot_is_the_unit_square():
    assert camera.window("medium", "still", 0.0, 0.4) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("framing", "top", "bottom"), [("wide", 0.35, 0.82), ("medium", 0.28, 0.88), ("close", 0.05, 1.0)]
)
def test_a_character_from_hat_to_feet_fills_what_the_framing_says(framing, top, bottom):
    _, high, side = camera.window(framing, "still", 0.0, 0.5)
    hat, feet = (0.30 - high) / side, (places.GROUND - high) / side
    assert hat >= top
    assert feet > 1 if framing == "close" else feet <= bottom


def test_a_pan_goes_right_and_a_push_goes_in():
    left, _, side = camera.window("medium", "pan", np.array([0.0, 1.0]), 0.5)
    assert np.diff(left) == pytest.approx(0.25) and side == 1.0
    _, _, side = camera.window("medium", "push", np.array([0.0, 1.0]), 0.5)
    assert side.tolist() == [1.0, 0.75]
