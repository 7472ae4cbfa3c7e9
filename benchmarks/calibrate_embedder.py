"""Which threshold an embedder needs: `run.py bench calibrate_embedder [NAME OR CHECKPOINT]`.

StoryMem's 0.90 was chosen for CLIP and says nothing about other embedders. From eight real photographs this
makes short shots (a slow pan and zoom, drifting exposure, something small that moves, sensor noise) and cuts.
Two frames of one shot show the SAME view. Cuts show a NEW view: another part of the same place, a close-up of
it (both as hard as a story gets: one place, one light), or another place. The threshold is where equally many
of the same views are taken for new ones and of the new views of the same place for the same (equal error
rate); other places are far easier, so they do not count, but their errors are told too.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.photos import NEIGHBOUR, SCENES, photo, view
from runner.benchmark import report
from storymem_core import embedders

HEIGHT, WIDTH = 240, 416
FRAMES = 5
SHOTS = 12  # of each photo
GRID = torch.arange(0, 101) / 100


class Cosines(NamedTuple):
    """Pairs of frames, and which photo each is from: [P] each."""

    same: Tensor
    elsewhere_here: Tensor
    close_up: Tensor
    other_place: Tensor
    same_of: Tensor
    new_of: Tensor


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def shot(image: Tensor, generator: torch.Generator) -> list[Tensor]:
    """FRAMES frames of one take, then a cut to another part of the same photo, then one to a close-up."""

    def draw(low: float, high: float) -> float:
        return uniform(generator, low, high)

    size = draw(0.45, 0.6)
    margin = size / 2
    y, x = draw(margin, 1 - margin), draw(margin, 1 - margin)
    pan_y, pan_x, zoom, gain = draw(-0.06, 0.06), draw(-0.06, 0.06), draw(0.87, 1.0), draw(0.85, 1.15)
    mover_y, mover_x, walk = draw(0.2, 0.7), draw(0.2, 0.7), draw(-0.05, 0.05)
    frames = []
    for part in torch.linspace(0, 1, FRAMES).tolist():
        frame = view(image, HEIGHT, WIDTH, (y + pan_y * part, x + pan_x * part, size * zoom**part))
        frame = _moved(frame, mover_y, mover_x, walk * part) * gain**part
        frames.append(_seen(frame, generator))
    # The corner farthest away, or a close-up of the middle.
    far_y, far_x = (margin if y > 0.5 else 1 - margin), (margin if x > 0.5 else 1 - margin)
    for window in ((far_y, far_x, size), (y, x, size / draw(2.2, 3.0))):
        frames.append(_seen(view(image, HEIGHT, WIDTH, window), generator))
    return frames


def _moved(frame: Tensor, y: float, x: float, walk: float) -> Tensor:
    """A patch of a quarter of the height, moved sideways by `walk` of the width."""
    top, left, side, by = round(y * HEIGHT), round(x * WIDTH), HEIGHT // 4, round(walk * WIDTH)
    patch = frame[top : top + side, left : left + side].clone()
    frame[top : top + side, left + by : left + by + side] = patch
    return frame


def _seen(frame: Tensor, generator: torch.Generator) -> Tensor:
    return (frame + 0.01 * torch.randn(frame.shape, generator=generator)).clamp(0, 1)


def cosines(embedder: embedders.Embedder, shots: int = SHOTS) -> Cosines:
    """Embed `shots` shots of each photo, always the same ones, and compare each shot's first frame."""
    generator = torch.Generator().manual_seed(0)
    frames = [
        frame for path in SCENES.values() for _ in range(shots) for frame in shot(photo(path), generator)
    ]
    rows = embedder(torch.stack(frames)).reshape(len(SCENES), shots, FRAMES + 2, -1)
    first = rows[:, :, 0]
    to_first = (rows * first[:, :, None]).sum(-1)
    of = torch.arange(len(SCENES))[:, None].expand(-1, shots)
    flat = first.flatten(0, 1)
    different = of.flatten()[:, None] != of.flatten()[None]
    return Cosines(
        same=to_first[:, :, 1:FRAMES].flatten(),
        elsewhere_here=to_first[:, :, FRAMES].flatten(),
        close_up=to_first[:, :, FRAMES + 1].flatten(),
        other_place=(flat @ flat.T)[different],
        same_of=of.repeat_interleave(FRAMES - 1, dim=1).flatten(),
        new_of=of.flatten(),
    )


def equal_error(same: Tensor, new: Tensor) -> float:
    """The threshold, in hundredths, at which as many same views fall below it as new views reach it; the
    middle of such thresholds if there are several."""
    difference = (below(same, GRID) - (1 - below(new, GRID))).abs()
    best = (difference == difference.min()).nonzero().flatten()
    return int(best[len(best) // 2]) / 100


def below(values: Tensor, thresholds: Tensor) -> Tensor:
    """What part of `values` lies below each of `thresholds` [T] -> [T]."""
    return (values[None] < thresholds[:, None]).double().mean(1)


def chosen(pairs: Cosines) -> float:
    return equal_error(pairs.same, torch.cat([pairs.elsewhere_here, pairs.close_up]))


def without_one_photo(pairs: Cosines) -> tuple[float, float]:
    """The least and the greatest threshold found when one of the photos is left out."""
    found = []
    for photo_number in range(len(SCENES)):
        new = pairs.new_of != photo_number
        kept = torch.cat([pairs.elsewhere_here[new], pairs.close_up[new]])
        found.append(equal_error(pairs.same[pairs.same_of != photo_number], kept))
    return min(found), max(found)


def row(pairs: Cosines, threshold: float) -> dict[str, float]:
    def part_below(values: Tensor) -> float:
        return round(float(below(values, torch.tensor([threshold]))), 4)

    return {
        "threshold": threshold,
        "same view taken for new": part_below(pairs.same),
        "other part taken for same": 1 - part_below(pairs.elsewhere_here),
        "close-up taken for same": 1 - part_below(pairs.close_up),
        "other place taken for same": 1 - part_below(pairs.other_place),
    }


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else embedders.EfficientNetLite0.name
    embedder = embedders.get(name)
    pairs = cosines(embedder)
    threshold = chosen(pairs)
    steps = sorted({*(i / 100 for i in range(50, 100, 5)), threshold})
    low, high = without_one_photo(pairs)
    parallax = embedder(
        torch.stack([view(photo(p["motorcycle"]), HEIGHT, WIDTH) for p in (SCENES, NEIGHBOUR)])
    )
    report(
        "calibrate_embedder" if name in embedders.NAMES else "calibrate_embedder_checkpoint",
        [row(pairs, step) for step in steps],
        embedder=embedder.name,
        threshold=threshold,
        threshold_without_one_photo=[low, high],
        threshold_in_the_code=embedder.threshold,
        cosine_of_neighbouring_cameras=float(parallax[0] @ parallax[1]),
        pairs={"same": len(pairs.same), "new": 2 * len(pairs.new_of), "other": len(pairs.other_place)},
    )


if __name__ == "__main__":
    main()
