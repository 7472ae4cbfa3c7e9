"""Kill a real server with SIGKILL while it tells a story, let another go on, and look at what lies there."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
from short_story import SHOTS, contents, graph, tell

from runner import client
from runner.errors import JobError
from runner.server import Server
from storymem_core.store.project import Project

NAME = "killed"
STORY = graph(NAME, *SHOTS[:3])


class Killed(NamedTuple):
    """One kill."""

    after: float
    """Seconds from the story's start."""
    stored: int
    """Shots that were stored by then, each of them whole."""


def kill_and_resume(
    start: Callable[[], Server],
    folder: Path,
    unbroken: dict[str, bytes],
    duration: float,
    kills: int,
    seed: int,
) -> list[Killed]:
    """Start the story anew on a server, kill it at a random moment, let the next one finish it, and so on.

    Args:
        start: makes a server that tells stories into the parent of `folder`.
        unbroken: what lies in a story's folder after an unbroken run (`what_matters`).
        duration: seconds that an unbroken run takes; kills fall into them, evenly.

    Raises:
        AssertionError: a shot that is not whole or made twice, or a film or other file that differs.
    """
    chance, told = random.Random(seed), list[Killed]()
    stored: set[str] = set()
    while True:
        with start() as server:
            if told:
                rows = tell(server, NAME, STORY).rows
                assert [row["reused"] for row in rows] == [row["key"] in stored for row in rows]
                _compare_and_remove(folder, unbroken)
            if len(told) == kills:
                return told
            while not _killed(server, after := chance.uniform(0, duration)):
                _compare_and_remove(folder, unbroken)  # it was too late: all was done
        stored = whole_shots(folder)
        told.append(Killed(after, len(stored)))


def whole_shots(folder: Path) -> set[str]:
    """The keys of the stored shots; each is whole, whatever happened."""
    keys = {path.name for path in (folder / "store").glob("[0-9a-f]*") if path.is_dir()}
    assert all(Project.open(folder).find(key) for key in keys)
    return keys


def what_matters(folder: Path) -> dict[str, bytes]:
    """All but the records that tell how long a shot took, and the lock."""
    return {
        name: data
        for name, data in contents(folder).items()
        if not name.endswith(("story.json", "shot.json")) and not name.startswith(".lock")
    }


def _compare_and_remove(folder: Path, unbroken: dict[str, bytes]) -> None:
    assert what_matters(folder) == unbroken
    shutil.rmtree(folder)


def _killed(server: Server, seconds: float) -> bool:
    """Tell the story on a server that dies after some seconds; whether it was still telling."""
    timer = threading.Timer(seconds, os.kill, (server.pid, signal.SIGKILL))
    timer.start()
    try:
        client.run(server.url, STORY)
    except (JobError, aiohttp.ClientError):
        assert not timer.is_alive(), server.log_tail()  # it failed by itself
        return True
    finally:
        timer.cancel()
    return False
