"""Whose a story's folder is: ours and no other program's, and one run's at a time."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..disk import read_json, write_json
from ..errors import StoryMemError
from .stored_shot import VERSION

STORY = "story.json"
_MARK, _VERSION = "project.json", {"version": VERSION}

PATIENCE = 1.0
"""Seconds in which another run may let go of the folder."""


def claim(folder: Path) -> None:
    """Make a folder a story's, if it is not one yet.

    Raises:
        StoryMemError: a file is in the way, the folder holds other things than a story, a newer version of
            the pack made it, or it cannot be written to.
    """
    mark = folder / "store" / _MARK
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        if not _ours(folder):
            raise StoryMemError(
                "this folder is not empty and does not contain a StoryMem story",
                value=str(folder),
                remedy="Choose another folder, or move its contents elsewhere.",
            )
        if read_json(mark) != _VERSION:
            with Lock(folder).held():  # two runs may come to a new folder at once
                if read_json(mark) != _VERSION:
                    write_json(mark, _VERSION)
    except OSError as error:
        raise _unwritable(folder, error) from error


class Lock:
    """The lock of a story's folder: it goes with the process that holds it, however that ends."""

    def __init__(self, folder: Path):
        from filelock import FileLock

        self.folder = folder
        self._lock = FileLock(folder / ".lock")

    @property
    def count(self) -> int:
        """How many blocks of this run are nested in each other; 1: in the outermost."""
        return self._lock.lock_counter

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only run that writes here. May be nested.

        It is held for a shot or a film at a time. A run that comes between two shots of another one looks
        whether its own are stored, and lets go: so the other waits a moment before it gives up.

        Raises:
            StoryMemError: another run has it, or the folder cannot be written to.
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
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            if self.count == 1:
                with suppress(OSError):  # only for another run's message: a full disk must not stop at this
                    holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            yield
        finally:
            if self.count == 1:
                holder.unlink(missing_ok=True)
            self._lock.release()


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


def _unwritable(folder: Path, error: OSError) -> StoryMemError:
    return StoryMemError(
        f"the project folder cannot be created or written to: {error.strerror}",
        value=str(folder),
        remedy="Choose a folder that you can write to, and where no file of that name is in the way.",
    )


def _told(holder: Path) -> str:
    known = read_json(holder)
    return f"process {known['pid']} on {known['host']}" if known else "its process is not known"
