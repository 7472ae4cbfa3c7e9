"""The small world's English: what a text says is what is seen, and no text fails."""

import hashlib
import re
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storymem_core.models.vocabulary import split
from storymem_core.small_world import grammar, scene, words
from storymem_core.small_world.actions import ACTIONS
from storymem_core.small_world.camera import FRAMINGS, MOVES
from storymem_core.small_world.grammar import attributes, prompt, read
from storymem_core.small_world.places import PLACES, TIMES
from storymem_core.small_world.scene import Scene

NOTHING = dict.fromkeys(("place", "time", "action", "framing", "who")) | {"move": "still", "newcomer": False}


def random_scene(seed):
    rng = np.random.default_rng(seed)
    return scene.random(rng, place=str(rng.choice(PLACES))), rng


@given(st.integers(0, 2**32))
def test_a_text_says_all_attributes_and_nothing_else(seed):
    row, rng = random_scene(seed)
    for text in (prompt(row), prompt(row, rng)):
        assert read(text) == attributes(row), text
        assert 1 <= len(re.findall(r"[.]", text)) <= 3 and text[0].isupper() and text.endswith(".")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Scene("forest", "night", "walks"), "Medium shot: the hero walks through the forest at night."),
        (
            Scene("home", "day", "sleeps", "wide", "pan", "both"),
            "Wide shot: the hero and the friend sleep by the house by day. The camera pans.",
        ),
        (
            Scene("beach", "night", "waves", "close", "push", newcomer=True),
            "Close shot: the hero waves on the beach at night. A friend comes in. The camera pushes in.",
        ),
    ],
)
def test_the_plain_wording(row, text):
    assert prompt(row) == text


def test_texts_differ_but_a_seed_gives_the_same():
    row, _ = random_scene(3)
    texts = [prompt(row, np.random.default_rng(seed)) for seed in range(100)]
    assert len(set(texts)) > 60
    assert texts == [prompt(row, np.random.default_rng(seed)) for seed in range(100)]


def test_every_value_can_be_said():
    assert set(grammar.SETTINGS) == set(PLACES) and set(grammar.TIMES) == set(TIMES)
    assert set(grammar.ACTIONS) == set(grammar.TOGETHER) == set(ACTIONS)
    assert set(grammar.FRAMINGS) == set(FRAMINGS) and set(grammar.MOVES) == set(MOVES)


@pytest.mark.parametrize(
    "table",
    [grammar.TIMES, grammar.ACTIONS, grammar.TOGETHER, grammar.FRAMINGS, grammar.MOVES, grammar.CASTS],
)
def test_no_phrase_says_two_things(table):
    phrases = list(chain.from_iterable(table.values()))
    assert len(set(phrases)) == len(phrases)


def test_looks_are_never_in_a_text():
    looks = """
    red orange yellow lime green teal blue violet pink brown cream rose lilac small round tall cap cone bow
    crown plain stripes spots bib sleepy glasses pine poplar fence flowers lamp wall roof door tree"""
    assert not grammar.WORDS & set(looks.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("🦊🦊 !?", {}),
        ("A dragon sings of its closed shots.", {}),
        ("The hero's house. The hero strolls.", {"place": "home", "who": "hero", "action": "walks"}),
        (
            "CLOSE UP: the friend, asleep? No: the friend WAVES!",
            {"framing": "close", "who": "friend", "action": "waves"},
        ),
        ("A friend turns up", {"newcomer": True}),
        ("The friend waits. A friend arrives.", {"newcomer": True, "who": "friend"}),
        ("At night by day; the forest, not the beach", {"time": "night", "place": "forest"}),
        ("Slowly, the camera pushes in.", {"move": "push"}),
    ],
)
def test_any_text_can_be_read(text, found):
    assert read(text) == NOTHING | found


def test_the_vocabulary_is_that_of_the_trained_weights():
    """A change of it makes every shipped weight wrong: it needs new ones, and then a new digest here."""
    assert list(words.VOCABULARY) == sorted(set(words.VOCABULARY)) and len(words.VOCABULARY) == 182
    digest = hashlib.sha256(" ".join(words.VOCABULARY).encode()).hexdigest()
    assert digest == "a75fc4f77d89819d197c6ebe27b6700fb3fb984dbe38b1034949de797f7ffa8e"


def test_a_text_of_the_grammar_has_few_unknown_words():
    said = [word for seed in range(300) for word in split(prompt(*random_scene(seed)))]
    unknown = [word for word in said if word not in words.VOCABULARY]
    assert 0.005 < len(unknown) / len(said) < 0.08
    ids = {identity for word in unknown for identity in words.encode(word)[:1]}
    assert ids == set(range(2, 10))


def test_ids():
    the, hero = (10 + words.VOCABULARY.index(word) for word in ("the", "hero"))
    assert words.encode("The hero's, THE-hero!") == (the, hero, the, hero, 1) + (0,) * 43
    assert words.encode("") == words.encode(" 🦊 …") == (1,) + (0,) * 47
    (dragon, end), rest = words.encode("Dragon")[:2], words.encode("Dragon")[2:]
    assert 2 <= dragon < 10 and end == 1 and not any(rest)
    many = words.encode("hero " * 10_000)
    assert many == (hero,) * 47 + (1,)


@given(st.text())
def test_no_text_fails(text):
    ids = words.encode(text)
    assert len(ids) == 48 and ids.count(1) == 1 and 0 <= min(ids) <= max(ids) < len(words.TEXTS)
    assert read(text).keys() == NOTHING.keys()
