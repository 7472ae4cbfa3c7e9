"""Scene <-> plain English. What is seen is said; how the cast looks never is: that, only memory can know.

A text has one to three sentences. The plain wording of each attribute comes first in its table, the others
say the same. `read` finds the attributes in any text that uses these words, in one written by hand too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..models.vocabulary import split
from .scene import Scene

Spoken = Mapping[str, tuple[str, ...]]
"""An attribute's values, each with the phrases that say it."""


class Setting(NamedTuple):
    """How a place is spoken of: staying in it, going through it, and its names."""

    staying: str
    going: str
    names: tuple[str, ...]


SETTINGS: Mapping[str, Setting] = {
    "forest": Setting("in the", "through the", ("forest", "woods")),
    "beach": Setting("on the", "along the", ("beach", "shore")),
    "village": Setting("in the", "through the", ("village", "town")),
    "mountains": Setting("in the", "across the", ("mountains", "hills")),
    "desert": Setting("in the", "across the", ("desert", "dunes")),
    "garden": Setting("in the", "through the", ("garden", "park")),
    "castle": Setting("by the", "past the", ("castle", "palace")),
    "harbour": Setting("by the", "along the", ("harbour", "port")),
    "home": Setting("by the", "past the", ("house", "cottage", "family home")),
}
TIMES: Spoken = {
    "day": ("by day", "in the daylight", "at noon", "in the sunshine"),
    "evening": ("in the evening", "at dusk", "at sunset"),
    "night": ("at night", "at midnight", "in the moonlight"),
}
ACTIONS: Spoken = {
    "walks": ("walks", "strolls", "wanders", "marches"),
    "jumps": ("jumps", "hops", "leaps", "bounces"),
    "waves": ("waves", "beckons"),
    "dances": ("dances", "twirls", "prances"),
    "sits": ("sits", "sits down", "rests"),
    "sleeps": ("sleeps", "naps", "dozes", "slumbers"),
}
TOGETHER: Spoken = {
    "walks": ("walk", "stroll", "wander", "march"),
    "jumps": ("jump", "hop", "leap", "bounce"),
    "waves": ("wave", "beckon"),
    "dances": ("dance", "twirl", "prance"),
    "sits": ("sit", "sit down", "rest"),
    "sleeps": ("sleep", "nap", "doze", "slumber"),
}
FRAMINGS: Spoken = {
    "wide": ("wide shot", "long shot", "wide view"),
    "medium": ("medium shot", "mid shot", "medium view"),
    "close": ("close shot", "close-up", "close view"),
}
MOVES: Spoken = {
    "still": ("the camera stands still", "the camera keeps still", "a still camera"),
    "pan": ("the camera pans", "the camera glides sideways", "a slow pan"),
    "push": ("the camera pushes in", "the camera moves closer", "a slow push in"),
}
CASTS: Spoken = {
    "hero": ("the hero", "our hero"),
    "friend": ("the friend", "our friend"),
    "both": ("the hero and the friend", "the friend and the hero", "our hero and the friend"),
}
ARRIVALS = tuple(f"a friend {comes}" for comes in ("comes in", "arrives", "appears", "joins in", "turns up"))

MOODS = (
    "brave", "cheerful", "clever", "curious", "dear", "gentle", "good", "happy", "jolly", "kind", "little",
    "merry", "patient", "proud", "shy",
)  # fmt: skip
MANNERS = (
    "again", "alone", "bravely", "calmly", "cheerfully", "dreamily", "gently", "happily", "merrily",
    "patiently", "proudly", "quietly", "slowly", "softly",
)  # fmt: skip
OPENINGS = (
    "then", "now", "later", "look", "here", "and so", "at last", "soon", "once upon a time", "meanwhile",
)  # fmt: skip
TAILS = (
    "with a smile", "humming a song", "listening to the wind", "dreaming of adventures", "full of wonder",
    "thinking of the way back", "for joy", "to a merry tune", "with a happy heart", "without a care",
    "while all the world is quiet", "after a long way", "looking around", "as in a story", "at ease",
)  # fmt: skip
_SYLLABLES = ("ba", "do", "fi", "gu", "ka", "lo", "mi", "nu", "pe", "ra", "so", "ti", "vu", "wa", "zo")


def attributes(scene: Scene) -> dict[str, object]:
    """All that a text says of a scene: place, time, action, framing, move, who, newcomer."""
    return {name: getattr(scene, name) for name in _NAMES} | {"newcomer": scene.newcomer}


