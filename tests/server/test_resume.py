"""A server killed at random moments while it tells a story: it goes on, and the film is the unbroken one."""

from __future__ import annotations

import os
import time

from killed_server import STORY, kill_and_resume, what_matters
from short_story import PACKS, tell

from runner.server import Server

KILLS = 3


def test_a_killed_server_goes_on_to_the_unbroken_film(server, comfyui, models, tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"the moments come from the seed {seed}")
    began = time.monotonic()
    unbroken = what_matters(tell(server, "killed", STORY).folder)
    duration = time.monotonic() - began

    def start() -> Server:
        return Server(comfyui, models, tmp_path / "output", packs=PACKS, cpu=True)

    told = kill_and_resume(start, tmp_path / "output" / "killed", unbroken, duration, KILLS, seed)
    assert len(told) == KILLS
