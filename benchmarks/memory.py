"""What memory is worth: `run.py bench memory [--stories N] [--steps N] [--models FOLDER]`.

A hero's looks are never in the text, so only memory can tell them. Each story asks for one shot, in a place
that no memory picture shows, and every row makes the same shots from the same noise: without memory, with the
hero's own pictures, and with another hero's pictures from the same scenes (swapped), by the pack's own
functions on the real host. `identity_error` is how far the hero that is seen is from the asked one, found by
drawing the clip again (storymem_core/small_world/measure.py): a mean absolute difference of colours in -1..1;
`to_other` is the same against the other hero, `stderr` the standard error of the mean. `place` and `action`
are the shares of shots that show what the text says. `path` says where the memory is: inside the model on its
known path (analytic), or in latents that go through the sampler (the release's way). `lora` says whether the
M2V LoRA is loaded; none without it is the plain base. The ceiling is two unrelated heroes; the floor is the
truth, encoded and decoded.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.hero_shots import demo
from benchmarks.hero_shots.asked import LENGTH, Asked, ask
from runner.benchmark import report
from storymem_core.small_world.measure import Seen, see


class Way(NamedTuple):
    """One row: how a shot is made."""

    memory: int
    source: str
    spacing: float = 5.0
    path: str = "analytic"
    lora: bool = True


WAYS = (
    Way(0, "none", lora=False),
    Way(0, "none"),
    *(Way(count, "own") for count in (1, 3, 8, 10)),
    *(Way(count, "swapped") for count in (1, 3, 8, 10)),
    *(Way(count, "own", spacing=1.0) for count in (1, 3, 8, 10)),
    *(Way(count, "own", path="sampler") for count in (1, 3, 8, 10)),
    Way(3, "own", lora=False),
)
BASE, THREE = WAYS[0], Way(3, "own")


class Look(NamedTuple):
    """One clip: how far its hero is from the asked one and from the other, and what else is right."""

    asked: float
    other: float
    place: bool
    action: bool

    @classmethod
    def at(cls, frames: np.ndarray, asked: Asked) -> Look:
        seen: Seen = see(frames, asked.scene)
        return cls(
            seen.identity_error(asked.cast.hero),
            seen.identity_error(asked.other.hero),
            (seen.place, seen.time) == (asked.scene.place, asked.scene.time),
            seen.action == asked.scene.action,
        )


class Job(NamedTuple):
    """A story's number, and how its shots are made."""

    number: int
    models: Path
    settings: tuple[tuple[str, Any], ...]
    size: int


def looks(job: Job) -> dict[str | Way, Look]:
    """Every row's look at one story, and those at the truth and at its round trip through the VAE."""
    from benchmarks.hero_shots import made
    from storymem_core.making.shot import Settings

    asked = ask(job.number)
    truth = asked.truth(job.size)
    bare, tuned = demo.models(job.models)
    found: dict[str | Way, Look] = {
        "truth": Look.at(truth, asked),
        "floor": Look.at(made.round_trip(bare, truth), asked),
    }
    for way in WAYS:
        settings = Settings(width=job.size, height=job.size, spacing=way.spacing, **dict(job.settings))
        cast = asked.other if way.source == "swapped" else asked.cast
        make = made.denoised if way.path == "sampler" else made.inside
        pictures = asked.memory(cast, way.memory, job.size)
        models = tuned if way.lora else bare
        frames = make(models, settings, asked.prompt, pictures, seed=job.number, length=LENGTH)
        found[way] = Look.at(frames, asked)
    return found


def row(way: Way, seen: Sequence[Look]) -> dict[str, Any]:
    mean, error = _mean([look.asked for look in seen])
    return {
        "memory": way.memory,
        "source": way.source,
        "spacing": way.spacing,
        "path": way.path,
        "lora": "yes" if way.lora else "no",
        "identity_error": mean,
        "stderr": error,
        "to_other": _mean([look.other for look in seen])[0],
        "place": float(np.mean([look.place for look in seen])),
        "action": float(np.mean([look.action for look in seen])),
        "n": len(seen),
    }


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def differences(seen: dict[Way, list[Look]]) -> list[dict[str, Any]]:
    """How much worse S = 1 and slots through the sampler are, shot by shot."""
    told = []
    for way in seen:
        if way != (plain := Way(way.memory, way.source)) and way.lora and plain in seen:
            pairs = zip(seen[way], seen[plain], strict=True)
            mean, error = _mean([one.asked - other.asked for one, other in pairs])
            told.append(
                {
                    "memory": way.memory,
                    "spacing": way.spacing,
                    "path": way.path,
                    "worse_by": mean,
                    "stderr": error,
                }
            )
    return told


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py bench memory", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--stories", type=int, default=50, metavar="N", help="shots of each row (default: 50)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="of sampling (default: the demo's)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a models folder (default: the demo's)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: cores)"
    )
    return parser.parse_args(words)


def main() -> None:
    given = arguments()
    folder = demo.models_folder(given.models, demo.say)
    settings, size = demo.sampling(given.steps)
    jobs = [Job(number, folder, tuple(settings.items()), size) for number in range(given.stories)]
    found: list[dict[str | Way, Look]] = []
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn"), initializer=demo.start) as pool:
        for done in pool.map(looks, jobs):
            found.append(done)
            demo.say(f"story {len(found)} of {given.stories}")
    seen = {way: [each[way] for each in found] for way in WAYS}
    errors = {way: _mean([look.asked for look in seen[way]])[0] for way in WAYS}
    report(
        "memory",
        [row(way, seen[way]) for way in WAYS],
        ceiling=_bound([each["truth"].other for each in found]),
        floor=_bound([each["floor"].asked for each in found]),
        truth=_bound([each["truth"].asked for each in found]),
        three_over_none=errors[THREE] / errors[BASE],
        differences=differences(seen),
        settings={**settings, "size": size, "length": LENGTH},
    )


def _bound(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(("identity_error", "stderr"), _mean(values), strict=True))


if __name__ == "__main__":
    main()
