"""What a story chooses once and its text never says: how the hero, the friend and the home look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue in 0..1."""

Build = Literal["small", "round", "tall"]
Hat = Literal["cap", "cone", "bow", "crown"]
Pattern = Literal["plain", "stripes", "spots", "bib"]
Face = Literal["round", "sleepy", "glasses"]
Tree = Literal["round", "pine", "poplar"]
Props = Literal["fence", "flowers", "lamp"]

BRIGHT: tuple[Colour, ...] = (
    (0.88, 0.20, 0.20),  # red
    (0.95, 0.52, 0.12),  # orange
    (0.97, 0.80, 0.18),  # yellow
    (0.52, 0.78, 0.22),  # lime
    (0.12, 0.56, 0.30),  # green
    (0.10, 0.66, 0.66),  # teal
    (0.36, 0.68, 0.94),  # sky blue
    (0.18, 0.32, 0.80),  # blue
    (0.50, 0.26, 0.72),  # violet
    (0.92, 0.36, 0.64),  # pink
    (0.55, 0.33, 0.18),  # brown
    (0.95, 0.89, 0.76),  # cream
)
WALLS: tuple[Colour, ...] = (
    (0.96, 0.90, 0.74),  # cream
    (0.95, 0.72, 0.68),  # rose
    (0.68, 0.84, 0.94),  # pale blue
    (0.96, 0.84, 0.46),  # straw
    (0.76, 0.88, 0.68),  # pale green
    (0.80, 0.74, 0.92),  # lilac
)
LEAVES: tuple[Colour, ...] = (
    (0.20, 0.55, 0.26),  # green
    (0.56, 0.70, 0.20),  # spring
    (0.92, 0.54, 0.14),  # autumn
    (0.80, 0.24, 0.22),  # red maple
    (0.94, 0.62, 0.74),  # blossom
    (0.16, 0.46, 0.50),  # blue spruce
)
ALIKE = 0.42
"""Two colours nearer than this (Euclidean, in rgb) could be mistaken for each other at 64 x 64."""
_JITTER = 0.04


@dataclass(frozen=True)
class Looks:
    """How one character looks: four colours, a build, a hat, a pattern on the torso, and eyes."""

    body: Colour
    pattern_colour: Colour
    hat_colour: Colour
    limbs: Colour
    build: Build = "round"
    hat: Hat = "cap"
    pattern: Pattern = "bib"
    face: Face = "round"


@dataclass(frozen=True)
class HomeLooks:
    """How the home looks: a house, a tree beside it, and things in front of it."""

    wall: Colour
    roof: Colour
    door: Colour
    tree_colour: Colour
    tree: Tree = "round"
    props: Props = "fence"


@dataclass(frozen=True)
class Cast:
    """Who and what returns through a story."""

    hero: Looks
    friend: Looks
    home: HomeLooks


def alike(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two colours could be mistaken for each other."""
    return float(np.linalg.norm(np.subtract(one, other))) < ALIKE


def random_looks(rng: np.random.Generator) -> Looks:
    """A character. Its body, pattern and hat differ clearly, and so do its limbs from its body."""
    body = _colour(rng, BRIGHT)
    pattern = _colour(rng, BRIGHT, unlike=(body,))
    return Looks(
        body=body,
        pattern_colour=pattern,
        hat_colour=_colour(rng, BRIGHT, unlike=(body, pattern)),
        limbs=_colour(rng, BRIGHT, unlike=(body,)),
        build=_one(rng, get_args(Build)),
        hat=_one(rng, get_args(Hat)),
        pattern=_one(rng, get_args(Pattern)),
        face=_one(rng, get_args(Face)),
    )


def random_home(rng: np.random.Generator) -> HomeLooks:
    """A home. Its wall, roof and door differ clearly."""
    wall = _colour(rng, WALLS)
    roof = _colour(rng, BRIGHT, unlike=(wall,))
    return HomeLooks(
        wall=wall,
        roof=roof,
        door=_colour(rng, BRIGHT, unlike=(wall, roof)),
        tree_colour=_colour(rng, LEAVES),
        tree=_one(rng, get_args(Tree)),
        props=_one(rng, get_args(Props)),
    )


def random_cast(rng: np.random.Generator) -> Cast:
    """A story's cast. The friend's body and hat differ clearly from the hero's."""
    hero = friend = random_looks(rng)
    while alike(hero.body, friend.body) or alike(hero.hat_colour, friend.hat_colour):
        friend = random_looks(rng)
    return Cast(hero, friend, random_home(rng))


def _colour(rng: np.random.Generator, palette: Sequence[Colour], unlike: Sequence[Colour] = ()) -> Colour:
    while True:
        near = palette[int(rng.integers(len(palette)))] + rng.uniform(-_JITTER, _JITTER, 3)
        red, green, blue = (round(float(value), 3) for value in np.clip(near, 0, 1))
        if not any(alike((red, green, blue), other) for other in unlike):
            return red, green, blue


def _one(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    return choices[rng.integers(len(choices))]
