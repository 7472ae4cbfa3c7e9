"""How a model without memory best learns to read it: by adapters of several ranks, or by all of its weights.

All start from the same trunk and see the same batches at all noise levels, for so few steps that an hour
will do. One has the loss on the memory's own slots too. The figures are losses of characters' latents on
unseen stories, without memory, with their own and with another story's: memory is read as far as the second
is below the first and the third above it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from runner.benchmark import report, table
from storymem_core.training import checkpoints, loop, objective, probe
from storymem_core.training.adapter import with_adapter
from storymem_core.training.base import TRUNK, prepared, transformer
from storymem_core.training.data import Latents
from storymem_core.training.memory_lora import MemoryStage
from storymem_core.training.recipes import TINY, Schedule

SHOTS = 96
WHOLE = objective.Range("low", 0.0, 1.0)


class Way(NamedTuple):
    """A way to learn: the adapter's rank (0: all weights), the peak rate, and whether the slots count."""

    rank: int
    lr: float
    on_memory: bool = False


WAYS = (
    Way(128, 1e-3), Way(60, 1.5e-3), Way(32, 3e-3), Way(0, 1.5e-3), Way(0, 3e-3), Way(128, 1e-3, True)
)  # fmt: skip
"""All weights at two rates: what suits an adapter may not suit them."""


class Quiet(MemoryStage):
    """Learns memory without films and probes on the way."""

    def probe(self, model: torch.nn.Module, step: int) -> dict[str, float]:
        return {}

    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> None:
        pass


def measure(way: Way, steps: int, trained: Path, latents: Latents) -> dict[str, Any]:
    """A row of the result: what is told of the way, and its losses."""
    schedule = Schedule(steps=steps, batch=16, lr=way.lr, warmup=50, checkpoint_every=steps)
    rank = way.rank or TINY.lora.rank
    lora = replace(TINY.lora, schedule=schedule, rank=rank, alpha=rank, loss_on_memory=way.on_memory)
    recipe = replace(TINY, lora=lora)
    model = transformer(recipe)
    model.load_state_dict(checkpoints.averages(trained / "base" / TRUNK))
    if way.rank:
        model = with_adapter(model, lora.rank, lora.alpha)
    # Nothing of a VAE is needed where no films are made. One name for all: a stage's batches come from it.
    stage = Quiet(prepared(model, schedule, "cpu"), latents, None, recipe, WHOLE, schedule.batch)
    with TemporaryDirectory() as folder:
        if not loop.train(stage, Path(folder), schedule, device="cpu").finished:
            raise SystemExit("stopped: what a part of the steps gives is no figure")
    losses = {
        f"{name.removeprefix('probe_')}_{t}": round(value, 4)
        for expert, t in probe.T.items()
        for name, value in probe.probe(model, stage.unseen, expert, SHOTS).items()
    }
    weights = sum(value.numel() for value in stage.model.parameters() if value.requires_grad)
    return {**way._asdict(), "millions": round(weights / 1e6, 2), "steps": steps, **losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=Path, required=True, help="a folder of `run.py train tiny`")
    parser.add_argument("--steps", type=int, default=600)
    given = parser.parse_args()
    latents = Latents.read(given.training / "latents")
    rows = []
    for way in WAYS:
        rows.append(measure(way, given.steps, given.training, latents))
        print(table(rows[-1:]), flush=True)
    report("adapters", rows, shots=SHOTS)


if __name__ == "__main__":
    main()
