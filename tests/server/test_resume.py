"""A server killed at random moments while it tells a story: it goes on, and the film is the unbroken one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import aiohttp
from short_story import PACKS, SHOTS, contents, graph, tell

from runner import client
from runner.errors import JobError
from runner.server import Server
from storymem_core.project import Project

KILLS = 4
STORY = graph("killed", *SHOTS[:3])


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


def killed_run(server: Server, seconds: float) -> bool:
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


def test_a_killed_server_goes_on_to_the_unbroken_film(server, comfyui, models, tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"the moments come from the seed {seed}")
    chance = random.Random(seed)
    began = time.monotonic()
    unbroken = what_matters(tell(server, "killed", STORY).folder)
    duration = time.monotonic() - began

    folder = tmp_path / "output" / "killed"
    kills, stored = 0, set()
    while kills < KILLS:
        with Server(comfyui, models, folder.parent, packs=PACKS, cpu=True) as victim:
            killed = killed_run(victim, chance.uniform(0, duration))
        assert stored <= whole_shots(folder)  # none is lost
        stored = whole_shots(folder)
        kills += killed
        if not killed:  # too late: all was done
            assert what_matters(folder) == unbroken
            shutil.rmtree(folder)
            stored = set()
    with Server(comfyui, models, folder.parent, packs=PACKS, cpu=True) as last:
        told = tell(last, "killed", STORY)
    assert [row["reused"] for row in told.rows] == [row["key"] in stored for row in told.rows]
    assert what_matters(folder) == unbroken
