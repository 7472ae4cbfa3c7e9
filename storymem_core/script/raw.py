"""What the readers of a script give: a raw story, and the defects that they met on the way."""

from __future__ import annotations

import reprlib
from typing import Any, NamedTuple


class RawScene(NamedTuple):
    fields: dict[str, Any]
    """Of the scene itself."""
    shots: list[Any]
    """A dictionary per shot, if the script is sound."""


class RawStory(NamedTuple):
    fields: dict[str, Any]
    scenes: list[RawScene]


class Defects(list[str]):
    """What is wrong with a script, a line each: where, what is expected, what stands there."""

    def add(self, place: str, expected: str, got: object) -> None:
        self.append(f"{place}: expected {expected}, got {shown(got)}")


def shown(value: object) -> str:
    """A value as an error message shows it: short, whatever its size."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return "nothing" if value is None else short.repr(value)


def beginning(text: str) -> str:
    """Enough of a script to know which one it is."""
    return text if len(text) <= 60 else f"{text[:60]}..."
