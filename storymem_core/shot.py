"""One shot of a story: from its key to its place on disk.

script -> MEMORY -> CONDITIONING -> SAMPLING -> FRAMES -> KEYFRAMES -> memory ... -> film: this module walks
the middle of that way once. A shot that is stored already under the same key is not made again.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from .conditioning import check_size, check_start
from .embedders import Embedder
from .errors import StoryMemError
from .filter import Filter
from .frames import latent_frames
from .host import conditioning, fingerprint, lora, prompt, sampling, vae
from .host.memory import I2V_CHANNELS, T2V_CHANNELS, give_memory, input_channels, kind
from .host.vae import check_vae
from .lora_doubts import warnings
from .memory import MemoryBank, MemoryFrame, account, quantise
from .outline import FIRST_TAKE, Decision
from .positions import memory_positions, temporal_positions
from .project import Project
from .remember import Remembered, as_images, remember
from .story import ShotPlan
from .takes import Standing, standing

RECIPE = 1
"""Version of the way a shot is made. It enters every key: raise it when the same inputs give other frames."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    """What makes the pictures: the host's MODEL (two experts), VAE and CLIP."""

    high: Any
    low: Any
    vae: Any
    clip: Any


@dataclass(frozen=True)
class Settings:
    """How every shot of a story is sampled."""

    width: int
    height: int
    steps: int
    cfg_high: float
    cfg_low: float
    sampler_name: str
    scheduler: str
    shift: float
    boundary: float
    spacing: float

    def __post_init__(self) -> None:
        check_size(self.width, self.height)
        memory_positions(0, self.spacing)
        for name in ("cfg_high", "cfg_low", "shift", "boundary"):
            if not math.isfinite(getattr(self, name)):
                raise StoryMemError(
                    f"{name} must be a finite number", value=getattr(self, name), remedy="Use the default."
                )


@dataclass(frozen=True)
class Choice:
    """How keyframes are chosen."""

    embedder: Embedder
    filter: Filter | None
    limit: int


def make(
    project: Project,
    plan: ShotPlan,
    models: Models,
    settings: Settings,
    choice: Choice,
    seen: MemoryBank,
    start: np.ndarray | None,
    decision: Decision = FIRST_TAKE,
    follows: str | None = None,
) -> tuple[Standing, bool]:
    """Make a shot and store it, or find a copy of it that stands.

    Args:
        seen: the memory before the shot.
        start: the frames it goes on from, uint8 [plan.dropped, H, W, 3]; None for a cut.
        decision: what a person decided about the shot.
        follows: key of the shot before it in the film.

    Returns:
        The stored shot with what is stale of it, and whether it was stored before.

    Raises:
        StoryMemError: anything about the input that cannot be, before the first step of sampling; latents
            that are not finite; no space left.
    """
    check(plan, models, settings, choice, seen)
    made_of = ingredients(plan, models, settings, choice, seen, start)
    found = standing(project, plan.id, made_of, decision)
    if found is not None:
        log.info("shot %s is there already (%s)", plan.id, found.shot.key[:12])
        return found, True
    changed = project.changes(plan.id, made_of)
    log.info("shot %s is made: %s", plan.id, "new" if changed is None else f"changed: {', '.join(changed)}")
    for doubt in doubts(models, plan, settings.spacing):
        log.warning("shot %s: %s", plan.id, doubt)
    watch = Stopwatch()
    frames = render(plan, models, settings, seen, start, watch)
    with watch("keyframes"):
        after = remember(
            seen, frames, choice.embedder, choice.filter, shot=plan.id, limit=choice.limit, first=plan.dropped
        )
    row = {
        **told_of(plan, seen, after, follows),
        "positions": list(temporal_positions(len(seen.frames), latent_frames(plan.frames), settings.spacing)),
        "lora": loras(models),
        "models": {part: made_of[f"models.{part}"] for part in ("high", "low", "vae", "clip")},
        "changed": list(changed or ()),
        "seconds": watch.seconds,
    }
    keyframes = MemoryBank(after.kept, seen.sink, seen.capacity, seen.embedder)
    return Standing(project.store(project.key(made_of), made_of, row, frames, seen, keyframes)), False


def check(plan: ShotPlan, models: Models, settings: Settings, choice: Choice, seen: MemoryBank) -> None:
    """Refuse a shot that cannot be made, before any work.

    Raises:
        StoryMemError: another VAE or model, a length that cannot be, a bank of another embedder, steps that
            the sampler cannot share between two experts.
    """
    check_vae(models.vae)
    check_start(plan.dropped, plan.frames)
    seen.embedded_by(choice.embedder.name)
    channels, pair = (T2V_CHANNELS, "t2v") if plan.mode == "t2v" else (I2V_CHANNELS, "i2v")
    for model in (models.high, models.low):
        if input_channels(model) != channels:
            raise StoryMemError(
                f"shot {plan.id!r} ({plan.mode}) needs models with {channels} input channels",
                value=kind(model),
                remedy=f"Load wan2.2_{pair}_high_noise_14B and wan2.2_{pair}_low_noise_14B.",
            )
    sampling.stages(
        models.high, sampler_name=settings.sampler_name, scheduler=settings.scheduler, steps=settings.steps,
        shift=settings.shift, boundary=settings.boundary,
    )  # fmt: skip


