"""Progress for people, read from the logs that the stages write anyway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TAIL = 4096
"""Bytes at a log's end in which its last whole row stands."""


@contextmanager
def watching(folder: Path, say: Callable[[str], None], *, every: float = 30.0) -> Iterator[None]:
    """Tell the newest row of all logs below a folder, every so many seconds while it changes."""
    over = threading.Event()

    def watch() -> None:
        told = newest(folder)
        while not over.wait(every):
            line = newest(folder)
            if line and line != told:
                say(line)
            told = line

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def newest(folder: Path) -> str | None:
    """The last row of the log that was written last, in words; None where there is none yet."""
    logs = sorted(folder.rglob("log.jsonl"), key=lambda path: path.stat().st_mtime)
    row = _last_row(logs[-1]) if logs else None
    if row is None:
        return None
    name = logs[-1].parent.relative_to(folder).as_posix()
    return f"{name}: step {row['step']}, loss {row['loss']:.4g}"


def _last_row(log: Path) -> dict[str, float] | None:
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL))
        lines = file.read().decode().splitlines(keepends=True)
    # A row without its line's end is still being written.
    whole = [line for line in lines if line.endswith("\n")]
    return json.loads(whole[-1]) if whole else None
