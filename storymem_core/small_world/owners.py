"""Whose pixel it is: the small world knows this of every pixel that it paints."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

Kind = Literal["hero", "friend"]


class Owner(IntEnum):
    """The part that covers most of a pixel. A character's parts lie ten apart: hero 10.., friend 20.."""

    SKY = 0
    GROUND = 1
    PROP = 2
    HOME_WALL = 3
    HOME_ROOF = 4
    HOME_DOOR = 5
    HOME_TREE = 6
    HERO_BODY = 10
    HERO_PATTERN = 11
    HERO_HAT = 12
    HERO_FACE = 13
    HERO_LIMBS = 14
    FRIEND_BODY = 20
    FRIEND_PATTERN = 21
    FRIEND_HAT = 22
    FRIEND_FACE = 23
    FRIEND_LIMBS = 24


def parts(kind: Kind) -> tuple[Owner, ...]:
    """A character's own parts: body, pattern, hat, face, limbs."""
    return tuple(owner for owner in Owner if owner.name.startswith(kind.upper()))
