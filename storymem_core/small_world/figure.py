"""A character's build and its own coordinates, in which it is painted however it stands, leans or lies."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from .actions import Pose
from .canvas import Canvas, Number, Shape, capsule, ellipse, polygon
from .looks import Build, Colour, Looks
from .owners import Kind, Owner

HEIGHT: dict[Kind, float] = {"hero": 0.53, "friend": 0.38}
"""The unit of a character's own coordinates, in world units: about its height without hat and ears."""
WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0)
FOOT = 0.06
"""Half a foot's height, in the character's heights."""


@dataclass(frozen=True)
class Measures:
    """A build's measures, with the character's height as the unit."""

    head: tuple[float, float]
    torso: tuple[float, float]
    leg: float
    arm: float


_BUILDS: dict[Build, Measures] = {
    "small": Measures(head=(0.30, 0.255), torso=(0.205, 0.165), leg=0.11, arm=0.20),
    "round": Measures(head=(0.275, 0.235), torso=(0.26, 0.205), leg=0.12, arm=0.24),
    "tall": Measures(head=(0.235, 0.215), torso=(0.185, 0.225), leg=0.20, arm=0.28),
}


def owner_of(kind: Kind, part: str) -> Owner:
    """The owner of a character's part, such as "HAT"."""
    return Owner[f"{kind.upper()}_{part}"]


@dataclass(frozen=True)
class Figure:
    """A character's own coordinates: u to the right of its middle, v up from its feet, in its heights."""

    canvas: Canvas
    looks: Looks
    pose: Pose
    kind: Kind
    tint: np.ndarray
    build: Measures
    hip: Number
    angle: Number
    size: float

    @classmethod
    def of(cls, canvas: Canvas, looks: Looks, pose: Pose, kind: Kind, tint: np.ndarray) -> Figure:
        """The figure of a character in a pose."""
        # One float64 among these numbers would turn whole frames of arithmetic into float64.
        single = {field.name: np.asarray(getattr(pose, field.name), np.float32) for field in fields(pose)}
        pose = Pose(**single)
        build = _BUILDS[looks.build]
        if kind == "friend":
            # The smaller one needs the larger head: its face is still to be seen at 64 x 64.
            build = replace(build, head=(1.15 * build.head[0], 1.1 * build.head[1]))
        # The lower foot stands on the ground: spread legs bring the hip down.
        hip = FOOT + build.leg * np.maximum(np.cos(pose.left_leg), np.cos(pose.right_leg))
        # Lying, the larger head would lift the feet off the ground, were it a right angle.
        angle = pose.lean + 1.42 * pose.lie
        return cls(canvas, looks, pose, kind, tint, build, hip, angle, HEIGHT[kind])

    @property
    def torso(self) -> Number:
        """v of the torso's middle."""
        return self.hip + 0.72 * self.build.torso[1]

    @property
    def neck(self) -> Number:
        """v of the torso's top."""
        return self.torso + self.build.torso[1]

    @property
    def head(self) -> Number:
        """v of the head's middle."""
        return self.neck + 0.72 * self.build.head[1]

    @property
    def crown(self) -> Number:
        """v of the head's top."""
        return self.head + self.build.head[1]

    def point(self, u: Number, v: Number) -> tuple[Number, Number]:
        """World units of a point."""
        pose, lying = self.pose, np.abs(self.pose.lie)
        across = u * self.size / np.sqrt(pose.squash)
        # It turns about its feet; lying, about its middle, which then rests half a head above the ground.
        along = (v - 0.5 * lying) * self.size * pose.squash
        base = pose.y - pose.rise - lying * 0.84 * self.build.head[0] * self.size
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return pose.x + cos * across + sin * along, base - cos * along + sin * across

    def ellipse(self, u: Number, v: Number, ru: Number, rv: Number, turn: Number = 0.0) -> Shape:
        """With half axes ru, rv, turned clockwise by `turn` radians."""
        x, y = self.point(u, v)
        wide, high = self.size / np.sqrt(self.pose.squash), self.size * self.pose.squash
        return ellipse(x, y, ru * wide, rv * high, self.angle + turn)

    def line(self, u0: Number, v0: Number, u1: Number, v1: Number, r0: float, r1: float) -> Shape:
        """Thick, with round ends of radius r0 and r1."""
        return capsule(*self.point(u0, v0), *self.point(u1, v1), r0 * self.size, r1 * self.size)

    def outline(self, *points: tuple[Number, Number]) -> Shape:
        """A polygon through the points."""
        return polygon(*(self.point(u, v) for u, v in points))

    def paint(self, shape: Shape, colour: Colour, part: str, alpha: Number = 1.0) -> None:
        """Lay a part's shape over the frames, in the light's tint."""
        self.canvas.paint(shape, np.asarray(colour, np.float32) * self.tint, owner_of(self.kind, part), alpha)

    def shade(self, shape: Shape, alpha: Number = 0.16, colour: Colour = BLACK) -> None:
        """Darker or lighter, still the same part's: below one half, an alpha leaves the owner."""
        self.canvas.paint(shape, np.asarray(colour, np.float32) * self.tint, 0, alpha)
