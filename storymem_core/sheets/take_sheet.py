"""The takes of a story on one picture: a row per shot, a frame of each take, the chosen one marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..store.shot_states import ShotState
from ..store.stored_shot import StoredShot
from .strip import (
    GUTTER,
    HEADER,
    INK,
    INNER,
    LINE,
    MARGIN,
    MARKED,
    PAD,
    PAPER,
    SOFT,
    TEXT,
    WIDTH,
    Letters,
    Strip,
    all_letters,
)  # fmt: skip

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_COLUMNS, _TALLEST, _PROMPT_LINES = 5, 160, 4


def draw(states: Sequence[ShotState], places: Sequence[int], title: str) -> Image:
    """The sheet, RGB, 1720 pixels wide.

    Args:
        states: the shots of the story in order.
        places: those that are drawn, from 0.
    """
    from PIL import Image, ImageDraw

    letters = all_letters()
    rows = [_Row(states[place], letters) for place in places]
    sheet = Image.new("RGB", (WIDTH, HEADER + sum(row.height for row in rows) + PAD), PAPER)
    canvas = ImageDraw.Draw(sheet)
    letters.title.draw(canvas, (MARGIN, 40), letters.title.fit(title, INNER), INK)
    made = sum(state.standing is not None for state in states)
    told = f"{made} of {len(states)} shots made"
    if len(places) < len(states):
        told += f"   ·   {len(places)} are shown here; `shot` says which"
    letters.body.draw(canvas, (MARGIN, 108), told, SOFT)
    y = HEADER
    for row in rows:
        row.draw(sheet, canvas, y)
        y += row.height
    return sheet


class _Row:
    """One shot's row; its height is known at once."""

    def __init__(self, state: ShotState, letters: Letters):
        self.state, self.letters = state, letters
        self.prompt = letters.body.wrap(state.prompt, TEXT, _PROMPT_LINES)
        self.told = letters.small.wrap(state.told, TEXT - 60, 2)
        pictures = [(_middle(shot), _lines(state, take, shot)) for take, shot in state.takes.items()]
        self.takes = Strip(pictures, _COLUMNS, _TALLEST, letters.small)

    @property
    def height(self) -> int:
        return 2 * PAD + max(66 + 26 * len(self.prompt), self.takes.height)

    def draw(self, sheet: Image, canvas: ImageDraw, y: int) -> None:
        canvas.line((MARGIN, y, MARGIN + INNER, y), fill=LINE, width=2)
        y += PAD
        letters, number = self.letters, str(self.state.number)
        letters.number.draw(canvas, (MARGIN, y - 6), number, INK)
        x = MARGIN + letters.number.width(number) + 16
        for place, line in enumerate((letters.small.fit(self.state.id, TEXT - 60), *self.told)):
            letters.small.draw(canvas, (x, y + 20 * place), line, MARKED if place else SOFT)
        for place, line in enumerate(self.prompt):
            letters.body.draw(canvas, (MARGIN, y + 66 + 26 * place), line, INK)
        self.takes.draw(sheet, canvas, MARGIN + TEXT + GUTTER, y)


def _middle(shot: StoredShot) -> np.ndarray:
    return shot.pick([(shot.dropped + shot.count - 1) // 2])[0]


def _lines(state: ShotState, take: int, shot: StoredShot) -> tuple[str, ...]:
    in_film = state.standing is not None and state.standing.shot.key == shot.key
    return f"take {take}", "in the film" if in_film else "", f"seed {shot.row.get('seed', '')}"
