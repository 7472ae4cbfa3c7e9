"""What a run tells: a row per step, a plot of the loss, and samples at each checkpoint."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..disk import replacing, room_in

if TYPE_CHECKING:
    from .loop import Stage

_WIDTH, _HEIGHT, _MARGIN = 640, 360, 24


class Journal:
    """log.jsonl, plot.png and samples/ of one stage's folder.

    Args:
        folder: of the stage.
        step: where the run begins: rows of later steps, from a run that was killed, are dropped.
        quiet: write nothing (all processes but one).
    """

    def __init__(self, folder: Path, step: int, *, quiet: bool = False):
        self.folder, self.quiet = folder, quiet
        self.began = time.monotonic()
        self.rows = [row for row in read(folder) if row["step"] <= step]
        if not quiet:
            with replacing(folder / "log.jsonl") as path:
                path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def write(self, row: dict[str, Any]) -> None:
        """Append a row; "seconds" since this run began are added."""
        row = {**row, "seconds": round(time.monotonic() - self.began, 2)}
        self.rows.append(row)
        if not self.quiet:
            with room_in(self.folder), (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")

    def show(self, stage: Stage, model: nn.Module, step: int) -> None:
        """Draw the plot and let the stage write its samples."""
        # Every process runs the model where it is spread over them; one of them writes.
        stage.sample(model, self.folder / "samples", step)
        if not self.quiet:
            with replacing(self.folder / "plot.png") as path:
                plot(self.rows).save(path, "png")


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows of a stage's log, oldest first; a last line that a kill cut off is left out."""
    path = folder / "log.jsonl"
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def plot(rows: list[dict[str, Any]]):  # a PIL image: Pillow is imported when a plot is drawn
    """The loss over the steps on a logarithmic scale, smoothed: a picture of 640 x 360."""
    import numpy as np
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    steps = np.array([row["step"] for row in rows], float)
    losses = np.log10(np.maximum(np.array([row["loss"] for row in rows], float), 1e-12))
    if len(steps) < 2:
        return picture
    window = max(1, len(losses) // 100)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    at = steps[window - 1 :]
    low, high = float(losses.min()), float(losses.max()) + 1e-9

    def line(x: np.ndarray, y: np.ndarray, colour: str) -> None:
        across = _MARGIN + (x - steps[0]) / (steps[-1] - steps[0]) * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - (y - low) / (high - low) * (_HEIGHT - 2 * _MARGIN)
        draw.line([(float(a), float(b)) for a, b in zip(across, down, strict=True)], fill=colour, width=1)

    line(steps, losses, "#c8d4e8")
    line(at, smooth, "#1f4e9e")
    draw.text((4, 4), f"loss {10**high:.4g}", fill="black")
    draw.text((4, _HEIGHT - 16), f"{10**low:.4g}", fill="black")
    draw.text((_WIDTH - 130, _HEIGHT - 16), f"step {int(steps[-1])}", fill="black")
    return picture
