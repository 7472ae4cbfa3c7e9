"""Kill a run with SIGKILL at random moments, let it go on, again and again; look into its folder meanwhile.

    python killed_run.py FOLDER KILLS SEED    prints {kills, half_written, shots_lost, differ, runs, unbroken}

Everything is imported once; each run is a forked child, so kills fall into its work and not into its start.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from stories import PROMPTS, Told, contents, scene, tell  # noqa: E402

from storymem_core.film.publish import publish  # noqa: E402
from storymem_core.store.project import Project  # noqa: E402

SHOTS = [
    Told(f"shot-{place}", scene(place, 9), dropped=place % 2, prompt=PROMPTS[place % 4], seed=place)
    for place in range(5)
]


def run(folder: Path) -> None:
    """The whole story, as every start of the command makes it."""
    publish(tell(folder, SHOTS, keep=(2, -1)), crossfade=2, name="a story")


def child(folder: Path) -> int:
    process = os.fork()
    if process == 0:
        run(folder)
        os._exit(0)
    return process


def what_matters(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.startswith(".lock")}


def main() -> None:
    root, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    began = time.perf_counter()
    assert os.waitpid(child(root / "unbroken"), 0)[1] == 0
    whole_run = time.perf_counter() - began
    unbroken = what_matters(root / "unbroken")
    folder = root / "broken"
    told = {"kills": 0, "half_written": 0, "shots_lost": 0, "differ": [], "runs": 0}
    stored: set[str] = set()
    while told["kills"] < kills or stored:
        process = child(folder)
        if told["kills"] < kills:
            time.sleep(chance.uniform(0, whole_run))
            os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        assert status in (0, signal.SIGKILL)
        killed = status == signal.SIGKILL
        told["kills"] += killed
        told["half_written"] += any(path.name.endswith(".part") for path in folder.rglob("*"))
        # As a reader that has no lock: it must never meet half a shot.
        project = Project.open(folder)
        keys = {path.name for path in (folder / "store").iterdir() if path.is_dir() and path.name[0] != "."}
        whole = {key for key in keys if project.find(key)}
        told["shots_lost"] += len((stored | keys) - whole)
        stored = whole
        if not killed:
            told["runs"] += 1
            broken = what_matters(folder)
            told["differ"] += [
                name for name in {*broken, *unbroken} if broken.get(name) != unbroken.get(name)
            ]
            shutil.rmtree(folder)
            stored = set()
    print(json.dumps({**told, "unbroken": len(unbroken)}))


if __name__ == "__main__":
    main()
