"""Pictures side by side, with texts: what every sheet of the pack is drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .lettering import Lettering

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

WIDTH, MARGIN, HEADER, TEXT, GUTTER, GAP, PAD, NARROWEST = 1720, 56, 164, 380, 44, 10, 30, 84
INNER = WIDTH - 2 * MARGIN
PICTURES = INNER - TEXT - GUTTER
PAPER, INK, SOFT, FAINT, LINE, MARKED = "#fbfaf8", "#1c1c1e", "#5a5a61", "#85858c", "#dedad3", "#b3372f"


class Letters(NamedTuple):
    """The sizes of letters on a sheet."""

    title: Lettering
    number: Lettering
    body: Lettering
    small: Lettering


def all_letters() -> Letters:
    """The letters of every sheet."""
    return Letters(Lettering(46), Lettering(40), Lettering(18), Lettering(15))


class Strip:
    """Pictures side by side, each with lines of text below it, in as many lines as they need."""

    def __init__(
        self,
        pictures: Sequence[tuple[np.ndarray, Sequence[str]]],
        columns: int,
        tallest: int,
        letters: Lettering,
    ):
        from PIL import Image

        self.columns, self.letters = columns, letters
        self.pictures = []
        self.wide, self.tall = NARROWEST, 0
        for pixels, lines in pictures:
            image = Image.fromarray(pixels)
            size = _fitted(image.size, (PICTURES + GAP) // columns - GAP, tallest)
            self.pictures.append((image.resize(size, Image.Resampling.LANCZOS), lines))
            self.wide = max(self.wide, size[0])
            self.tall = max(self.tall, size[1] + 6 + 20 * len(lines))

    @property
    def height(self) -> int:
        return -(-len(self.pictures) // self.columns) * (self.tall + GAP)

    def draw(self, sheet: Image, canvas: ImageDraw, left: int, top: int) -> None:
        """Draw the strip with its top left corner at (left, top)."""
        for place, (image, lines) in enumerate(self.pictures):
            down, right = divmod(place, self.columns)
            x, y = left + right * (self.wide + GAP), top + down * (self.tall + GAP)
            sheet.paste(image, (x, y))
            canvas.rectangle((x, y, x + image.width - 1, y + image.height - 1), outline=LINE)
            for line, text in enumerate(lines):
                fitted = self.letters.fit(text, self.wide)
                colour = SOFT if line == 0 else FAINT
                self.letters.draw(canvas, (x, y + image.height + 4 + 20 * line), fitted, colour)


def _fitted(size: tuple[int, int], width: int, tallest: int) -> tuple[int, int]:
    """A size of the same shape, as wide as it may be."""
    scale = min(width / size[0], tallest / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
