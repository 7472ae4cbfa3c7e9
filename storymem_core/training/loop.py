"""The one training loop: what it does at a step depends on the step alone, so any step can be the last one.

A stage says what is trained and what its loss is; everything random in a step comes from a generator made of
(seed, stage, step). A run that is killed and resumed therefore repeats the losses of an unbroken one.
"""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor

from ..errors import StoryMemError
from . import checkpoints
from .journal import Journal
from .optimizer import optimizer as make_optimizer
from .recipes import Schedule


class Stage(Protocol):
    """What is trained. `model`'s parameters that require gradients are trained, averaged and stored.

    Attributes:
        name: of the stage, part of every step's random seed.
        identity: plain values (sizes, options) that a checkpoint must share to be resumed.
        model: a module; only calls of it (not of its methods) work under FSDP.
    """

    name: str
    identity: Mapping[str, Any]
    model: nn.Module

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The step's losses, scalars: "loss" is minimised, all are logged. The generator is on the CPU."""
        ...

    def probe(self, model: nn.Module, step: int) -> dict[str, float]:
        """Figures for the log from the averaged weights, on fixed data. May be empty."""
        ...

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Write films or pictures made with the averaged weights into a folder. May do nothing."""
        ...


class Result(NamedTuple):
    """How far a run came: steps done in all, and whether they were all."""

    step: int
    finished: bool


def train(
    stage: Stage,
    folder: Path,
    schedule: Schedule,
    *,
    seed: int = 0,
    minutes: float | None = None,
    device: str = "cpu",
) -> Result:
    """Train a stage to the end of its schedule, or as far as the minutes go, from its last checkpoint on.

    Writes under `folder`: checkpoints/ (the last two), log.jsonl (one row a step), plot.png and samples/.
    On return `stage.model` holds the averaged weights.

    Args:
        stage: what to train.
        folder: of this stage alone.
        schedule: steps, learning rate and so on.
        seed: of everything random.
        minutes: after so many, a checkpoint is written and the run returns unfinished. SIGTERM and SIGINT
            (Ctrl-C) do the same; a second one ends the run at once, with what was stored before.
        device: "cpu", or anything else for the accelerator that accelerate finds.

    Raises:
        StoryMemError: the loss is no number (the last good checkpoint stays), the disk is full, or the folder
            holds a checkpoint of another recipe.
    """
    ends = math.inf if minutes is None else time.monotonic() + 60 * minutes
    accelerator = _accelerator(schedule.precision, device)
    model, optimizer = accelerator.prepare(stage.model, make_optimizer(stage.model.parameters(), schedule))
    state = checkpoints.State.of(accelerator.unwrap_model(model), optimizer)
    identity = {"stage": stage.name, "seed": seed, **stage.identity, **schedule.identity()}
    step = checkpoints.load(folder, state, identity)
    journal = Journal(folder, step, quiet=not accelerator.is_main_process)

    def keep() -> None:
        checkpoints.save(folder, state, step, identity, write=accelerator.is_main_process)
        with state.averaged(), torch.no_grad():
            journal.show(stage, model, step)

    with _asked_to_stop() as asked:
        saved = step
        while step < schedule.steps:
            row = _step(stage, model, accelerator, optimizer, schedule, step, seed)
            state.average(min(schedule.ema, (1 + step) / (10 + step)))
            step += 1
            if step % schedule.probe_every == 0 or step == schedule.steps:
                with state.averaged(), torch.no_grad():
                    row |= stage.probe(model, step)
            journal.write({"step": step, **row})
            stop = _any(accelerator, asked.is_set() or time.monotonic() > ends)
            if step % schedule.checkpoint_every == 0 or step == schedule.steps or stop:
                keep()
                saved = step
            if stop:
                break
    assert saved == step
    state.settle()
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return Result(step, step >= schedule.steps)


def left(until: float | None) -> float | None:
    """Minutes until a time of the monotonic clock; None where there is no end."""
    return None if until is None else max(0.0, (until - time.monotonic()) / 60)


def generator(seed: int, stage: str, step: int, rank: int = 0) -> torch.Generator:
    """The source of all that is random in one step of one stage (on one of many processes)."""
    digest = hashlib.sha256(f"{seed}:{stage}:{step}:{rank}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, then half a cosine down to `schedule.floor` of the peak at the last step."""
    if step < schedule.warmup:
        return schedule.lr * (step + 1) / schedule.warmup
    along = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.lr * (schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * along)) / 2)


def _step(
    stage: Stage,
    model: nn.Module,
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    step: int,
    seed: int,
) -> dict[str, float]:
    rate = learning_rate(schedule, step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    with accelerator.autocast():
        losses = stage.loss(model, step, generator(seed, stage.name, step, accelerator.process_index))
    accelerator.backward(losses["loss"])
    norm = accelerator.clip_grad_norm_(model.parameters(), schedule.clip)
    # Under FSDP each process holds its own part of it.
    norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    values = {name: float(value.detach()) for name, value in losses.items()}
    # The gradient is shared by all processes: where one of them lost its footing, all see it and stop.
    if not (math.isfinite(norm) and math.isfinite(values["loss"])):
        raise StoryMemError(
            f"the loss of stage {stage.name} is no longer a number at step {step}",
            value=values["loss"],
            remedy="The last checkpoint is kept. Give a lower rate (`lr` of the recipe, `--lr` of the A14B's "
            "command) and begin this stage again: move its folder away.",
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**values, "lr": rate, "norm": norm}


def _accelerator(precision: str, device: str) -> Accelerator:
    # accelerate keeps the first precision of a process for good; stages may differ in theirs.
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
    if (sharding := getattr(accelerator.state, "fsdp_plugin", None)) and precision == "bf16":
        sharding.mixed_precision_policy = sharded_precision()
    return accelerator


def sharded_precision() -> MixedPrecisionPolicy:
    """Weights of a model spread over GPUs work in bf16, as autocast has them on one GPU; nothing else does.

    accelerate's own policy also rounds what blocks are given (the turns of RoPE, and a timestep near 1000 by
    up to 2) and sums the GPUs' gradients in bf16.
    """
    return MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)


def _any(accelerator: Accelerator, stop: bool) -> bool:
    """Whether any process wants to stop: all must save the same step together."""
    if accelerator.num_processes == 1:
        return stop
    votes = accelerator.reduce(torch.tensor(float(stop), device=accelerator.device), "sum")
    return bool(votes.item() > 0)


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set. They reach the main thread only: elsewhere nobody sets it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: Any) -> None:
        asked.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {
        number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
