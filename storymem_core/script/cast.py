"""The cast of a story: where a prompt names somebody, their looks are put beside the name (pure).

Memory carries pictures and no names, so with several characters the wrong one may be recalled; the paper's
own remedy is to tell each character's looks in every prompt (StoryMem, arXiv 2512.19539). A cast list
tells them once.

Which words are a name, and which of them are told of:

* A name is found as it is spelled, capitals too, where it stands as a word of its own: "Will" is in "Will's
  hat", not in "will", "Willow" or "Ann-Will". Chinese, Japanese, Korean and Thai put no space between words,
  so beside their letters a name needs no gap.
* From left to right, and of two names that begin at one place the longer: "Mira Stone" is not "Mira".
* Each is told of once a shot, at the first mention: "Mira, a woman in a red coat, waits". A possessive
  ("Mira's hands") leaves no room for that. Where there is nothing else, the looks follow the prompt as a
  sentence of their own: "Mira: a woman in a red coat."
* Looks that a prompt tells already in either of these ways are not told twice, and names within looks are
  left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Letters of scripts without spaces between words; then what continues a word: letters, accents, hyphens.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_LETTER = rf"[^\W{_UNSPACED}]"
_JOINT = r"[\u0300-\u036f-]"
_POSSESSIVE = re.compile(r"['’]s\b|(?<=[sxz])['’](?=\s+\w)")
_CLOSED = re.compile(r"[\"']|\s*(?:[^\w\s(\[{\"'“‘«]|$)")
_SENTENCE_END = ".!?…。！？"


@dataclass(frozen=True)
class Character:
    """Somebody, or something, of a story's cast."""

    description: str
    """Looks, clothes, age, style, as a prompt would tell them: "a young woman in a red coat"."""
    references: tuple[str, ...] = ()
    """Names of reference images that show this character."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other field of the character."""

    @property
    def looks(self) -> str:
        """The description as a part of a sentence."""
        return " ".join(self.description.split()).rstrip(".。 ")


def mentioned(prompt: str, cast: Mapping[str, Character]) -> tuple[str, ...]:
    """The names of the cast that a prompt mentions, in order of their first mention."""
    return tuple(_mentions(prompt, cast))


def references_needed(
    prompt: str, cast: Mapping[str, Character], there: Sequence[str]
) -> tuple[str, ...] | None:
    """The reference images that a shot sees: all but those of characters who are not in it.

    Args:
        there: the names of all reference images; capitals do not count.

    Returns:
        Names in the order of `there`; None where nothing is left out.
    """
    here = mentioned(prompt, cast)
    needed = {name.casefold() for who in here for name in cast[who].references}
    of_cast = {name.casefold() for character in cast.values() for name in character.references}
    kept = tuple(name for name in there if name.casefold() in needed or name.casefold() not in of_cast)
    return None if len(kept) == len(there) else kept


def described(prompt: str, cast: Mapping[str, Character]) -> str:
    """The prompt with the looks of all whom it mentions; the same one if it mentions nobody."""
    behind: dict[int, str] = {}
    sentences = []
    for name, places in _mentions(prompt, cast).items():
        looks = cast[name].looks
        sentence = f"{name}: {looks}."
        if sentence in prompt or any(prompt.startswith(f", {looks}", place.end()) for place in places):
            continue
        free = [place.end() for place in places if not _POSSESSIVE.match(prompt, place.end())]
        if free:
            behind[free[0]] = f", {looks}" if _CLOSED.match(prompt, free[0]) else f", {looks},"
        else:
            sentences.append(sentence)
    parts, done = [], 0
    for place in sorted(behind):
        parts += [prompt[done:place], behind[place]]
        done = place
    text = "".join([*parts, prompt[done:]])
    if not sentences:
        return text
    text = text.rstrip()
    return " ".join([text if text[-1] in _SENTENCE_END else f"{text}.", *sentences])


def _mentions(prompt: str, cast: Mapping[str, Character]) -> dict[str, list[re.Match[str]]]:
    """Each name that is mentioned -> all its places."""
    if not cast:
        return {}
    names = "|".join(map(_alone, sorted(cast, key=len, reverse=True)))
    found: dict[str, list[re.Match[str]]] = {}
    for place in re.finditer(names, prompt):
        found.setdefault(place[0], []).append(place)
    return found


def _alone(name: str) -> str:
    """The pattern of a name as a word of its own: a letter beside it is another word's only if it could be
    the name's own, so "小" stands alone in "A小", as "A" does."""
    before, after = (
        f"{_LETTER}|{_JOINT}" if re.match(_LETTER, end) else _JOINT for end in (name[:1], name[-1:])
    )
    return rf"(?<!{before}){re.escape(name)}(?!{after})"
