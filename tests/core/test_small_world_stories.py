"""The small world's stories: what a seed gives, and those that were written by hand."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from storymem_core.errors import StoryMemError
from storymem_core.models.vocabulary import split
from storymem_core.script import plan as story
from storymem_core.script import script as scripts
from storymem_core.small_world import clip, grammar, stories
from storymem_core.small_world.parts import MIDDLE

SAMPLES = [stories.sample(seed) for seed in range(600)]
CLIPS = [row for told in SAMPLES for row in told.clips]
HANDWRITTEN = stories.handwritten()


def share(test, rows):
    return np.mean([test(row) for row in rows])


def test_a_seed_is_a_story():
    assert stories.sample(5) == SAMPLES[5]
    assert len({told.cast for told in SAMPLES}) == len(SAMPLES)
    assert all(len(told.clips) == 6 for told in SAMPLES)
    assert stories.plan(5)[1] != stories.sample(5).cast


@pytest.mark.parametrize(
    ("field", "shares"),
    [
        ("who", {"hero": 0.7, "both": 0.18, "friend": 0.12}),
        ("newcomer", {True: 0.15}),
        ("framing", {"wide": 0.25, "medium": 0.45, "close": 0.3}),
        ("move", {"still": 0.6, "pan": 0.2, "push": 0.2}),
        ("spoil", {"none": 0.92, "blur": 0.04, "flash": 0.04}),
        ("time", {"day": 1 / 3, "evening": 1 / 3, "night": 1 / 3}),
    ],
)
def test_what_is_frequent(field, shares):
    found = Counter(getattr(row, field) for row in CLIPS)
    for value, expected in shares.items():
        assert found[value] / len(CLIPS) == pytest.approx(expected, abs=0.03), value


def test_a_part_of_the_world_holds_nothing_else():
    for seed in range(40):
        told = stories.sample(seed, MIDDLE)
        assert told.cast == SAMPLES[seed].cast
        for name, choices in MIDDLE:
            assert {getattr(row, name) for row in told.clips} <= set(choices), name
    actions = {row.action for seed in range(40) for row in stories.sample(seed, MIDDLE).clips}
    assert actions == set(dict(MIDDLE)["action"])


def test_half_of_the_stories_leave_home_and_come_back():
    def homes(told):
        return [row.place == "home" for row in told.clips if row.start == 0]

    assert share(lambda told: sum(homes(told)) == 2, SAMPLES) == pytest.approx(0.5, abs=0.06)
    for told in SAMPLES:
        assert sum(homes(told)) in (0, 2) and (True, True) not in pairwise(homes(told))


def test_places_differ():
    for told in SAMPLES:
        places = [row.place for row in told.clips if row.start == 0 and row.place != "home"]
        assert len(set(places)) == len(places)


def test_the_friend_is_not_alone_when_first_seen():
    for told in SAMPLES:
        first = next((row for row in told.clips if row.newcomer or row.who != "hero"), None)
        assert first is None or first.who != "friend"


def test_a_third_of_the_stories_has_a_pair_that_goes_on():
    pairs = [(a, b) for told in SAMPLES for a, b in pairwise(told.clips) if b.start > 0]
    assert len(pairs) / len(SAMPLES) == pytest.approx(1 / 3, abs=0.06)
    assert {b.start for _, b in pairs} == {12 / 16, 1.0}
    assert all(grammar.attributes(a) == grammar.attributes(b) and not a.newcomer for a, b in pairs)
    walks = [a.speed == b.speed for a, b in pairs if a.action == "walks"]
    assert 0.2 < np.mean(walks) < 0.8


def test_a_character_stays_in_view():
    """The middle of whoever acts, from a clip's first frame to its last."""
    seen = []
    for told in SAMPLES[:60]:
        for row in told.clips:
            owners = clip.render(row, told.cast, size=24).owners
            seen.append(((owners >= 10).sum((1, 2)) / owners[0].size).min())
    assert min(seen) > 0.02


@pytest.mark.parametrize("seed", range(40))
def test_a_script_tells_its_scenes(seed):
    script, _, scenes = stories.plan(seed)
    assert script == stories.script(seed) == scripts.parse(scripts.dumps(script))
    assert len(script.shots) == len(scenes) == 8
    assert [grammar.read(shot.prompt) for shot in script.shots] == [grammar.attributes(row) for row in scenes]
    assert [shot.cut for shot in script.shots] == [row.start == 0 for row in scenes]
    assert script.shots[0].cut and scenes[0].who == "hero" and not scenes[0].newcomer
    assert all(row.spoil == "none" for row in scenes)
    assert 1 <= sum(not shot.cut for shot in script.shots) <= 2
    for before, after in pairwise(script.shots):
        assert after.scene == before.scene + after.cut
    assert len(story.plan(script)) == 8


def test_a_script_is_as_long_as_asked():
    assert [len(stories.script(1, shots).shots) for shots in (1, 2, 24)] == [1, 2, 24]
    with pytest.raises(StoryMemError, match="at least one shot"):
        stories.script(1, 0)


def test_more_than_a_dozen_stories_are_written_by_hand():
    assert len(HANDWRITTEN) == 13
    assert len({script.name for script in HANDWRITTEN.values()}) == 13
    assert all(script.overview for script in HANDWRITTEN.values())


@pytest.mark.parametrize("name", HANDWRITTEN)
def test_a_handwritten_story_can_be_told(name):
    script = HANDWRITTEN[name]
    assert 6 <= len(script.shots) <= 10
    assert len(story.plan(script)) == len(script.shots)
    said = [grammar.read(shot.prompt) for shot in script.shots]
    assert all(None not in row.values() for row in said)
    assert len({row["place"] for row in said}) >= 3
    assert sum(not shot.cut for shot in script.shots) >= 1
    for (shot, row), (after, next_row) in pairwise(zip(script.shots, said, strict=True)):
        assert after.cut or (row == next_row and after.scene == shot.scene)
    first = next((row for row in said if row["newcomer"] or row["who"] != "hero"), None)
    assert first is None or first["newcomer"]
    assert all(len(split(shot.prompt)) < 48 for shot in script.shots)
