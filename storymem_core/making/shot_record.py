"""What a stored shot tells of itself: what made it, and its row of story.json (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from ..lora.extra_lora import as_widgets
from ..memory.bank import MemoryBank, MemoryFrame, account
from ..memory.references import as_text
from ..script.plan import ShotPlan

if TYPE_CHECKING:
    from ..keyframes.remember import Remembered
    from .shot import Choice
    from .shot_images import Given

ADDED = "added keyframes"

OWN: Mapping[str, Any] = {
    "references": as_text(None),
    "start image": None,
    "end image": None,
    "lora strength": 1.0,
    **{name.replace("_", " "): value for name, value in as_widgets(None).items()},
    ADDED: [],
}
"""What a shot may have of its own -> what it is where a shot has not. That is left out of its key, so that
shots which were stored before it could be had are found again."""


def digest(frames: np.ndarray | None) -> str | None:
    """sha256 (hex) of frames, by which a key tells them; None of none."""
    return None if frames is None else hashlib.sha256(frames.tobytes()).hexdigest()


def of_the_story(plan: ShotPlan, choice: Choice, memory: MemoryBank, images: Given) -> dict[str, Any]:
    """The ingredients that a story gives to a shot, whatever makes its frames."""
    start, end = map(digest, images)
    own = {
        "references": as_text(plan.references),
        "start image": start if plan.cut else None,
        "end image": end,
        "lora strength": float(plan.lora_strength),
        **{name.replace("_", " "): value for name, value in as_widgets(plan.lora).items()},
        ADDED: list(plan.added),
    }
    return {
        "shot": plan.id,
        "prompt": plan.prompt,
        "negative prompt": plan.negative_prompt or "",
        "mode": plan.mode,
        "seed": plan.seed,
        "length": plan.frames,
        "start frames": None if plan.cut else start,
        **{name: value for name, value in own.items() if value != OWN[name]},
        **account(memory),
        "embedder": choice.embedder.name,
        "embedder's threshold": choice.embedder.threshold,
        "filter": None if choice.filter is None else choice.filter.summary,
        "keyframe limit": choice.limit,
    }


def told_of(
    plan: ShotPlan,
    seen: MemoryBank,
    after: Remembered,
    follows: str | None = None,
    frames_of: str | None = None,
) -> dict[str, Any]:
    """What story.json tells of a shot, whatever made its frames: its plan, what it saw and what it gave.

    Args:
        follows: `frames_of` of the shot before it, whose end is the same for all copies with these frames.
        frames_of: key of the stored copy for which its frames were made; None: they were made for this one.
    """
    return {
        **asdict(plan),
        "follows": follows,
        "frames_of": frames_of,
        "made": datetime.now(timezone.utc).isoformat(),
        "memory": [told(frame) for frame in seen.frames],
        "keyframes": [told(frame) for frame in after.kept],
        "selection": after.report.splitlines(),
        "doubts": list(after.doubts),
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
