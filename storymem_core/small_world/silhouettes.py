"""Where a character may be in a frame, roughly: every action in several poses, tried at every place along x.

A pose is drawn once, small. What its colours would have to be at each place, and how much of the frame they
then explain, are sums over pixels, so that all poses at all places are a few matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import NamedTuple, get_args

import numpy as np

from .actions import ACTIONS, Action, Pose, pose
from .canvas import Canvas
from .layers import Layers, layers
from .looks import Build, Looks
from .owners import Kind

SIZE = 32
"""Pixels of a frame's side here."""
RIDGE = 0.5
"""How strongly colours are drawn to grey, in pixels: what is hardly seen must not take on any colour."""
GREY = 0.5
_POSES: dict[Action, int] = {"walks": 8, "jumps": 8, "waves": 4, "dances": 8, "sits": 2, "sleeps": 1}
ANYONE = Looks(body=(0, 0, 0), pattern_colour=(0, 0, 0), hat_colour=(0, 0, 0), limbs=(0, 0, 0))


class Stance(NamedTuple):
    """What a silhouette shows; phase is the part of the action's cycle that is over."""

    action: Action
    build: Build
    facing: int
    phase: float


STANCES = tuple(
    Stance(action, build, facing, step / _POSES[action])
    for action in ACTIONS
    for build in get_args(Build)
    for facing in (-1, 1)
    for step in range(_POSES[action])
)


def unexplained(
    frame: np.ndarray, background: np.ndarray, light: np.ndarray, top: float, side: float, kind: Kind
) -> np.ndarray:
    """What of a frame is left when a character before the background explains all it can: [STANCES, SIZE+1].

    At place j the character stands j - SIZE/2 pixels to the right of the frame's middle. The value is a sum
    of squares, less that of the background alone: below 0, the character is better than nobody.

    Args:
        frame, background: [SIZE, SIZE, 3], 0..1.
        light: [3], on the character.
        top, side: of what the camera sees.
    """
    shapes = _shapes(kind, round(top, 4), round(side, 4))
    ground = _moved(background / light)
    missing = _moved((frame - background) / light)
    # A character shows shares @ colours + own; it hides `covers` of the ground.
    seen = np.einsum("skp,xpc->skcx", shapes.shares, missing, optimize=True)
    hidden = np.einsum("skp,xpc->skcx", shapes.shares * shapes.covers[:, None], ground, optimize=True)
    toward = seen + hidden - shapes.shares_own[..., None]
    explained = np.einsum("skcx,skl,slcx->sx", toward, shapes.inverse, toward, optimize=True)
    flat = (len(ground), -1)
    covered_own = (shapes.own * shapes.covers[..., None]).reshape(len(shapes.own), -1)
    own = shapes.own.reshape(len(shapes.own), -1)
    needed = (
        shapes.covers**2 @ (ground**2).sum(-1).T
        + 2 * shapes.covers @ (ground * missing).sum(-1).T
        - 2 * own @ missing.reshape(flat).T
        - 2 * covered_own @ ground.reshape(flat).T
        + (own**2).sum(-1, keepdims=True)
    )
    return needed - explained


def _moved(picture: np.ndarray) -> np.ndarray:
    """A picture [SIZE, SIZE, C] moved so that each place is in its middle: [SIZE + 1, pixels, C]."""
    half = SIZE // 2
    wide = np.pad(picture, ((0, 0), (half, half), (0, 0)))
    windows = np.stack([wide[:, place : place + SIZE] for place in range(SIZE + 1)])
    return windows.reshape(SIZE + 1, SIZE * SIZE, -1).astype(np.float32)


class _Shapes(NamedTuple):
    """All stances in the middle of a frame; p counts pixels, k colours.

    shares [S, k, p]; covers [S, p], how much of the ground is hidden; own [S, p, 3], what shows without any
    colour, the grey of RIDGE among it; shares_own [S, k, 3]; inverse [S, k, k], of the shares' products.
    """

    shares: np.ndarray
    covers: np.ndarray
    own: np.ndarray
    shares_own: np.ndarray
    inverse: np.ndarray


@lru_cache(maxsize=32)
def _shapes(kind: Kind, top: float, side: float) -> _Shapes:
    drawn = [_drawn(kind, top, side, *group) for group in dict.fromkeys(stance[:3] for stance in STANCES)]
    shares, rest, behind = (
        np.concatenate([getattr(part, name) for part in drawn]) for name in ("shares", "rest", "behind")
    )
    count = len(STANCES)
    shares = shares.reshape(count, -1, 4)
    own = rest.reshape(count, -1, 3) + GREY * shares.sum(-1, keepdims=True)
    products = np.einsum("spk,spl->skl", shares, shares)
    return _Shapes(
        shares=np.ascontiguousarray(shares.swapaxes(1, 2)),
        covers=1 - behind.reshape(count, -1),
        own=own,
        shares_own=np.einsum("spk,spc->skc", shares, own),
        inverse=np.linalg.inv(products + RIDGE * np.eye(4)).astype(np.float32),
    )


def _drawn(kind: Kind, top: float, side: float, action: Action, build: Build, facing: int) -> Layers:
    """All poses of an action, one a frame, in the middle."""
    poses = [
        pose(action, np.zeros(1), x0=0.0, facing=facing, phase=step / _POSES[action])
        for step in range(_POSES[action])
    ]
    canvas = Canvas.new(SIZE, left=-side / 2, top=top, side=side, frames=len(poses))
    return layers(canvas, replace(ANYONE, build=build), stacked(poses), kind)


def stacked(poses: Sequence[Pose]) -> Pose:
    """Poses of one frame each as one pose of as many frames."""
    return Pose(
        **{
            field.name: np.concatenate(
                [np.broadcast_to(getattr(one, field.name), (1, 1, 1)) for one in poses]
            )
            for field in fields(Pose)
        }
    )
