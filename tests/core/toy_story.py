"""A story told without models: shots that know their takes, their memory and what they go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stories import NOTHING, remembered

from storymem_core.memory.bank import MemoryBank, account, update
from storymem_core.script.script import take_seed
from storymem_core.store.outline import Outline
from storymem_core.store.project import Project, Story
from storymem_core.store.takes import standing

SIZE = (16, 16)


def shot(shot_id: str, cut: bool = True, prompt: str = "A fox.", seed: int = 5) -> dict[str, Any]:
    """A shot as a script asks for it."""
    return {"shot_id": shot_id, "prompt": prompt, "seed": seed, "cut": cut, "overlap": 1, "length": 5}


SHOTS = (shot("wake"), shot("trot", cut=False), shot("lake"), shot("swim", cut=False))


def run(
    folder: Path,
    shots: Sequence[dict[str, Any]] = SHOTS,
    stop: int | None = None,
    memory: MemoryBank = NOTHING,
) -> Story:
    """The whole story, as the loop makes it; with `stop` only so many shots of it.

    Args:
        memory: before the first shot.
    """
    project = Project.open(folder)
    project.outlined(replace(project.outline(), shots=tuple(shots)))
    story = Story(str(project.folder))
    for asked in shots[:stop]:
        story = _add(project, story, asked, project.outline(), memory)
    return story


def _add(
    project: Project, story: Story, asked: dict[str, Any], outline: Outline, memory: MemoryBank
) -> Story:
    decision = outline.of(asked["shot_id"])
    seen = story.memory().load() if story.keys else memory
    before = story.keys[-1] if story.keys else None
    dropped = 0 if asked["cut"] else 1
    seed = take_seed(asked["seed"], decision.take)
    made_of = {
        "shot": asked["shot_id"],
        "prompt": asked["prompt"],
        "seed": seed,
        "length": 5,
        "start frames": before if dropped else None,
        **account(seen),
    }
    found = standing(project, asked["shot_id"], made_of, decision)
    if found is not None:
        return story.added(found.shot.key, True, found.stale, seen)
    key = project.key(made_of)
    frames = np.random.default_rng(int(key[:12], 16)).integers(0, 256, (5, *SIZE, 3), np.uint8)
    kept = MemoryBank(update(seen, [remembered(frames[-1], asked["shot_id"], 4)], 2.0).kept)
    row = {
        "id": asked["shot_id"],
        "prompt": asked["prompt"],
        "seed": seed,
        "take": decision.take,
        "dropped": dropped,
        "keyframes": [{"frame": frame.origin.frame} for frame in kept.frames],
        "follows": before,
    }
    return story.added(project.store(key, made_of, row, frames, seen, kept).key)
