"""A picture for people: `run.py bench compare_memory [--stories N ...] [--out FILE]` draws docs/memory.jpg.

Each row is one shot from one noise: without memory, with three pictures of its hero, and with three pictures
of another hero in the same scenes. The text is the same and never says how a hero looks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.hero_shots import demo
from benchmarks.hero_shots.asked import LENGTH, Asked, ask
from runner.packages import ROOT
from storymem_core.sheets.lettering import Lettering

PICTURES, FRAMES = 3, (2, 8, 14)
"""Pictures in a memory, and the frames of a shot that are shown."""
SIDE, GAP, MARGIN, HEAD, TEXT = 168, 6, 36, 64, 44
PAPER, INK, SOFT = "#fbfaf8", "#1c1c1e", "#5a5a61"
IS_SHOT = (True, False, True, False, True)
"""Of each column: a shot's frames side by side, or a memory's pictures one below the other."""
TITLES = {
    0: "no memory",
    1: "three pictures of the hero as memory",
    3: "three pictures of another hero as memory",
}
"""By the column that they begin over."""
NARROW = (SIDE - (PICTURES - 1) * GAP) // PICTURES


def shown(number: int, folder: Path, steps: int | None) -> tuple[str, list[list[np.ndarray]]]:
    """A story's prompt, and what each column shows: uint8 [H, W, 3] each."""
    from benchmarks.hero_shots import made
    from storymem_core.making.shot import Settings

    widgets, size = demo.sampling(steps)
    settings = Settings(width=size, height=size, spacing=5.0, **widgets)
    bare, tuned = demo.models(folder)
    asked: Asked = ask(number)
    own, others = (asked.memory(cast, PICTURES, size) for cast in (asked.cast, asked.other))

    def shot(models: object, memory: list[np.ndarray]) -> list[np.ndarray]:
        frames = made.inside(models, settings, asked.prompt, memory, seed=number, length=LENGTH)
        return [frames[index] for index in FRAMES]

    return asked.prompt, [shot(bare, []), own, shot(tuned, own), others, shot(tuned, others)]


def draw(rows: list[tuple[str, list[list[np.ndarray]]]]) -> Image.Image:
    """The sheet: a row per story, a column per way."""
    widths = [SIDE * len(FRAMES) + GAP * (len(FRAMES) - 1) if shot else NARROW for shot in IS_SHOT]
    lefts = [MARGIN + sum(widths[:column]) + 3 * GAP * column for column in range(len(widths))]
    width, height = lefts[-1] + widths[-1] + MARGIN, HEAD + len(rows) * (SIDE + TEXT) + MARGIN // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    canvas, title, text = ImageDraw.Draw(sheet), Lettering(20), Lettering(17)
    for column, name in TITLES.items():
        title.draw(canvas, (lefts[column], HEAD - 36), name, INK)
    for number, (prompt, columns) in enumerate(rows):
        top = HEAD + number * (SIDE + TEXT)
        for left, shot, pictures in zip(lefts, IS_SHOT, columns, strict=True):
            side = SIDE if shot else NARROW
            for place, picture in enumerate(pictures):
                image = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
                aside, down = (place * (side + GAP), 0) if shot else (0, place * (side + GAP))
                sheet.paste(image, (left + aside, top + down))
        text.draw(canvas, (MARGIN, top + SIDE + 8), prompt, SOFT)
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="run.py bench compare_memory", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--stories", type=int, nargs="+", default=[0, 1, 2, 3], metavar="N", help="their numbers"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "memory.jpg", metavar="FILE")
    parser.add_argument("--steps", type=int, metavar="N", help="of sampling (default: the demo's)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a models folder (default: the demo's)")
    given = parser.parse_args()
    demo.start()
    folder = demo.models_folder(given.models, demo.say)
    draw([shown(number, folder, given.steps) for number in given.stories]).save(given.out, quality=92)
    print(given.out)


if __name__ == "__main__":
    main()
