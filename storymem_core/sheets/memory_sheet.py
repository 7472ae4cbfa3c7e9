"""A memory on one picture: each frame with its number, its place in the bank, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..keyframes.embedders import FirstFrameOnly
from ..memory.bank import MemoryBank, likeness
from ..memory.bank_folder import ASIDE, PINNED, SINK, WINDOW, standing
from ..memory.edits import spelt
from ..memory.frame import MemoryFrame
from ..memory.references import REFERENCE
from .lettering import Lettering
from .strip import FAINT, HEADER, INK, INNER, LINE, MARGIN, PAD, PAPER, SOFT, WIDTH

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_COLUMNS, _GAP, _TALLEST, _BAR, _LINES, _LEADING, _ASIDE = 5, 24, 240, 8, 3, 28, 70
_MAT = "#efece6"
_WIDE = (INNER + _GAP) // _COLUMNS - _GAP
_COLOURS = {SINK: "#6b4fa0", WINDOW: "#2f6db3", PINNED: "#a35a1f", ASIDE: FAINT}


class Card(NamedTuple):
    """What the sheet tells of one frame."""

    number: int
    """By which edits name it, from 1; those set aside are counted on."""
    role: str
    """"sink", "window", "pinned" or "set aside"."""
    lines: tuple[str, ...]


def cards(bank: MemoryBank, shots: Sequence[str] = ()) -> list[Card]:
    """Every frame of a bank, oldest first, then those set aside.

    Args:
        shots: ids of a story's shots in order; they are told by their number, others by their id.
    """
    numbers = {shot: number for number, shot in enumerate(shots, 1)}
    return [
        Card(place + 1, standing(bank, place), _lines(bank, place, numbers))
        for place in range(len(bank.frames) + len(bank.aside))
    ]


def draw(bank: MemoryBank, shots: Sequence[str] = ()) -> Image:
    """The sheet, RGB, 1720 pixels wide: five frames side by side, oldest first, then what was set aside.

    Below each frame: its number, sink or window or pinned; where it comes from; its age (1 is the newest) and
    score; and how like it is the frame of the memory that it is most like.

    Args:
        shots: as for `cards`.
    """
    from PIL import Image, ImageDraw

    letters = _Letters(Lettering(46), Lettering(32), Lettering(22), Lettering(20))
    told = list(zip(cards(bank, shots), (*bank.frames, *bank.aside), strict=True))
    seen, aside = (_rows(part, letters) for part in (told[: len(bank.frames)], told[len(bank.frames) :]))
    height = HEADER + sum(row.height for row in (*seen, *aside)) + (_ASIDE if aside else 0) + PAD
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    canvas = ImageDraw.Draw(sheet)
    letters.title.draw(canvas, (MARGIN, 40), "Memory", INK)
    letters.line.draw(canvas, (MARGIN, 106), letters.line.fit(_facts(bank), INNER), SOFT)
    y = _draw(seen, sheet, canvas, HEADER)
    if aside:
        canvas.line((MARGIN, y, MARGIN + INNER, y), fill=LINE, width=2)
        letters.line.draw(canvas, (MARGIN, y + 18), "Set aside: not seen by any shot, can be restored", SOFT)
        _draw(aside, sheet, canvas, y + _ASIDE)
    return sheet


class _Letters(NamedTuple):
    title: Lettering
    number: Lettering
    line: Lettering
    small: Lettering


class _Row:
    """Frames side by side, each with what is told of it below."""

    def __init__(self, told: Sequence[tuple[Card, MemoryFrame]], letters: _Letters):
        self.letters = letters
        self.cards = [(card, _small(frame)) for card, frame in told]
        self.tall = max(picture.height for _, picture in self.cards)

    @property
    def height(self) -> int:
        return _BAR + self.tall + 56 + _LINES * _LEADING + _GAP

    def draw(self, sheet: Image, canvas: ImageDraw, top: int) -> None:
        """Draw the row with its top at `top`."""
        for place, (card, picture) in enumerate(self.cards):
            x, y = MARGIN + place * (_WIDE + _GAP), top
            colour = _COLOURS[card.role]
            canvas.rectangle((x, y, x + _WIDE - 1, y + _BAR + self.tall - 1), fill=_MAT)
            canvas.rectangle((x, y, x + _WIDE - 1, y + _BAR - 1), fill=colour)
            room = _WIDE - picture.width, self.tall - picture.height
            sheet.paste(picture, (x + room[0] // 2, y + _BAR + room[1] // 2))
            y += _BAR + self.tall + 12
            number = str(card.number)
            self.letters.number.draw(canvas, (x, y), number, INK)
            beside = x + self.letters.number.width(number) + 14
            self.letters.line.draw(canvas, (beside, y + 8), card.role, colour)
            for line, text in enumerate(card.lines):
                at = (x, y + 46 + line * _LEADING)
                self.letters.small.draw(canvas, at, self.letters.small.fit(text, _WIDE), SOFT)


def _rows(told: Sequence[tuple[Card, MemoryFrame]], letters: _Letters) -> list[_Row]:
    return [_Row(told[first : first + _COLUMNS], letters) for first in range(0, len(told), _COLUMNS)]


def _draw(rows: Sequence[_Row], sheet: Image, canvas: ImageDraw, y: int) -> int:
    """Draw rows one below the other, the first at `y`; where the next would stand."""
    for row in rows:
        row.draw(sheet, canvas, y)
        y += row.height
    return y


def _small(frame: MemoryFrame) -> Image:
    """The frame's picture, as large as a card lets it be."""
    from PIL import Image

    picture = Image.fromarray(frame.pixels)
    scale = min(_WIDE / picture.width, _TALLEST / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _facts(bank: MemoryBank) -> str:
    if not bank.frames:
        return f"empty, with room for {bank.capacity}"
    pinned = sum(frame.pinned for frame in bank.frames)
    facts = [
        f"{len(bank.frames)} of {bank.capacity} frames, oldest first",
        f"the first {bank.sink} are the sink" if bank.sink else "no sink",
        f"{pinned} pinned" if pinned else "",
        f"similarity by {bank.embedder}" if bank.embedder else "",
    ]
    return "   ·   ".join(fact for fact in facts if fact)


def _lines(bank: MemoryBank, place: int, numbers: Mapping[str, int]) -> tuple[str, ...]:
    frame = (*bank.frames, *bank.aside)[place]
    score = "" if frame.score is None else f"score {frame.score:.2f}"
    if place >= len(bank.frames):
        return _origin(frame, numbers), score
    age = f"age {len(bank.frames) - place}"
    return _origin(frame, numbers), f"{age}   ·   {score}" if score else age, _most_like(bank, place)


def _origin(frame: MemoryFrame, numbers: Mapping[str, int]) -> str:
    origin = frame.origin
    if origin.source != REFERENCE and origin.shot in numbers:
        return f"shot {numbers[origin.shot]}, frame {origin.frame}"
    return spelt(frame)


def _most_like(bank: MemoryBank, place: int) -> str:
    if bank.embedder == FirstFrameOnly.name:
        return ""
    cosines = {
        other + 1: likeness(bank.frames[place], [frame])
        for other, frame in enumerate(bank.frames)
        if other != place
    }
    most = max(cosines, key=lambda number: cosines[number] or 0.0, default=None)
    return "" if most is None else f"similar to {most}: {cosines[most]:.2f}"
