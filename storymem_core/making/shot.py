"""One shot of a story: from its key to its place on disk.

script -> MEMORY -> CONDITIONING -> SAMPLING -> FRAMES -> KEYFRAMES -> memory ... -> film: this module walks
the middle of that way once. A shot that is stored already under the same key is not made again. Where only
the memory after it can be another, its frames are taken from the stored copy (same_frames.py).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..conditioning.positions import memory_positions, temporal_positions
from ..conditioning.start import check_size, check_start
from ..errors import StoryMemError
from ..frames.counts import latent_frames
from ..frames.pixels import as_images, quantise
from ..host import conditioning, fingerprint, lora, prompt, sampling, vae
from ..host.memory import give_memory, input_channels, kind
from ..host.vae import check_vae
from ..keyframes.embedders import Embedder
from ..keyframes.filter import Filter
from ..keyframes.remember import remember
from ..memory.bank import MemoryBank
from ..memory.references import picked, seen_by
from ..memory.story_edits import check_added
from ..models.wan_shapes import I2V_CHANNELS, T2V_CHANNELS
from ..script.plan import ShotPlan
from ..store import same_frames
from ..store.outline import FIRST_TAKE, Decision
from ..store.project import Project
from ..store.stored_shot import differences
from ..store.takes import Standing, chosen_anew, kept_frames, standing
from .shot_images import Given
from .shot_record import of_the_story, told_of

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
    memory: MemoryBank,
    images: Given,
    decision: Decision = FIRST_TAKE,
    follows: str | None = None,
) -> tuple[Standing, bool]:
    """Make a shot and store it, or find a copy of it that stands.

    Where a stored copy has the same frames under another key, they are kept: the models are not called.

    Args:
        memory: the memory before the shot; of its references the shot sees those that it needs.
        images: the frames it starts from, plan.given of them, and the one it ends on.
        decision: what a person decided about the shot.
        follows: `frames_of` of the shot before it in the film.

    Returns:
        The stored shot with what is stale of it, and whether it was stored before.

    Raises:
        StoryMemError: anything about the input that cannot be, before the first step of sampling; latents
            that are not finite; no space left.
    """
    check(plan, models, settings, choice, memory)
    asked = made_of = ingredients(plan, models, settings, choice, memory, images)
    found = standing(project, plan.id, made_of, decision)
    if found is not None:
        log.info("shot %s is there already (%s)", plan.id, found.shot.key[:12])
        return found, True
    kept = kept_frames(project, plan.id, made_of, decision)
    if kept is not None:  # with the memory that they saw
        made_of, memory, follows = chosen_anew(kept, made_of), kept.before(), kept.row.get("follows")
    changed = project.changes(plan.id, made_of)
    watch, seen = Stopwatch(), seen_by(memory, plan.references)
    doubted = doubts(models, plan, settings.spacing, sees_memory=bool(seen.frames))
    for doubt in doubted:
        log.warning("shot %s: %s", plan.id, doubt)
    kept = kept or same_frames.stored(project, made_of, seen)
    if kept is None:
        why = "new" if changed is None else f"changed: {', '.join(changed)}"
        log.info("shot %s is made: %s", plan.id, why)
        frames = render(plan, models, settings, seen, images, watch)
    else:
        frames = kept.all_frames()
    with watch("keyframes"):
        after = remember(
            memory, frames, choice.embedder, choice.filter,
            shot=plan.id, limit=choice.limit, first=plan.dropped, added=plan.added,
        )  # fmt: skip
    row = {
        **told_of(plan, seen, after, follows, None if kept is None else kept.frames_of),
        "positions": list(temporal_positions(len(seen.frames), latent_frames(plan.frames), settings.spacing)),
        "lora": loras(models),
        "models": {part: made_of[f"models.{part}"] for part in ("high", "low", "vae", "clip")},
        "changed": list(changed or ()),
        "doubts": [*doubted, *after.doubts],
        "seconds": watch.seconds,
    }
    stored = project.store(project.key(made_of), made_of, row, frames, memory, after.keyframes)
    return Standing(stored, differences(made_of, asked)), False


def check(plan: ShotPlan, models: Models, settings: Settings, choice: Choice, memory: MemoryBank) -> None:
    """Refuse a shot that cannot be made, before any work.

    Raises:
        StoryMemError: another VAE or model, a length that cannot be, a bank of another embedder or without a
            reference that the shot needs, added frames that it will not have, steps that the sampler cannot
            share between two experts.
    """
    check_vae(models.vae)
    check_start(plan.given, plan.frames, plan.end_image is not None)
    memory.embedded_by(choice.embedder.name)
    check_added(plan.id, plan.added, plan.own, memory)
    picked(memory, plan.references)
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
    memory: MemoryBank,
    images: Given,
) -> dict[str, Any]:
    """All that makes a shot, by the names under which a person is told of a change."""
    return {
        "recipe": RECIPE,
        **of_the_story(plan, choice, memory, images),
        "models.high": fingerprint.of_model(models.high),
        "models.low": fingerprint.of_model(models.low),
        "models.vae": fingerprint.of_vae(models.vae),
        "models.clip": fingerprint.of_clip(models.clip),
        **{name.replace("_", " "): value for name, value in asdict(settings).items()},
    }


def render(
    plan: ShotPlan,
    models: Models,
    settings: Settings,
    seen: MemoryBank,
    images: Given,
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
            start, end = (None if frames is None else as_images(frames) for frames in images)
            positive, negative, latent = conditioning.condition_shot(
                positive, negative, models.vae, start, **size, end=end
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


def loras(models: Models) -> dict[str, Any] | None:
    """What M2V LoRAs each expert carries, as StoryMemM2VLora noted it; None without."""
    notes = {"high": lora.reports(models.high), "low": lora.reports(models.low)}
    return notes if any(notes.values()) else None


def doubts(models: Models, plan: ShotPlan, spacing: float, *, sees_memory: bool) -> tuple[str, ...]:
    """What is suspicious about the LoRAs of a shot: none where it sees memory, or one that seems to be made
    for the other expert, or for another overlap or spacing than this shot's.

    Args:
        models: with the shot's own LoRA, or without.
        sees_memory: there is memory before the shot.
    """
    return tuple(
        doubt
        for expert, model in (("high", models.high), ("low", models.low))
        for doubt in lora.doubts(
            model,
            # A LoRA that the shot has of its own may be the one that reads memory.
            sees_memory=sees_memory and not (plan.lora and getattr(plan.lora, expert)),
            expert=expert,
            overlap=plan.given or None,
            spacing=spacing,
        )
    )


class Stopwatch:
    """Seconds per part of a shot."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[part] = round(time.perf_counter() - begin, 3)
