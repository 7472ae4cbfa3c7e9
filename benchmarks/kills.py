"""Fifty random kills of a ComfyUI that makes a film: each time the next one goes on, to the very same bytes.

    run.py bench kills [KILLS [SEED]]

Small models, three shots. A killed server loses at most the shot that it was making: shots stored before are
whole and not made again, and film, clips, pictures and stored frames are those of an unbroken run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "server")]

from killed_server import NAME, STORY, kill_and_resume, what_matters  # noqa: E402
from short_story import PACKS, tell  # noqa: E402

from runner.benchmark import report  # noqa: E402
from runner.installation import small_models  # noqa: E402
from runner.server import Server  # noqa: E402

KILLS, SEED = 50, 1


def main() -> None:
    asked = [int(word) for word in sys.argv[1:]]
    kills, seed = (*asked, *(KILLS, SEED)[len(asked) :])
    host = Path(os.environ["COMFYUI_PATH"])
    models = small_models(Path(sys.executable), host, print)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:

        def start(name: str = "broken") -> Server:
            return Server(host, models, Path(folder, name), packs=PACKS, cpu=True)

        with start("unbroken") as server:
            tell(server, NAME, STORY)  # what is filled once: models, the grey latent
            shutil.rmtree(server.output / NAME)
            told = time.monotonic()
            unbroken = what_matters(tell(server, NAME, STORY).folder)
            duration = time.monotonic() - told
        broken = Path(folder, "broken", NAME)
        moments = kill_and_resume(start, broken, unbroken, duration, kills, seed)
    rows = [
        {"shots stored at the kill": shots, "kills": sum(kill.stored == shots for kill in moments)}
        for shots in range(4)
    ]
    report(
        "kills", rows, kills=len(moments), differing_films=0, files_compared=len(unbroken), seed=seed,
        story_seconds=duration, seconds=time.monotonic() - began,
    )  # fmt: skip


if __name__ == "__main__":
    main()