def ingredients(
    plan: ShotPlan,
    models: Models,
    settings: Settings,
    choice: Choice,
    seen: MemoryBank,
    start: np.ndarray | None,
) -> dict[str, Any]:
    """All that makes a shot, by the names under which a person is told of a change."""
    return {
        "recipe": RECIPE,
        **of_the_story(plan, choice, seen, start),
        "models.high": fingerprint.of_model(models.high),
        "models.low": fingerprint.of_model(models.low),
        "models.vae": fingerprint.of_vae(models.vae),
        "models.clip": fingerprint.of_clip(models.clip),
        **{name.replace("_", " "): value for name, value in asdict(settings).items()},
    }


def of_the_story(
    plan: ShotPlan, choice: Choice, seen: MemoryBank, start: np.ndarray | None
) -> dict[str, Any]:
    """The ingredients that a story gives to a shot, whatever makes its frames."""
    return {
        "shot": plan.id,
        "prompt": plan.prompt,
        "negative prompt": plan.negative_prompt or "",
        "mode": plan.mode,
        "seed": plan.seed,
        "length": plan.frames,
        "start frames": None if start is None else hashlib.sha256(start.tobytes()).hexdigest(),
        **account(seen),
        "embedder": choice.embedder.name,
        "embedder's threshold": choice.embedder.threshold,
        "filter": None if choice.filter is None else choice.filter.summary,
        "keyframe limit": choice.limit,
    }


def render(
    plan: ShotPlan,
    models: Models,
    settings: Settings,
    seen: MemoryBank,
    start: np.ndarray | None,
    watch: Stopwatch,
) -> np.ndarray:
    """The shot's frames, uint8 [F, H, W, 3]."""
    size = {"width": settings.width, "height": settings.height, "length": plan.frames}
    with watch("text"):
        positive = prompt.encode(models.clip, plan.prompt)
        negative = prompt.encode(models.clip, plan.negative_prompt or "")
    with watch("conditioning"):
        if plan.mode == "t2v":
            latent = {"samples": conditioning.empty_latent(**size)}
        else:
            images = None if start is None else as_images(start)
            positive, negative, latent = conditioning.condition_shot(
                positive, negative, models.vae, images, **size
            )
    with watch("memory"):
        high, low = give_memory(
            (models.high, models.low),
            models.vae,
            [frame.picture for frame in seen.frames],
            latent["samples"],
            seed=plan.seed,
            spacing=settings.spacing,
        )
    with watch("sampling"):
        latent = sampling.sample(
            high, low, positive, negative, latent, seed=plan.seed, steps=settings.steps,
            cfg_high=settings.cfg_high, cfg_low=settings.cfg_low, sampler_name=settings.sampler_name,
            scheduler=settings.scheduler, shift=settings.shift, boundary=settings.boundary, shot=plan.id,
        )  # fmt: skip
    with watch("decoding"):
        return quantise(vae.decode(models.vae, latent["samples"], shot=plan.id).numpy())


def told_of(
    plan: ShotPlan, seen: MemoryBank, after: Remembered, follows: str | None = None
) -> dict[str, Any]:
    """What story.json tells of a shot, whatever made its frames: its plan, what it saw and what it gave.

    Args:
        follows: key of the shot before it.
    """
    return {
        **asdict(plan),
        "follows": follows,
        "made": datetime.now(timezone.utc).isoformat(),
        "memory": [told(frame) for frame in seen.frames],
        "keyframes": [told(frame) for frame in after.kept],
        "selection": after.report.splitlines(),
    }


def told(frame: MemoryFrame) -> dict[str, Any]:
    """A memory frame as story.json tells it: its pixels' hash, where it comes from, its score."""
    return {
        "sha256": frame.sha256,
        **asdict(frame.origin),
        "score": frame.score,
        "similarity": frame.similarity,
        "pinned": frame.pinned,
    }


def loras(models: Models) -> dict[str, Any] | None:
    """What M2V LoRAs each expert carries, as StoryMemM2VLora noted it; None without."""
    notes = {"high": lora.reports(models.high), "low": lora.reports(models.low)}
    return notes if any(notes.values()) else None


def doubts(models: Models, plan: ShotPlan, spacing: float) -> list[str]:
    """LoRAs that seem to be made for the other expert, or for another overlap or spacing than this shot's."""
    return [
        doubt
        for expert, notes in (loras(models) or {}).items()
        for note in notes
        for doubt in warnings(note, expert=expert, overlap=plan.dropped or None, spacing=spacing)
    ]


class Stopwatch:
    """Seconds per part of a shot."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[part] = round(time.perf_counter() - begin, 3)
