"""Writing so that a file is there wholly or not at all, and says so when the disk is full."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import StoryMemError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_IN_WORDS = {f"(os error {number})" for number in _FULL}  # safetensors' errors have no errno


def unfinished(path: Path) -> Path:
    """The hidden sibling under which `path` is written until it is whole."""
    return path.with_name(f".{path.name}.part")


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left half-written in `folder`. Only under the project's lock."""
    for path in folder.glob(".*.part"):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; the file takes the place of `path` when the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = unfinished(path)
    try:
        with room_in(path.parent):
            yield temporary
            sync(temporary)
            _move(temporary, path)
            sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _move(temporary: Path, path: Path) -> None:
    try:
        os.replace(temporary, path)
    except PermissionError as error:  # Windows: a player that shows the last film, for example
        raise StoryMemError(
            "this file cannot be replaced: it is open in another program or write-protected",
            value=str(path),
            remedy="Close it there and run again: finished work is kept.",
        ) from error


def linked_or_copied(file: Path, target: Path) -> None:
    """The same file under a second name: what replaces or removes the first leaves the second alone."""
    if file.is_symlink():
        target.symlink_to(os.readlink(file))
        return
    try:
        os.link(file, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(file, target)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON for people: indented, UTF-8, no NaN."""
    # A lone surrogate in a prompt has no UTF-8; its backslash form is its JSON form too.
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def canonical(value: Any) -> str:
    """JSON in which equal values are equal texts: keys sorted, no spaces, ASCII. NaN is a ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
        return sha256.hexdigest()


def sync(path: Path) -> None:
    """Bring a file or a folder's list of names to the disk, so that a power cut does not undo it."""
    if path.is_dir():
        if os.name == "nt":  # folders cannot be opened there, and need not be
            return
        handle = os.open(path, os.O_RDONLY)
    else:
        handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some shared folders (of virtual machines, over a network) cannot do this for a folder.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Bring a whole folder to the disk, contents before names."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Turn a full disk, in whatever words a library tells it, into the error that people see."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in _FULL or any(words in str(error) for words in _FULL_IN_WORDS):
            raise StoryMemError(
                "no space is left on the disk",
                value=str(folder),
                remedy="Free some space and run again: finished work is kept, only the rest is made.",
            ) from error
        raise
