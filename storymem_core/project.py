"""A story's folder: the one place of state on disk.

    <folder>/store/<key>/   shot.json  frames.mkv  memory/  keyframes/    what a run made, never changed again
    <folder>/.lock          one run at a time

A shot is stored under the key of all that made it. Its folder is written under another name and renamed, so
it is there wholly or not at all, whatever kills the run; what is damaged later is noticed and made again.
Everything else in the folder is derived from the store (publish.py).
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import frame_file, memory
from .disk import (
    canonical,
    digest,
    read_json,
    remove,
    remove_unfinished,
    room_in,
    sync,
    sync_tree,
    unfinished,
    write_json,
)
from .errors import StoryMemError
from .memory import MemoryBank
from .output_folder import output_folder
from .stored_shot import FRAMES, KEYFRAMES, MEMORY, RECORD, VERSION, Damaged, StoredShot, read, record

__all__ = ["Project", "StoredMemory", "StoredShot", "Story", "output_folder"]

FILM, SHEET, STORY, CLIPS, PICTURES = "film.mp4", "contact_sheet.png", "story.json", "shots", "keyframes"
_MARK = "project.json"

PATIENCE = 1.0
"""Seconds in which another run may let go of the folder."""

log = logging.getLogger(__name__)


class Story(NamedTuple):
    """A story so far, as nodes hand it on: where it lies and its shots in order, no frames."""

    folder: str
    keys: tuple[str, ...] = ()
    reused: tuple[bool, ...] = ()
    """Per shot: it was found stored, not made by this run."""

    def added(self, key: str, reused: bool = False) -> Story:
        """This story with one more shot."""
        return Story(self.folder, (*self.keys, key), (*self.reused, reused))

    def shots(self) -> tuple[StoredShot, ...]:
        """All shots, checked."""
        project = Project.open(self.folder)
        return tuple(map(project.stored, self.keys))


class StoredMemory(NamedTuple):
    """The memory after a stored shot, as nodes hand it on."""

    folder: str
    key: str

    def load(self) -> MemoryBank:
        """m_i = f(m_{i-1}, v_i): the bank that the shot saw, moved on by the keyframes that it gave."""
        return Project.open(self.folder).stored(self.key).memory_after()


class Project:
    """A story's folder. Reading needs no lock; `store` and `publish` take it by themselves."""

    def __init__(self, folder: Path):
        from filelock import FileLock

        self.folder = folder
        self._lock = FileLock(folder / ".lock")

    @classmethod
    def open(cls, folder: str | Path) -> Project:
        """Open a story's folder, or make it.

        Raises:
            StoryMemError: a file is in the way, the folder holds other things than a story, a newer version
                of the pack made it, or it cannot be written to.
        """
        folder = Path(folder).absolute()
        mark = folder / "store" / _MARK
        try:
            mark.parent.parent.mkdir(parents=True, exist_ok=True)
            if not _ours(folder):
                raise StoryMemError(
                    "this folder is not empty and holds no story of ours",
                    value=str(folder),
                    remedy="Choose another folder, or move away what lies in it.",
                )
            if read_json(mark) != {"version": VERSION}:
                write_json(mark, {"version": VERSION})
        except OSError as error:
            raise StoryMemError(
                f"the project folder cannot be made: {error.strerror}",
                value=str(folder),
                remedy="Choose a folder that you can write to, without a file of that name in the way.",
            ) from error
        return cls(folder)

    @staticmethod
    def key(made_of: Mapping[str, Any]) -> str:
        """sha256 (hex) of all that makes a shot: JSON's values by name, in any order; NaN is a ValueError."""
        return digest(dict(made_of))

    def find(self, key: str) -> StoredShot | None:
        """The shot stored under `key`, each of its files checked, or None if it has to be made.

        A damaged one is reported in the log and never read.
        """
        try:
            return read(self._entry(key))
        except FileNotFoundError:
            return None
        except Damaged as damage:
            log.warning("stored shot %s: %s; it will be made again", key[:12], damage)
            return None

    def stored(self, key: str) -> StoredShot:
        """The shot stored under `key`, which must be there.

        Raises:
            StoryMemError: it is not, or it is damaged.
        """
        shot = self.find(key)
        if shot is None:
            raise StoryMemError(
                "a shot of this story is no longer stored, or damaged",
                value=str(self._entry(key)),
                remedy="Run the story again: that shot is made again, the others are kept.",
            )
        return shot

    def store(
        self,
        key: str,
        made_of: Mapping[str, Any],
        row: Mapping[str, Any],
        frames: np.ndarray,
        seen: MemoryBank,
        keyframes: MemoryBank,
    ) -> StoredShot:
        """Keep a shot for ever, at once: when this returns, it is on the disk.

        Args:
            key: `Project.key(made_of)`.
            row: its row of story.json: id, prompt, seed, dropped, ... JSON's values only. With "fps" it says
                at what rate it was made; a film of another rate then refuses it.
            frames: uint8 [F, H, W, 3], those that repeat the shot before included.
            seen: the bank that the shot saw.
            keyframes: the frames that it gave: those that the bank took (`memory.Update.kept`).

        Returns:
            The stored shot, read back. If the key is stored already, that shot stays.

        Raises:
            StoryMemError: no space left (nothing of this shot remains then, earlier ones are untouched);
                another run works in this folder.
        """
        if key != self.key(made_of):
            raise ValueError("a shot is stored under the key of what made it")
        entry = self._entry(key)
        temporary, replaced = unfinished(entry), unfinished(entry.with_name(f"{key}.damaged"))
        with self.locked():
            there = self.find(key)
            if there is not None:
                return there
            try:
                with room_in(self.folder):
                    temporary.mkdir()
                    frame_file.write(frames, temporary / FRAMES)
                    memory.save(seen, temporary / MEMORY)
                    memory.save(keyframes, temporary / KEYFRAMES)
                    write_json(temporary / RECORD, record(temporary, key, made_of, row, frames.shape))
                    sync_tree(temporary)
                    if entry.exists():
                        entry.rename(replaced)
                    temporary.rename(entry)
                    sync(entry.parent)
            finally:
                remove(temporary)
                remove(replaced)
        return self.stored(key)

    def changes(self, shot_id: str, made_of: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Why a shot has to be made: the names of what differs from the newest stored shot of the same id.

        Returns:
            None if no shot of this id was ever stored: it is new. ("stored copy",) if nothing differs but the
            stored copy is missing or damaged.
        """
        records = {path: read_json(path) or {} for path in self._store.glob(f"[0-9a-f]*/{RECORD}")}
        of_this_id = [path for path, told in records.items() if told.get("shot", {}).get("id") == shot_id]
        if not of_this_id:
            return None
        old = records[max(of_this_id, key=lambda path: path.stat().st_mtime_ns)]["made_of"]
        names = dict.fromkeys((*made_of, *old))
        differ = tuple(name for name in names if _value(made_of, name) != _value(old, name))
        return differ or ("stored copy",)

    @contextmanager
    def locked(self) -> Iterator[Project]:
        """Be the only run that writes here; the lock goes with the process, however it ends. May be nested.

        It is held for a shot or a film at a time. A run that comes between two shots of another one looks
        whether its own are stored, and lets go: so the other waits a moment before it gives up.

        Raises:
            StoryMemError: another run has it.
        """
        from filelock import Timeout

        holder = self.folder / ".lock.json"
        try:
            self._lock.acquire(timeout=PATIENCE)
        except Timeout as error:
            raise StoryMemError(
                f"another run is writing this story ({_told(holder)})",
                value=str(self.folder),
                remedy="Wait until it ends, stop it, or use another project folder.",
            ) from error
        try:
            if self._lock.lock_counter == 1:
                for folder in (self._store, self.folder, self.folder / CLIPS, self.folder / PICTURES):
                    remove_unfinished(folder)
                with suppress(OSError):  # only for another run's message: a full disk must not stop at this
                    holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            yield self
        finally:
            if self._lock.lock_counter == 1:
                holder.unlink(missing_ok=True)
            self._lock.release()

    @property
    def _store(self) -> Path:
        return self.folder / "store"

    def _entry(self, key: str) -> Path:
        return self._store / key


def _ours(folder: Path) -> bool:
    """Whether a folder is a story of ours, or has nothing in it that people would miss."""
    for path in (folder / "store" / _MARK, folder / STORY):
        if path.exists():
            version = (read_json(path) or {}).get("version")
            if isinstance(version, int) and version > VERSION:
                raise StoryMemError(
                    f"this story was made by a newer version of the pack (its folder has version {version}, "
                    f"this pack knows {VERSION})",
                    value=str(folder),
                    remedy="Update the pack, or choose another folder.",
                )
            if version == VERSION:
                return True
    return all(path.name == "store" or path.name.startswith(".") for path in folder.iterdir())


def _value(made_of: Mapping[str, Any], name: str) -> str | None:
    return canonical(made_of[name]) if name in made_of else None


def _told(holder: Path) -> str:
    known = read_json(holder)
    return f"process {known['pid']} on {known['host']}" if known else "its process is not known"
