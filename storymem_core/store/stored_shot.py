"""One stored shot: its record, checked against each of its files; its frames and memory, read from disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..disk import canonical, digest, file_sha256
from ..errors import StoryMemError
from ..frames import frame_file
from ..memory import bank as memory
from ..memory import bank_folder
from ..memory.bank import MemoryBank
from ..memory.references import seen_by

VERSION = 1
RECORD, FRAMES, MEMORY, KEYFRAMES = "shot.json", "frames.mkv", "memory", "keyframes"

_NEVER = 2.0
"""A similarity that no two frames reach: what was stored as taken by the bank is taken again."""


class Damaged(Exception):
    """A stored shot that must not be read, and why."""


@dataclass(frozen=True, eq=False)
class StoredShot:
    """A shot in the store. Cheap to hold: frames and banks are read when asked for."""

    folder: Path
    key: str
    made_of: Mapping[str, Any]
    row: Mapping[str, Any]
    """Its row of story.json, as it was when the shot was made."""
    count: int
    """Frames, those that repeat the shot before included."""
    size: tuple[int, int]
    """Width and height."""

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def take(self) -> int:
        """Which of the shot's takes it is, from 1."""
        return int(self.row.get("take", 1))

    @property
    def made(self) -> str:
        """When, as ISO 8601 in UTC; "" where it was never told."""
        return str(self.row.get("made", ""))

    @property
    def dropped(self) -> int:
        """How many frames at the start repeat the shot before; 0 for a cut."""
        return int(self.row["dropped"])

    @property
    def frames_of(self) -> str:
        """Key of the copy for which its frames were made: its own, if they were not taken from another."""
        return str(self.row.get("frames_of") or self.key)

    def repeats(self, before: StoredShot) -> bool:
        """Whether its first frames are the last ones of the shot before, as far as is known."""
        return self.dropped > 0 and self.row.get("follows") in (None, before.frames_of)

    def frames(self) -> Iterator[np.ndarray]:
        """All frames in order, one after the other from disk, each uint8 [H, W, 3]."""
        return frame_file.stream(self.folder / FRAMES)

    def all_frames(self) -> np.ndarray:
        """All of them at once, uint8 [F, H, W, 3]."""
        return self.pick(range(self.count))

    def pick(self, indices: range | list[int]) -> np.ndarray:
        """The frames of these indices, in order of time: uint8 [N, H, W, 3]."""
        return frame_file.pick(self.folder / FRAMES, indices)

    def last(self, n: int) -> np.ndarray:
        """The last n frames, uint8 [n, H, W, 3]: what a continued shot goes on from."""
        if not 1 <= n <= self.count:
            raise StoryMemError(
                f"shot {self.id!r} has {self.count} frames, too few to take this many from its end",
                value=n,
                remedy="Make the shot longer, or the overlap smaller.",
            )
        return self.pick(range(self.count - n, self.count))

    def before(self) -> MemoryBank:
        """The memory before the shot, whole."""
        return bank_folder.load(self.folder / MEMORY)

    def seen(self) -> MemoryBank:
        """What the shot saw of it: all, or without references that it did not need."""
        return seen_by(self.before(), self.row.get("references"))

    def keyframes(self) -> MemoryBank:
        """The frames that the shot gave to the memory, as a bank."""
        return bank_folder.load(self.folder / KEYFRAMES)

    def memory_after(self) -> MemoryBank:
        """m_i = f(m_{i-1}, v_i) (StoryMem, arXiv 2512.19539): the bank for the next shot."""
        return self.moved_on(self.before())

    def moved_on(self, bank: MemoryBank) -> MemoryBank:
        """A bank after this shot, which may be another than the one that the shot saw."""
        given = self.keyframes()
        bank = replace(bank, embedder=bank.embedder or given.embedder)
        return memory.update(bank, given.frames, _NEVER).bank


def record(
    folder: Path, key: str, made_of: Mapping[str, Any], row: Mapping[str, Any], shape: tuple[int, ...]
) -> dict[str, Any]:
    """What shot.json says of the files that lie in `folder`; it is sealed by its own digest.

    Args:
        shape: of the frames, [F, H, W, 3].
    """
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    count, height, width = shape[:3]
    # Through JSON, so that what is sealed is what will be read: a tuple comes back as a list.
    told = json.loads(
        canonical(
            {
                "version": VERSION,
                "key": key,
                "count": count,
                "size": (width, height),
                "files": files,
                "made_of": dict(made_of),
                "shot": dict(row),
            }
        )
    )
    return {**told, "seal": digest(told)}


def read(folder: Path) -> StoredShot:
    """The shot that lies in `folder`, after a look at every byte of it.

    Raises:
        FileNotFoundError: there is no such folder.
        Damaged: something is missing or not as it was stored.
    """
    told = _record(folder)
    for name, file in told["files"].items():
        _check(folder / name, name, file["size"], file["sha256"])
    return _shot(folder, told)


def glance(folder: Path) -> StoredShot:
    """The same by its record alone, which is checked; its frames and banks may be damaged."""
    return _shot(folder, _record(folder))


def _record(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    told = _told(folder / RECORD)
    if told["key"] != folder.name:
        raise Damaged(f"{RECORD} belongs to another shot")
    return told


def _shot(folder: Path, told: Mapping[str, Any]) -> StoredShot:
    width, height = told["size"]
    return StoredShot(folder, told["key"], told["made_of"], told["shot"], told["count"], (width, height))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what differs between two accounts of what made a shot, in the order of the new one."""
    return tuple(name for name in dict.fromkeys((*new, *old)) if _value(old, name) != _value(new, name))


def _value(made_of: Mapping[str, Any], name: str) -> str | None:
    return canonical(made_of[name]) if name in made_of else None


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
        seal = told.pop("seal")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise Damaged(f"{path.name} is missing or cannot be read") from error
    if told.get("version") != VERSION:
        raise Damaged(f"{path.name} is of version {told.get('version')}, not {VERSION}")
    if digest(told) != seal:
        raise Damaged(f"{path.name} was changed")
    return told


def _check(path: Path, name: str, size: int, sha256: str) -> None:
    try:
        there = path.stat().st_size
    except OSError as error:
        raise Damaged(f"{name} is missing") from error
    if there != size:
        raise Damaged(f"{name} has {there} bytes instead of {size}")
    if file_sha256(path) != sha256:
        raise Damaged(f"{name} was changed")
