"""Where and when a clip plays, and where its camera looks: every place is tried, at any time, from anywhere.

The places are painted once, wide; a camera's frame is an average over a part of that picture. Differences
above a limit count as the limit, so that whoever stands in front decides nothing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from . import camera, places
from .canvas import Canvas
from .looks import HomeLooks
from .places import FIXED_PLACES, TIMES

DENSITY = 64
"""Pixels per world unit of the wide pictures."""
LIMIT = 0.2
"""The largest difference of a pixel, a mean over its three values in 0..1, that counts."""
SMALL = 16
"""Pixels of a frame's side while places are compared."""
COARSE, FINE = np.linspace(0.1, 0.9, 33), np.linspace(-0.025, 0.025, 11)
"""Where the camera may look, and how this is refined, in world units."""
_LEFT, _TOP, _RIGHT, _BOTTOM = camera.WORLD


class Backdrop(NamedTuple):
    """What is behind everybody: a place, a time of day, and where the camera looks."""

    place: str
    time: str
    focus: float


def find(
    frames: np.ndarray, seconds: np.ndarray, framing: str, move: str, home: HomeLooks | None = None
) -> Backdrop:
    """The backdrop that is least unlike the frames.

    Args:
        frames: [T, N, N, 3], 0..1, N a multiple of SMALL; a few are enough.
        seconds: [T], since the shot's beginning.
        framing, move: of the camera.
        home: how the home looks, if the clip may play there.
    """
    named = [(place, time, _wide(place, time)) for place in FIXED_PLACES for time in TIMES]
    if home is not None:
        named += [("home", time, _painted("home", time, home)) for time in TIMES]
    pictures = np.stack([picture for *_, picture in named])
    costs = _costs(shrunk(frames, SMALL), pictures, seconds, framing, move, COARSE)
    which, focus = np.unravel_index(int(costs.argmin()), costs.shape)
    nearer = COARSE[focus] + FINE
    best = _costs(frames, pictures[which : which + 1], seconds, framing, move, nearer)[0].argmin()
    place, time, _ = named[which]
    return Backdrop(place, time, float(nearer[best]))


def shrunk(frames: np.ndarray, size: int) -> np.ndarray:
    """Square frames [T, N, N, 3] averaged to [T, size, size, 3]; N is a multiple of `size`."""
    by = frames.shape[1] // size
    return frames.reshape(len(frames), size, by, size, by, 3).mean(axis=(2, 4))


def _costs(
    frames: np.ndarray,
    pictures: np.ndarray,
    seconds: np.ndarray,
    framing: str,
    move: str,
    focuses: np.ndarray,
) -> np.ndarray:
    """How unlike the frames [T, N, N, 3] the wide pictures [P, ...] are, seen from each focus: [P, F]."""
    size, total = frames.shape[1], np.zeros((len(pictures), len(focuses)))
    for frame, second in zip(frames, seconds, strict=True):
        windows = [window(framing, move, float(second), float(focus)) for focus in focuses]
        # Only the left edge depends on where the camera looks.
        _, top, side = windows[0]
        rows = _average(top - _TOP, side, size, pictures.shape[1])
        columns = [_average(left - _LEFT, side, size, pictures.shape[2]) for left, *_ in windows]
        seen = np.einsum("rh,phwk->prwk", rows, pictures, optimize=True)
        seen = np.einsum("cw,prwk->pcrk", np.concatenate(columns), seen, optimize=True)
        seen = seen.reshape(len(pictures), len(focuses), size, size, 3)  # [P, F, columns, rows, 3]
        unlike = np.abs(seen - frame.swapaxes(0, 1)).mean(axis=-1)
        total += np.minimum(unlike, LIMIT).mean(axis=(2, 3))
    return total


def window(framing: str, move: str, second: float, focus: float) -> tuple[float, float, float]:
    """What the camera sees at one moment: left, top and side, in world units."""
    left, top, side = camera.window(framing, move, second, focus)
    return float(np.max(left)), float(np.max(top)), float(np.max(side))


def _average(start: float, side: float, size: int, length: int) -> np.ndarray:
    """Weights [size, length] that make `size` pixels, over `side` world units, of a wide picture's line."""
    edges = (start + side * np.arange(size + 1).reshape(-1, 1) / size) * DENSITY
    cells = np.arange(length)
    shared = np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)
    return (np.maximum(shared, 0) / (side * DENSITY / size)).astype(np.float32)


@cache
def _wide(place: str, time: str) -> np.ndarray:
    return _painted(place, time, None)


def _painted(place: str, time: str, home: HomeLooks | None) -> np.ndarray:
    """A place from end to end, float32 [H, W, 3]."""
    side = _RIGHT - _LEFT
    canvas = Canvas.new(round(side * DENSITY), left=_LEFT, top=_TOP, side=side)
    places.draw(canvas, place, time, home)  # type: ignore[arg-type]
    return canvas.rgb[0, : round((_BOTTOM - _TOP) * DENSITY)]
