"""What a log shows while a model trains: whether it reads memory, in numbers and as films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from .data import Latents, Mix
from .objective import Range, loss, noise, velocity
from .samples import film, sample

SHOWN = 4
"""Shots of a sample, one beside the other."""
SHOTS = 16
"""Of a probe."""
CASES = {"none": (0, False), "own": (3, False), "strange": (3, True)}
"""What a probe compares: memory frames, and whether they are another story's."""
T = {"low": 0.8, "high": 0.95}
ALL_BUT_PLACES = 1000.0
"""Weight of characters in a probe: memory tells little else, and places would hide it."""


def probe(model: nn.Module, unseen: Latents, expert: str, count: int = 0) -> dict[str, float]:
    """Losses on one fixed batch at one t: without memory, with its story's own, with another story's.

    Memory is read as soon as the second is below the first and the third above it.

    Args:
        count: of shots; 0 for a log's few.
    """
    count = count or SHOTS
    found = {}
    for name, (memory, strange) in CASES.items():
        generator = torch.Generator().manual_seed(0)
        mix = Mix({"m2v": 1.0}, memory=memory, strange=strange, on_characters=ALL_BUT_PLACES)
        shots = unseen.shots(count, mix, generator)
        t = torch.full((count,), T[expert])
        output, target = velocity(model, shots, t, noise(shots, torch.Generator().manual_seed(1)))
        found[f"probe_{name}"] = float(loss(shots, output, target))
    return found


def films(model: nn.Module, vae: Any, unseen: Latents, path: Path, span: Range, shift: float) -> None:
    """The same shots without memory, with their story's own, and with another's, one below the other."""
    rows = []
    for memory, strange in CASES.values():
        generator = torch.Generator().manual_seed(0)
        shots = unseen.shots(SHOWN, Mix({"m2v": 1.0}, memory=memory, strange=strange), generator)
        device = next(model.parameters()).device
        eps = noise(shots, torch.Generator().manual_seed(1)).to(device)
        shots = shots.to(device)
        rows.append(sample(model, shots, eps, shift, span.low, span.high))
    film(vae, rows, path)
