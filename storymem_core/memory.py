"""The memory bank: an immutable value, one pure function that moves it on, and the folder that holds it.

m_i = f(m_{i-1}, v_i) (StoryMem, arXiv 2512.19539; exact rules as in the release): a keyframe too
similar to ANY frame that the bank holds is left out, the rest are added, and the bank keeps its first `sink`
frames for ever (the sink) beside the newest others (the sliding window).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .errors import StoryMemError
from .memory_frame import MemoryFrame, Origin, whole
from .memory_frame import quantise as quantise

SINK, CAPACITY = 3, 10  # the release's run script
RECORD, EMBEDDINGS = "bank.json", "embeddings.safetensors"
FORMAT, VERSION = "storymem memory bank", 1
UNREADABLE = (OSError, ValueError, SyntaxError, KeyError, TypeError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True)
class MemoryBank:
    """What a story remembers. frames: oldest first, the sink in front.  embedder: the name of the embedder of
    all its embeddings, "" while unknown.  1 <= capacity, 0 <= sink <= capacity, len(frames) <= capacity."""

    frames: tuple[MemoryFrame, ...] = ()
    sink: int = SINK
    capacity: int = CAPACITY
    embedder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(self.frames))
        if not whole(self.capacity) or self.capacity < 1:
            raise StoryMemError(
                "capacity must be a whole number, 1 or more", value=self.capacity, remedy="StoryMem uses 10."
            )
        if not whole(self.sink) or not 0 <= self.sink <= self.capacity:
            raise StoryMemError(
                f"sink must be a whole number from 0 to the capacity of {self.capacity}",
                value=self.sink,
                remedy="StoryMem uses 3.",
            )
        if len(self.frames) > self.capacity:
            raise StoryMemError(
                f"a bank of capacity {self.capacity} cannot hold so many frames",
                value=len(self.frames),
                remedy="Give fewer frames or a larger capacity (the LoRA was trained with at most 10).",
            )
        _same_embedder(self.frames, self.embedder)

    def embedded_by(self, name: str) -> MemoryBank:
        """This bank, once it is known that `name` made (or will make) its embeddings."""
        if self.embedder not in ("", name):
            raise StoryMemError(
                f"this bank's embeddings were made by {self.embedder}, they cannot be compared with others",
                value=name,
                remedy=f"Use {self.embedder} for the whole story, or start a new bank.",
            )
        return replace(self, embedder=name)


class RejectedFrame(NamedTuple):
    frame: MemoryFrame
    reason: str
    similarity: float | None  # cosine to the nearest frame of the bank; None where the bank was empty


class Update(NamedTuple):
    bank: MemoryBank
    kept: tuple[MemoryFrame, ...]  # the new frames that the bank now holds
    rejected: tuple[RejectedFrame, ...]


def update(bank: MemoryBank, frames: Sequence[MemoryFrame], threshold: float) -> Update:
    """The bank after a shot: m_i = f(m_{i-1}, v_i).

    Args:
        bank: the bank that the shot saw.
        frames: the shot's keyframes in order of time; they are not compared with each other.
        threshold: a frame with a cosine ABOVE it to any frame of `bank` is rejected: the embedder's own
            threshold, not the one that the keyframe scan came down to.
    """
    _same_embedder((*bank.frames, *frames), bank.embedder)
    if not math.isfinite(threshold):
        raise StoryMemError("threshold must be a number", value=threshold, remedy="Use the embedder's own.")
    nearest = [_nearest(frame, bank.frames) for frame in frames]
    fresh = [i for i, near in enumerate(nearest) if near is None or near <= threshold]
    everything = (*bank.frames, *(frames[i] for i in fresh))
    too_many = max(0, len(everything) - bank.capacity)
    leaving = range(bank.sink, bank.sink + too_many)  # the oldest of the window
    kept = [i for place, i in enumerate(fresh, len(bank.frames)) if place not in leaving]
    return Update(
        replace(bank, frames=tuple(frame for place, frame in enumerate(everything) if place not in leaving)),
        tuple(frames[i] for i in kept),
        tuple(
            RejectedFrame(frame, "no room in the bank" if i in fresh else "similar to memory", nearest[i])
            for i, frame in enumerate(frames)
            if i not in kept
        ),
    )


def save(bank: MemoryBank, folder: str | Path) -> None:
    """Write the bank as 001.png ... (oldest first), embeddings.safetensors and bank.json.

    An earlier bank in `folder` is replaced; a folder that holds anything else is refused. Not atomic: whoever
    needs that writes beside and renames (project.py).
    """
    from PIL import Image
    from safetensors.numpy import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        for name in (*(row["file"] for row in _record(folder)["frames"]), EMBEDDINGS, RECORD):
            (folder / name).unlink(missing_ok=True)
    rows = [
        {
            "file": f"{number:03d}.png",
            "role": "sink" if number <= bank.sink else "window",
            **asdict(frame.origin),
            "score": frame.score,
            "similarity": frame.similarity,
            "sha256": frame.sha256,
        }
        for number, frame in enumerate(bank.frames, 1)
    ]
    for row, frame in zip(rows, bank.frames, strict=True):
        Image.fromarray(frame.pixels).save(folder / row["file"])
    embeddings = _stacked(bank.frames)
    save_file({"embeddings": embeddings}, folder / EMBEDDINGS)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "sink": bank.sink,
        "capacity": bank.capacity,
        "embedder": bank.embedder,
        "embeddings_sha256": hashlib.sha256(embeddings.tobytes()).hexdigest(),
        "frames": rows,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: str | Path) -> MemoryBank:
    """The bank that `save` wrote, bit for bit.

    Raises:
        StoryMemError: the folder holds no bank, or one of its files is missing, damaged or not the one that
            was saved; the message names the file.
    """
    folder = Path(folder)
    record = _record(folder)
    rows = record["frames"]
    embeddings = _read(folder / EMBEDDINGS, _read_embeddings, record["embeddings_sha256"], len(rows))
    frames = tuple(
        _read(folder / row["file"], _read_frame, row, embedding)
        for row, embedding in zip(rows, embeddings, strict=True)
    )
    return MemoryBank(frames, record["sink"], record["capacity"], record["embedder"])


def _record(folder: Path) -> dict[str, Any]:
    if not (folder / RECORD).is_file():
        raise StoryMemError(
            f"this folder holds no memory bank ({RECORD} is missing)",
            value=str(folder),
            remedy="Give an empty folder to save to, or to load from one that a bank was saved to.",
        )
    return _read(folder / RECORD, _read_record)


def _read_record(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["format"] != FORMAT or record["version"] != VERSION:
        raise ValueError(f"not version {VERSION} of a {FORMAT}")
    for row in record["frames"]:
        if not re.fullmatch(r"\d{3,}\.png", row["file"]):  # never read or delete outside the folder
            raise ValueError(f"strange file name {row['file']!r}")
    if not isinstance(record["embedder"], str):
        raise ValueError("embedder is not a name")
    record["sink"], record["capacity"], record["embeddings_sha256"]  # a KeyError names what is missing
    return record


def _read_embeddings(path: Path, sha256: str, count: int) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        embeddings = load_file(path)["embeddings"]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if len(embeddings) != count or hashlib.sha256(embeddings.tobytes()).hexdigest() != sha256:
        raise ValueError("not the embeddings that were saved")
    return embeddings


def _read_frame(path: Path, row: Mapping[str, Any], embedding: np.ndarray) -> MemoryFrame:
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image)
    origin = Origin(row["source"], row["shot"], row["frame"])
    frame = MemoryFrame(pixels, embedding, row["score"], row["similarity"], origin)
    if frame.sha256 != row["sha256"]:
        raise ValueError("not the pixels that were saved")
    return frame


def _read(path: Path, reader: Callable[..., Any], *args: object) -> Any:
    try:
        return reader(path, *args)
    except UNREADABLE as error:
        raise StoryMemError(
            f"{path.name} of this memory bank is missing or damaged: {error}",
            value=str(path),
            remedy="Restore the file from a copy, or delete the folder and let the bank be made again.",
        ) from error


def _nearest(frame: MemoryFrame, others: Sequence[MemoryFrame]) -> float | None:
    def unit(embedding: np.ndarray) -> np.ndarray:
        return embedding.astype(np.float64) / np.linalg.norm(embedding.astype(np.float64))

    cosines = [float(unit(frame.embedding) @ unit(other.embedding)) for other in others]
    return min(max(cosines), 1.0) if cosines else None  # rounding must not make a copy more than equal


def _stacked(frames: Sequence[MemoryFrame]) -> np.ndarray:
    return np.stack([frame.embedding for frame in frames]) if frames else np.zeros((0, 0), np.float32)


def _same_embedder(frames: Sequence[MemoryFrame], name: str) -> None:
    sizes = sorted({len(frame.embedding) for frame in frames})
    if len(sizes) > 1:
        raise StoryMemError(
            "the embeddings of a bank must come from one embedder, so have one size",
            value=sizes,
            remedy=f"Use {name or 'one embedder'} for the whole story, or start a new bank.",
        )
