"""The folder that holds a memory bank: pictures that a person can look at, and a record of them."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoryMemError
from .bank import MemoryBank
from .frame import CROP, MemoryFrame, Origin

RECORD, EMBEDDINGS = "bank.json", "embeddings.safetensors"
FORMAT, PLAIN, VERSION = "storymem memory bank", 1, 2
"""A bank whose frames have no marks, and of which none is set aside, is written as version 1: older packs
read it too. One that they would misread is written as version 2."""

SINK, WINDOW, ASIDE, PINNED = "sink", "window", "set aside", "pinned"
UNREADABLE = (OSError, ValueError, SyntaxError, KeyError, TypeError, EOFError, struct.error, zlib.error)


def save(bank: MemoryBank, folder: str | Path) -> None:
    """Write the bank as 001.png ... (oldest first, then those set aside), embeddings.safetensors, bank.json.

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
    frames = (*bank.frames, *bank.aside)
    version = VERSION if bank.aside or any(frame.pinned or frame.fit != CROP for frame in frames) else PLAIN
    rows: list[dict[str, Any]] = [
        {
            "file": f"{number:03d}.png",
            "role": role(bank, number - 1),
            **asdict(frame.origin),
            "score": frame.score,
            "similarity": frame.similarity,
            "sha256": frame.sha256,
            **({} if version == PLAIN else {"pinned": frame.pinned, "fit": frame.fit}),
        }
        for number, frame in enumerate(frames, 1)
    ]
    for row, frame in zip(rows, frames, strict=True):
        Image.fromarray(frame.pixels).save(folder / row["file"])
    embeddings = _stacked(frames)
    save_file({"embeddings": embeddings}, folder / EMBEDDINGS)
    record = {
        "format": FORMAT,
        "version": version,
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
    seen = sum(row["role"] != ASIDE for row in rows)
    return MemoryBank(
        frames[:seen], record["sink"], record["capacity"], record["embedder"], aside=frames[seen:]
    )


def standing(bank: MemoryBank, place: int) -> str:
    """Its role as a person is told it: "pinned" comes before all others."""
    pinned = place < len(bank.frames) and bank.frames[place].pinned
    return PINNED if pinned else role(bank, place)


def role(bank: MemoryBank, place: int) -> str:
    """Of a frame by its place, counted on over those set aside: "sink", "window" or "set aside"."""
    return SINK if place < min(bank.sink, len(bank.frames)) else WINDOW if place < len(bank.frames) else ASIDE


def _record(folder: Path) -> dict[str, Any]:
    if not (folder / RECORD).is_file():
        raise StoryMemError(
            f"this folder contains no memory bank ({RECORD} is missing)",
            value=str(folder),
            remedy="To save, choose an empty folder; to load, choose one that a bank was saved to.",
        )
    return _read(folder / RECORD, _read_record)


def _read_record(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["format"] != FORMAT or record["version"] not in (PLAIN, VERSION):
        raise ValueError(f"not version {PLAIN} or {VERSION} of a {FORMAT}")
    for row in record["frames"]:
        if not re.fullmatch(r"\d{3,}\.png", row["file"]):  # never read or delete outside the folder
            raise ValueError(f"strange file name {row['file']!r}")
        if record["version"] == PLAIN:
            row |= {"role": WINDOW, "pinned": False, "fit": CROP}
        elif row["role"] not in (SINK, WINDOW, ASIDE):
            raise ValueError(f"strange role {row['role']!r}")
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
    marks = (row["pinned"], row["fit"])
    frame = MemoryFrame(pixels, embedding, row["score"], row["similarity"], origin, *marks)
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
            remedy="Restore the file from a copy, or delete the folder so that the bank is made again.",
        ) from error


def _stacked(frames: Sequence[MemoryFrame]) -> np.ndarray:
    return np.stack([frame.embedding for frame in frames]) if frames else np.zeros((0, 0), np.float32)