def prompt(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """A scene in English.

    Args:
        scene: what is seen.
        rng: chooses among synonyms and layouts, and adds words that say nothing; None: the plain wording.
    """
    words = _Plain() if rng is None else _Varied(rng)
    setting = SETTINGS[scene.place]
    verbs = TOGETHER if scene.who == "both" else ACTIONS
    going = scene.action == "walks"
    who = words.mood(words.one(CASTS[scene.who]))
    does = words.manner(words.one(verbs[scene.action]))
    where = f"{setting.going if going else setting.staying} {words.one(setting.names)}"
    when, tail = words.one(TIMES[scene.time]), words.tail()
    doing = [who, does, where]
    framing, move = words.one(FRAMINGS[scene.framing]), words.one(MOVES[scene.move])
    arrival = [[words.one(ARRIVALS)]] if scene.newcomer else []
    # A camera that nobody mentions stands still.
    moved = [] if scene.move == "still" and words.may(0.7) else [move]
    layout = words.layout()
    if layout == 0:
        sentences = [[f"{framing}:", *doing, when, tail], *arrival, moved]
    elif layout == 1:
        sentences = [[f"{when},", *doing, tail], *arrival, [", ".join([framing, *moved])]]
    else:
        sentences = [[words.opening(), *doing, when, tail], *arrival, [", ".join([framing, *moved])]]
    return " ".join(_sentence(words.padded(sentence)) for sentence in sentences if sentence)


def read(text: str) -> dict[str, object]:
    """The attributes that a text names.

    Returns:
        place, time, action, framing, move, who: the value said first, None where none is said, but a move
        that is not said is "still"; newcomer: whether a friend arrives.
    """
    words = tuple(split(text))
    found: dict[str, object] = {name: _first(words, phrases) for name, phrases in _HEARD.items()}
    arrives = [_follows(words, index, _COMES) for index, word in enumerate(words) if word == "friend"]
    hero, friend = "hero" in words, not all(arrives)
    found["who"] = "both" if hero and friend else "hero" if hero else "friend" if friend else None
    return found | {"move": found["move"] or "still", "newcomer": any(arrives)}


# --- the wording of one text ----------------------------------------------------------------------------


class _Plain:
    """The first of everything, and nothing added."""

    def one(self, phrases: tuple[str, ...]) -> str:
        return phrases[0]

    def may(self, chance: float) -> bool:
        return chance > 0.5

    def layout(self) -> int:
        return 0

    def mood(self, who: str) -> str:
        return who

    def manner(self, does: str) -> str:
        return does

    def opening(self) -> str:
        return ""

    def tail(self) -> str:
        return ""

    def padded(self, sentence: list[str]) -> list[str]:
        return sentence


class _Varied(_Plain):
    """Any of the phrases, with words around them that say nothing about the picture."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one(self, phrases: tuple[str, ...]) -> str:
        return phrases[0] if self.may(0.4) else phrases[self.rng.integers(len(phrases))]

    def may(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def layout(self) -> int:
        return int(self.rng.integers(3))

    def mood(self, who: str) -> str:
        first, rest = who.split(" ", 1)
        return f"{first} {MOODS[self.rng.integers(len(MOODS))]} {rest}" if self.may(0.2) else who

    def manner(self, does: str) -> str:
        return f"{does} {MANNERS[self.rng.integers(len(MANNERS))]}" if self.may(0.25) else does

    def opening(self) -> str:
        return f"{OPENINGS[self.rng.integers(len(OPENINGS))]}," if self.may(0.4) else ""

    def tail(self) -> str:
        return TAILS[self.rng.integers(len(TAILS))] if self.may(0.2) else ""

    def padded(self, sentence: list[str]) -> list[str]:
        """Now and then with one to three words between its phrases that nobody knows."""
        if not self.may(0.15):
            return sentence
        for _ in range(self.rng.integers(1, 4)):
            place = int(self.rng.integers(len(sentence) + 1))
            sentence = [*sentence[:place], self.unknown(), *sentence[place:]]
        return sentence

    def unknown(self) -> str:
        """A word of two to four syllables that is not the grammar's."""
        word = "".join(self.rng.choice(_SYLLABLES, self.rng.integers(2, 5)))
        return self.unknown() if word in WORDS else word


def _sentence(phrases: Sequence[str]) -> str:
    text = " ".join(filter(None, phrases)).rstrip(",:")
    return f"{text[0].upper()}{text[1:]}."


# --- reading --------------------------------------------------------------------------------------------


def _phrase(text: str) -> tuple[str, ...]:
    return tuple(split(text))


def _keys(spoken: Spoken, drop: Sequence[str] = ()) -> dict[tuple[str, ...], str]:
    """What a text is searched for: phrase -> value, without the words that stand in all phrases."""
    return {
        tuple(word for word in _phrase(said) if word not in drop): value
        for value, phrases in spoken.items()
        for said in phrases
    }


_NAMES = ("place", "time", "action", "framing", "move", "who")
_HEARD: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "place": _keys({place: setting.names for place, setting in SETTINGS.items()}, drop=("family",)),
    "time": _keys(TIMES, drop=("by", "in", "the", "at")),
    "action": _keys(ACTIONS, drop=("down",)) | _keys(TOGETHER, drop=("down",)),
    "framing": _keys(FRAMINGS),
    "move": _keys(MOVES, drop=("the", "a", "slow")),
}
_COMES = {_phrase(said)[2:] for said in ARRIVALS}


def _follows(words: Sequence[str], index: int, phrases: set[tuple[str, ...]]) -> bool:
    return any(tuple(words[index + 1 : index + 1 + len(phrase)]) == phrase for phrase in phrases)


def _first(words: Sequence[str], phrases: Mapping[tuple[str, ...], str]) -> str | None:
    """The value of the phrase that is said first, the longest of those that begin there."""
    for index in range(len(words)):
        for length in sorted({len(phrase) for phrase in phrases}, reverse=True):
            if value := phrases.get(tuple(words[index : index + length])):
                return value
    return None


def _said(spoken: Spoken) -> Iterator[str]:
    return chain.from_iterable(spoken.values())


WORDS = frozenset(
    word
    for said in chain(
        *(_said(spoken) for spoken in (TIMES, ACTIONS, TOGETHER, FRAMINGS, MOVES, CASTS)),
        *((setting.staying, setting.going, *setting.names) for setting in SETTINGS.values()),
        *(ARRIVALS, MOODS, MANNERS, OPENINGS, TAILS),
    )
    for word in split(said)
)
"""Every word that a text of the grammar can have, but for those that nobody knows."""
