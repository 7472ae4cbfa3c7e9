"""Stories of the small world from a seed: a cast, and scenes in which it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoryMemError
from ..script import script as scripts
from ..script.script import Script, Shot
from . import grammar, scene
from .looks import Cast, random_cast
from .parts import EVERYTHING, Among
from .places import FIXED_PLACES
from .scene import Scene

CLIPS = 6
"""Scenes of a story for training."""
LENGTH = 17
"""Frames of a clip that another continues."""
MOTION = 5
"""Frames that a continued clip shares with the one before in MM2V; in MI2V it is one."""
_TRAINING, _EVALUATION = 1, 2
"""Streams of random numbers: no story for training is one for evaluation."""


@dataclass(frozen=True)
class Story:
    """A cast and the scenes in which it is seen; a scene with start > 0 continues the one before it."""

    cast: Cast
    clips: tuple[Scene, ...]


def sample(seed: int, among: Among = EVERYTHING) -> Story:
    """A story for training: CLIPS scenes with one cast, in places that differ.

    In half of the stories two scenes are at home, which is left in between. Six of ten have a friend, who
    comes in, acts beside the hero, and alone. In a third a scene continues the one before, at its tempo or
    another.

    Args:
        among: what fields of its scenes are chosen from, as in `scene.random`.
    """
    rng = np.random.default_rng((seed, _TRAINING))
    cast = random_cast(rng)
    return Story(cast, tuple(_scenes(rng, CLIPS, continuations=int(rng.random() < 1 / 3), among=among)))


def unseen_cast(seed: int) -> Cast:
    """A cast that no story for training has: that of `plan`'s story of this seed."""
    return random_cast(np.random.default_rng((seed, _EVALUATION)))


def plan(seed: int, shots: int = 8) -> tuple[Script, Cast, tuple[Scene, ...]]:
    """A story for evaluation: its script, its cast, and the scene behind each shot.

    The first shot shows the hero alone. A quarter of the shots continue the one before. Nothing is spoiled,
    since no text asks for that.
    """
    if shots < 1:
        raise StoryMemError("a story must have at least one shot", value=shots, remedy="Ask for 8.")
    rng = np.random.default_rng((seed, _EVALUATION))
    cast = random_cast(rng)
    scenes = tuple(_scenes(rng, shots, continuations=shots // 4, alone_first=True, spoil="none"))
    return _script(f"Story {seed}", scenes, rng), cast, scenes


def script(seed: int, shots: int = 8) -> Script:
    """The script of `plan`."""
    return plan(seed, shots)[0]


def handwritten() -> dict[str, Script]:
    """The stories that were written by hand: file name without its ending -> script."""
    files = sorted(Path(__file__).with_name("scripts").glob("*.json"))
    return {file.stem: scripts.parse(file.read_text(encoding="utf-8")) for file in files}


def _scenes(
    rng: np.random.Generator,
    count: int,
    *,
    continuations: int,
    alone_first: bool = False,
    among: Among = EVERYTHING,
    **fixed: Any,
) -> list[Scene]:
    """So many scenes, of which at most `continuations` go on from the scene before.

    Args:
        alone_first: the first scene shows the hero and nobody else, in a medium shot.
        among: what fields are chosen from, as in `scene.random`.
        fixed: of every scene.
    """
    cuts = count - continuations
    who, newcomer = _company(rng, cuts, alone_first=alone_first)
    rows: list[dict[str, Any]] = [
        {"place": place, "who": name, "newcomer": arrives}
        for place, name, arrives in zip(_places(rng, cuts), who, newcomer, strict=True)
    ]
    if alone_first:
        rows[0]["framing"] = "medium"
    rows = [{name: value for name, value in row.items() if name not in dict(among)} for row in rows]
    scenes = [scene.random(rng, among, **row, **fixed) for row in rows]
    # Where a newcomer has come in, the same text would not fit what comes next.
    fit = [index for index, row in enumerate(scenes) if not row.newcomer]
    for index in sorted(rng.permutation(fit)[:continuations], reverse=True):
        scenes.insert(index + 1, _continued(scenes[index], rng))
    return scenes


def _places(rng: np.random.Generator, count: int) -> list[str]:
    """Places that differ until all have been seen; in half of the stories home is left and comes back."""
    rounds = -(-count // len(FIXED_PLACES))
    places = [str(place) for _ in range(rounds) for place in rng.permutation(FIXED_PLACES)]
    homes: set[int] = set()
    if rng.random() < 0.5 and count > 2:
        left = int(rng.integers(count - 2))
        homes = {left, int(rng.integers(left + 2, count))}
    return ["home" if index in homes else places[index] for index in range(count)]


def _company(rng: np.random.Generator, count: int, *, alone_first: bool) -> tuple[list[str], list[bool]]:
    """Who acts in each scene (hero 70 %, both 18 %, friend 12 %), and whether the friend comes in (15 %).

    A friend is in six of ten stories, and never alone when first seen.
    """
    if rng.random() >= 0.6:
        return ["hero"] * count, [False] * count
    who = [str(name) for name in rng.choice(["hero", "both", "friend"], count, p=[0.5, 0.25, 0.25])]
    if alone_first:
        who[0] = "hero"
    newcomer = [bool(rng.random() < 0.5) and name == "hero" for name in who]
    newcomer[0] &= not alone_first
    seen = [comes or name != "hero" for name, comes in zip(who, newcomer, strict=True)]
    if True in seen and who[seen.index(True)] == "friend":
        who[seen.index(True)] = "both"
    return who, newcomer


def _continued(before: Scene, rng: np.random.Generator) -> Scene:
    """The next clip of a scene, after one or MOTION shared frames, at the same tempo or another."""
    overlap = 1 if rng.random() < 0.5 else MOTION
    haste = float(rng.uniform(0.5, 1.6)) if rng.random() < 0.5 else 1.0
    return scene.continued(before, LENGTH, overlap, speed=before.speed * haste)


def _script(name: str, scenes: tuple[Scene, ...], rng: np.random.Generator) -> Script:
    shots: list[Shot] = []
    for number, row in enumerate(scenes, 1):
        cut = row.start == 0
        part = len({shot.scene for shot in shots}) + cut
        shots.append(Shot(id=f"shot-{number}", prompt=grammar.prompt(row, rng), scene=part, cut=cut))
    return Script(name, "The hero sees the world.", tuple(shots))
