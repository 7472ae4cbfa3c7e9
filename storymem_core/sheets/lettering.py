"""Text on a picture in any language that the machine has letters for: measured, wrapped, cut off, drawn."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Pillow's own font knows English only. What it lacks is taken from the first of these that the system has.
_OTHERS = (
    "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "arial.ttf", "Arial.ttf",
    "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf",
    "msyh.ttc", "simsun.ttc", "malgun.ttf", "YuGothM.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
)  # fmt: skip
_ABSENT = "\uffff"  # never a letter: every font shows its mark for a missing one
_WIDE = r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]"
_PIECES = re.compile(rf"{_WIDE}\s*|(?:(?!{_WIDE})\S)+\s*")


class Lettering:
    """One size of letters, in pixels, and the fonts to draw them with."""

    def __init__(self, size: int):
        self.size = size
        self._font_of: dict[str, Any] = {}

    def width(self, text: str) -> float:
        """Of one line, in pixels."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def draw(self, canvas: ImageDraw, at: tuple[float, float], text: str, fill: str) -> None:
        """Write one line, its top left corner at `at`."""
        x, y = at
        for font, run in self._runs(text):
            # On one baseline, whatever fonts a line mixes.
            canvas.text((x, y + self.size), run, font=font, fill=fill, anchor="ls")
            x += font.getlength(run)

    def fit(self, text: str, width: float) -> str:
        """One line that is not wider than `width`, cut off with an ellipsis where it would be."""
        text = printable(text)
        if self.width(text) <= width:
            return text
        shorter = bisect_right(range(len(text)), width, key=lambda count: self.width(text[:count] + "…"))
        return text[: max(0, shorter - 1)].rstrip() + "…"

    def wrap(self, text: str, width: float, lines: int) -> list[str]:
        """At most `lines` lines, broken between words and Chinese, Japanese or Korean signs."""
        wrapped = [""]
        for piece in _PIECES.findall(printable(text)):
            if wrapped[-1] and self.width((wrapped[-1] + piece).rstrip()) > width:
                wrapped.append("")
            wrapped[-1] += piece
        if len(wrapped) > lines:
            wrapped[lines - 1 :] = ["".join(wrapped[lines - 1 :])]
        return [self.fit(line.rstrip(), width) for line in wrapped]

    def _runs(self, text: str) -> list[tuple[Any, str]]:
        """The line in stretches of one font; letters that no font has lose their accents first."""
        letters = [(self._font(letter), letter) for letter in text]
        plain = [(font or self._own, letter if font else _plain(letter)) for font, letter in letters]
        runs = groupby(plain, key=lambda one: one[0])
        return [(font, "".join(letter for _, letter in run)) for font, run in runs]

    def _font(self, letter: str) -> Any:
        if letter not in self._font_of:
            fonts = [self._own] if _has(self._own, letter) else self._others
            self._font_of[letter] = next((font for font in fonts if _has(font, letter)), None)
        return self._font_of[letter]

    @cached_property
    def _own(self) -> Any:
        from PIL import ImageFont

        return ImageFont.load_default(self.size)

    @cached_property
    def _others(self) -> list[Any]:
        from PIL import ImageFont

        found = []
        for name in _OTHERS:
            try:
                found.append(ImageFont.truetype(name, self.size))
            except OSError:  # this system has it not
                continue
        return found


def printable(text: str) -> str:
    """One line without control characters and lone surrogates, which no font can show."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _plain(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(part for part in parts if not unicodedata.combining(part)) or letter


def _has(font: Any, letter: str) -> bool:
    return letter.isspace() or _shape(font, letter) != _shape(font, _ABSENT)


def _shape(font: Any, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
