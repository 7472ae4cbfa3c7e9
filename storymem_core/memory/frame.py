"""One remembered image."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import StoryMemError

CROP, PAD, STRETCH = "crop", "pad", "stretch"
FITS = (CROP, PAD, STRETCH)
"""Cut off what is outside (at the centre), fill the rest with grey, or stretch: the film keeps its size."""


class Picture(NamedTuple):
    """What a model is to see of a memory frame."""

    pixels: np.ndarray
    """uint8 [H, W, 3], of any size."""
    fit: str = CROP
    """One of FITS."""


@dataclass(frozen=True)
class Origin:
    """Where a frame comes from: frame number `frame` of shot id `shot`, or the reference named `shot`."""

    source: str
    shot: str
    frame: int = 0

    def __post_init__(self) -> None:
        if self.source not in ("shot", "reference"):
            raise StoryMemError(
                "a frame comes from a shot or a reference",
                value=self.source,
                remedy='Say "shot" or "reference".',
            )
        if not isinstance(self.shot, str) or not whole(self.frame) or self.frame < 0:
            raise StoryMemError(
                "an origin is the id of a shot and the number of a frame, from 0",
                value=(self.shot, self.frame),
                remedy="Count frames within their own shot.",
            )


@dataclass(frozen=True, eq=False)
class MemoryFrame:
    """One remembered image. Equal and hashed by value; its arrays can never be written to.

    pixels: uint8 [H, W, 3].  embedding: float32 [D], finite and not zero.  score: of the aesthetic filter, or
    None if there was none.  similarity: cosine to the keyframe kept before it in its shot, or None
    for the first.  pinned: by a person; it never leaves the bank's window by itself.  fit: one of FITS, how
    a picture of another shape than the film's is brought to it.
    """

    pixels: np.ndarray = field(repr=False)
    embedding: np.ndarray = field(repr=False)
    score: float | None
    similarity: float | None
    origin: Origin
    pinned: bool = False
    fit: str = CROP

    def __post_init__(self) -> None:
        pixels, embedding = np.asarray(self.pixels), np.asarray(self.embedding)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise StoryMemError(
                "a memory frame must be 8-bit RGB [H, W, 3]",
                value=f"{pixels.dtype} {pixels.shape}",
                remedy="Quantise the image first.",
            )
        if embedding.ndim != 1 or not np.isfinite(embedding).all() or not embedding.any():
            raise StoryMemError(
                "a memory frame needs one finite embedding [D] that is not zero",
                value=f"{embedding.dtype} {embedding.shape}",
                remedy="Embed the frame again; a black or NaN frame is useless as memory.",
            )
        if not isinstance(self.pinned, bool):
            raise StoryMemError(
                "a memory frame is pinned or not", value=self.pinned, remedy="Say True or False."
            )
        if self.fit not in FITS:
            raise StoryMemError(
                "unknown way to fit an image to the film's shape",
                value=self.fit,
                remedy=f"Choose {', '.join(FITS)}.",
            )
        object.__setattr__(self, "pixels", _unwritable(pixels))
        object.__setattr__(self, "embedding", _unwritable(embedding.astype(np.float32)))
        object.__setattr__(self, "score", _number(self.score))
        object.__setattr__(self, "similarity", _number(self.similarity))

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the RGB bytes, row by row: the frame's name in records."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()

    @property
    def picture(self) -> Picture:
        """Its pixels, and how they are brought to the film's shape."""
        return Picture(self.pixels, self.fit)

    def _value(self) -> tuple[object, ...]:
        return (
            self.sha256,
            self.pixels.shape,
            self.embedding.tobytes(),
            self.score,
            self.similarity,
            self.origin,
            self.pinned,
            self.fit,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MemoryFrame) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())


def whole(value: object) -> bool:
    """Whether `value` is a whole number, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise StoryMemError(
            "a score or similarity must be a finite number",
            value=value,
            remedy="Say None where there is none.",
        )
    return None if value is None else float(value)


def _unwritable(array: np.ndarray) -> np.ndarray:
    # Over bytes, not by a flag: a flag can be set back, and a view would change with the caller's array.
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
