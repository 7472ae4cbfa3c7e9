"""Damaged story folders and full disks: never another film, always made again or refused by name.

    run.py bench damage [DAMAGES [SEED]]

A small drawn story, stored and published as a run does it. Its files are emptied, truncated, flipped,
lengthened, swapped and removed at random, one to three at a time, and it is run again; then it is made anew
on a disk that is full from the n-th write on, for every n, and run again with room. After each, every file
must be that of an unbroken run.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "core")]

from hard_use import damaged, filled  # noqa: E402

from runner.benchmark import report  # noqa: E402

ROUNDS, SEED = 500, 1


def main() -> None:
    asked = [int(word) for word in sys.argv[1:]]
    rounds, seed = (*asked, *(ROUNDS, SEED)[len(asked) :])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = damaged(Path(folder), rounds, seed)
    refilled = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        full = filled(Path(folder), itertools.count())
    rows = [
        {
            "way": "files damaged", "rounds": rounds, "made again": told["remade"],
            "refused": told.get("refused", 0), "other films": 0, "seconds": refilled - began,
        },
        {
            "way": "disk full at the n-th write", "rounds": full["full"], "made again": full["full"],
            "refused": 0, "other films": 0, "seconds": time.monotonic() - refilled,
        },
    ]  # fmt: skip
    report("damage", rows, seed=seed, damages=told, shots_kept_on_a_full_disk=full["kept"])


if __name__ == "__main__":
    main()
