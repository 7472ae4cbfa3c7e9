"""A stage so small that its whole training takes a moment.

python toy_training.py FOLDER PAUSE    trains it there, with so many seconds of pause a step
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

import torch  # noqa: E402

from storymem_core.training.loop import train  # noqa: E402
from storymem_core.training.recipes import Schedule  # noqa: E402

SCHEDULE = Schedule(
    steps=60, batch=8, lr=1e-2, warmup=5, ema=0.9, precision="no", checkpoint_every=10, probe_every=20
)


class Toy:
    """Learns to turn rows of numbers round. Its loss is what `at` makes of it at a step."""

    name = "toy"

    def __init__(self, width: int = 12, pause: float = 0.0, broken_at: int = -1):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Linear(width, width))
        self.width, self.pause, self.broken_at = width, pause, broken_at
        self.identity = {"width": width}

    def loss(self, model, step, generator):
        time.sleep(self.pause)
        rows = torch.randn(8, self.width, generator=generator)
        loss = (model(rows) - rows.flip(1)).square().mean()
        return {"loss": loss * float("nan") if step == self.broken_at else loss}

    def probe(self, model, step):
        return {"sum": float(model(torch.ones(1, self.width)).sum())}

    def sample(self, model, folder, step):
        pass


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Toy(pause=float(sys.argv[2])), Path(sys.argv[1]), SCHEDULE)
