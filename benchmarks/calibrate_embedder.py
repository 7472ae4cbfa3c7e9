"""Which threshold an embedder needs: `run.py bench calibrate_embedder [NAME OR CHECKPOINT]`.

StoryMem's 0.90 was chosen for CLIP and says nothing about other embedders. The threshold is found on eight
real photographs, as storymem_core/keyframes/calibration.py does it; its errors on other places stand beside.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from benchmarks.photos import NEIGHBOUR, SCENES, photo
from runner.benchmark import report
from storymem_core.keyframes import calibration, embedders
from storymem_core.keyframes.calibration import HEIGHT, WIDTH, Cosines, below, chosen, equal_error, view

SHOTS = 12  # of each photo


def cosines(embedder: embedders.Embedder, shots: int = SHOTS) -> Cosines:
    """Of `shots` shots of each photo."""
    return calibration.cosines(embedder, [photo(path) for path in SCENES.values()], shots)


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
