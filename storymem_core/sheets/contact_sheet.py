"""A story on one picture: a row per shot with its prompt, its frames and the memory that it saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..disk import replacing
from ..film import film
from ..memory.bank import MemoryBank
from ..memory.bank_folder import standing
from ..store.stored_shot import StoredShot
from .strip import (
    FAINT,
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

LOOK = 2
"""Raise it when the picture of the same shots changes."""

_PROMPT_LINES, _HIGHEST = 12, 30_000
_TALLEST_FRAME, _TALLEST_MEMORY, _MEMORY_COLUMNS = 196, 132, 10
_MODES = {
    "t2v": ("cut, from text only", "#6b4fa0"),
    "m2v": ("cut", "#2f6db3"),
    "i2v": ("cut, from its own start image", "#2f6db3"),
    "mi2v": ("continues from the last frame", "#2d7d5f"),
    "mm2v": ("continues the motion", "#a35a1f"),
    "given": ("a given clip", "#4a4a52"),
}


def write(
    shots: Sequence[StoredShot],
    path: Path,
    *,
    fps: float | Fraction = film.FPS,
    crossfade: int = 0,
    title: str = "",
    marks: Sequence[str] = (),
    whole: Sequence[str] = (),
    graph: Mapping[str, Any] | None = None,
) -> None:
    """Draw the sheet and write it as PNG, wholly or not at all.

    Args:
        graph: as in `film.stitch`: each value is written as JSON into a text chunk of its name.
    """
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for name, text in film.graph_texts(graph).items():
        texts.add_text(name, text)
    sheet = draw(shots, fps=fps, crossfade=crossfade, title=title, marks=marks, whole=whole)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG", pnginfo=texts)


def draw(
    shots: Sequence[StoredShot],
    *,
    fps: float | Fraction = film.FPS,
    crossfade: int = 0,
    title: str = "",
    marks: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Image:
    """The sheet, RGB: a column of rows 1720 pixels wide, and more beside it where one would be too high for
    the programs that show pictures (from about 60 shots on). One shot's frames are in memory at a time.

    Frames that repeat the shot before are left out. Under each frame stands its number in the shot; under
    each frame of the memory the shot or reference that it comes from, and whether it is in the bank's sink
    or in its window.

    Args:
        marks: a line for each shot that is to be drawn beside its prompt; none, or "" for none.
        whole: the ids by whose places shots have their numbers (`Outline.whole`); none: those of the film.
    """
    from PIL import Image, ImageDraw

    letters = all_letters()
    numbers = {id: number for number, id in enumerate(whole or [shot.id for shot in shots], 1)}
    marked = zip(shots, marks or [""] * len(shots), strict=True)
    rows = [
        _Row(shot, numbers[shot.id] if whole else number, numbers, letters, mark)
        for number, (shot, mark) in enumerate(marked, 1)
    ]
    columns = _columns(rows)
    height = HEADER + max(sum(row.height for row in column) for column in columns) + PAD
    sheet = Image.new("RGB", (WIDTH * len(columns), height), PAPER)
    canvas = ImageDraw.Draw(sheet)
    info = film.measure(shots, fps=fps, crossfade=crossfade)
    facts = (
        _counted(len({shot.row.get("scene") for shot in shots}), "scene"),
        _counted(len(shots), "shot"),
        f"{info.seconds:.1f} seconds",
        f"{info.frames} frames at {float(fps):g} fps",
        f"{info.size[0]} x {info.size[1]}",
    )
    letters.title.draw(canvas, (MARGIN, 40), letters.title.fit(title or "Untitled", INNER), INK)
    letters.body.draw(canvas, (MARGIN, 108), "   ·   ".join(facts), SOFT)
    for number, column in enumerate(columns):
        y = HEADER
        for row in column:
            row.draw(sheet, canvas, WIDTH * number + MARGIN, y)
            y += row.height
    return sheet


class _Row:
    """One shot's row: small pictures, and texts broken into lines, so that its height is known at once."""

    def __init__(
        self, shot: StoredShot, number: int, numbers: Mapping[str, int], letters: Letters, mark: str
    ):
        self.shot, self.number, self.letters, self.mark = shot, number, letters, mark
        self.prompt = letters.body.wrap(str(shot.row.get("prompt", "")), TEXT, _PROMPT_LINES)
        width, height = shot.size
        columns = 6 if width > 1.2 * height else 8
        indices = spread(shot.dropped, shot.count, columns)
        self.frames = Strip(
            [(frame, (str(index),)) for frame, index in zip(shot.pick(indices), indices, strict=True)],
            columns,
            _TALLEST_FRAME,
            letters.small,
        )
        bank = shot.seen()
        self.memory = Strip(
            [(frame.pixels, came_from(bank, place, numbers)) for place, frame in enumerate(bank.frames)],
            _MEMORY_COLUMNS,
            _TALLEST_MEMORY,
            letters.small,
        )

    @property
    def height(self) -> int:
        text = 66 + 26 * len(self.prompt) + 12 + 2 * 22
        return 2 * PAD + max(text, self.frames.height + 34 + self.memory.height)

    def draw(self, sheet: Image, canvas: ImageDraw, left: int, y: int) -> None:
        """Draw the row with its top left corner at (left, y)."""
        row, letters = self.shot.row, self.letters
        canvas.line((left, y, left + INNER, y), fill=LINE, width=2)
        y += PAD
        number = str(self.number)
        letters.number.draw(canvas, (left, y - 6), number, INK)
        kind, colour = _MODES.get(str(row.get("mode")), (str(row.get("mode", "")), SOFT))
        kind += ", ends on an image" if row.get("end_image") else ""
        x = left + letters.number.width(number) + 16
        letters.small.draw(canvas, (x, y), letters.small.fit(kind, TEXT), colour)
        letters.small.draw(
            canvas, (x, y + 20), f"scene {row.get('scene', 1)}   ·   {row.get('mode', '')}", FAINT
        )
        letters.small.draw(canvas, (x, y + 40), letters.small.fit(self.mark, TEXT), MARKED)
        below = y + 66
        for line in self.prompt:
            letters.body.draw(canvas, (left, below), line, INK)
            below += 26
        repeated = f", {self.shot.dropped} repeated" if self.shot.dropped else ""
        for line in (f"{self.shot.count} frames{repeated}", f"seed {row.get('seed', '')}"):
            letters.small.draw(canvas, (left, below + 12), line, FAINT)
            below += 22
        x = left + TEXT + GUTTER
        self.frames.draw(sheet, canvas, x, y)
        y += self.frames.height
        seen = len(self.memory.pictures)
        told = f"saw {_counted(seen, 'memory frame')}" if seen else "saw no memory"
        letters.small.draw(canvas, (x, y + 6), told, SOFT)
        self.memory.draw(sheet, canvas, x, y + 34)


def _columns(rows: Sequence[_Row]) -> list[list[_Row]]:
    """The rows in order, in as few columns as may be, all about equally high."""
    total, done = sum(row.height for row in rows), 0
    columns: list[list[_Row]] = [[] for _ in range(-(-total // _HIGHEST))]
    for row in rows:
        columns[done * len(columns) // total].append(row)
        done += row.height
    return columns


def spread(first: int, count: int, most: int) -> list[int]:
    """At most `most` indices of first..count-1, evenly apart, both ends among them where there is room."""
    last, places = count - 1, min(most, count - first)
    return [first + round(place * (last - first) / max(1, places - 1)) for place in range(places)]


def came_from(bank: MemoryBank, place: int, numbers: Mapping[str, int]) -> tuple[str, ...]:
    """Where a frame of the memory comes from, in lines: "shot 2", "frame 11", "sink".

    Args:
        numbers: the number of each shot, by its id; another shot is told by its id.
    """
    origin = bank.frames[place].origin
    role = standing(bank, place)
    if origin.source == "reference":
        return origin.shot, role
    return f"shot {numbers.get(origin.shot, origin.shot)}", f"frame {origin.frame}", role


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
