"""What the default aesthetic filter makes of clean and spoiled frames: `run.py bench calibrate_filter`.

Seventeen real photographs and seven drawings of flat colours, at three sizes, clean and spoiled in many ways.
Told for each: the part that the threshold passes, and the part that scores below its own clean frame. The
threshold is the greatest multiple of 0.05 that leaves every clean frame a margin of 5 % of its score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.photos import SCENES, TEXTURES, photo, view
from benchmarks.photos.drawings import drawings
from runner.benchmark import report
from storymem_core.keyframes.aesthetics import TechnicalQuality

SIZES = ((64, 64), (240, 416), (480, 832))
MARGIN = STEP = 0.05


def clean(height: int, width: int) -> Iterator[tuple[str, Tensor]]:
    """Name and frame [H, W, 3] of each photo and of each drawing."""
    for name, path in (SCENES | TEXTURES).items():
        yield name, view(photo(path), height, width)
    yield from drawings(height, width).items()


def spoiled(frame: Tensor) -> dict[str, Tensor]:
    """One frame [H, W, 3], spoiled in each way; sizes of blurs and smears are parts of the frame's height."""
    height = frame.shape[0]
    noise = torch.Generator().manual_seed(0)
    uniform = torch.rand(frame.shape, generator=noise)
    normal = torch.randn(frame.shape, generator=noise)
    ways = {f"blur {part:.0%}": blurred(frame, part * height) for part in (0.01, 0.02, 0.04)}
    for part in (0.05, 0.1):
        length = round(part * height)
        ways |= {
            f"smear {part:.0%} sideways": smeared(frame, 0, length),
            f"smear {part:.0%} up": smeared(frame, length, 0),
            f"smear {part:.0%} aslant": smeared(frame, round(0.7 * length), round(0.7 * length)),
        }
    return ways | {
        "black": torch.zeros_like(frame),
        "nearly black": frame * 0.04,
        "white": torch.ones_like(frame),
        "blown out": blown_out(frame),
        "grey": torch.full_like(frame, 0.5),
        "noise, uniform": uniform,
        "noise, normal": (0.5 + 0.15 * normal).clamp(0, 1),
        "noise, no colour": (0.5 + 0.2 * normal[..., :1]).clamp(0, 1).expand_as(frame),
        "noise, faint": 0.5 + 0.05 * normal.clamp(-3, 3),
    }


def blown_out(frame: Tensor, white: float = 0.8) -> Tensor:
    """So much light, and a veil of it, that the part `white` of the pixels is white."""
    veiled = frame + 0.1
    return (veiled / veiled.amin(dim=-1).quantile(1 - white)).clamp(0, 1)


def blurred(frame: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` pixels."""
    radius = math.ceil(3 * sigma)
    bell = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    bell = bell / bell.sum()
    image = F.pad(frame.movedim(-1, 0)[:, None], (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(image, bell[None, None, None]), bell[None, None, :, None])[:, 0].movedim(0, -1)


def smeared(frame: Tensor, rows: int, columns: int) -> Tensor:
    """A camera that moves by so many pixels while the picture is taken."""
    count = max(rows, columns) + 1
    image = F.pad(frame.movedim(-1, 0)[None], (0, columns, 0, rows), mode="replicate")[0].movedim(0, -1)
    steps = [(rows * i // max(1, count - 1), columns * i // max(1, count - 1)) for i in range(count)]
    height, width, _ = frame.shape
    return sum((image[y : y + height, x : x + width] for y, x in steps), torch.zeros_like(frame)) / count


def scores() -> dict[str, list[tuple[str, float, float]]]:
    """Way of spoiling, "clean" among them -> for each frame: name and size, its score, its clean frame's."""
    scorer = TechnicalQuality()
    found: dict[str, list[tuple[str, float, float]]] = {}
    for height, width in SIZES:
        for name, frame in clean(height, width):
            whole = float(scorer(frame[None]))
            found.setdefault("clean", []).append((f"{name} {height}x{width}", whole, whole))
            for way, bad in spoiled(frame).items():
                row = (f"{name} {height}x{width}", float(scorer(bad[None])), whole)
                found.setdefault(way, []).append(row)
    return found


def chosen(clean_scores: list[float]) -> float:
    return round(math.floor(min(clean_scores) * (1 - MARGIN) / STEP) * STEP, 2)


def main() -> None:
    found = scores()
    threshold = TechnicalQuality.threshold
    rows = [
        {
            "frames": way,
            "least score": min(score for _, score, _ in told),
            "greatest score": max(score for _, score, _ in told),
            "part that passes": sum(score >= threshold for _, score, _ in told) / len(told),
            "part below its clean frame": sum(score < whole for _, score, whole in told) / len(told),
        }
        for way, told in found.items()
    ]
    clean_scores = {name: score for name, score, _ in found["clean"]}
    report(
        "calibrate_filter",
        rows,
        threshold=chosen(list(clean_scores.values())),
        threshold_in_the_code=threshold,
        worst_clean=min(clean_scores, key=lambda name: clean_scores[name]),
        not_below_clean=sorted(
            f"{way}: {name}"
            for way, told in found.items()
            for name, score, whole in told
            if way != "clean" and score >= whole
        ),
    )


if __name__ == "__main__":
    main()
