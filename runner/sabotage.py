"""Tests of the tests: the code is broken on purpose, one way at a time, and a named test must turn red."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .rings import run_pytest

RED, GREEN = 1, 0  # pytest's exit codes
# What a copy of the project does without.
LEFT_OUT = (".git", "output", "__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class Mutant:
    """One sabotage: in `file`, `old` (found once) becomes `new`; `test`, as pytest names it, must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


def run(mutants: Sequence[Mutant], root: Path, host: Path) -> int:
    """Try every mutant in a copy of the project and print a table.

    Returns:
        How many did not do as they should: their test stayed green, or they could not be tried at all.
    """
    bad = 0
    with tempfile.TemporaryDirectory(prefix="storymem-") as folder:
        copy = Path(folder, "storymem")
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        width = max(len(mutant.name) for mutant in mutants)
        for mutant in mutants:
            began = time.monotonic()
            verdict = trial(mutant, copy, host)
            bad += verdict != "red"
            seconds = time.monotonic() - began
            print(f"{mutant.name:<{width}}  {verdict:<9}  {seconds:4.0f} s  {mutant.test}", flush=True)
    print(f"\n{len(mutants) - bad} of {len(mutants)} sabotages turn their test red")
    return bad


def trial(mutant: Mutant, copy: Path, host: Path) -> str:
    """What a mutant's test does: "red" as it should, "survived", or why the mutant could not be tried."""
    file = copy / mutant.file
    sound = file.read_text(encoding="utf-8") if file.exists() else ""
    if sound.count(mutant.old) != 1:
        return "not found"
    if _test(mutant.test, copy, host) != GREEN:
        return "red before"
    file.write_text(sound.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        code = _test(mutant.test, copy, host)
    finally:
        file.write_text(sound, encoding="utf-8")
    return {RED: "red", GREEN: "survived"}.get(code, f"exit {code}")


def _test(test: str, copy: Path, host: Path) -> int:
    # Without byte code: two versions of a file, written in one second, may share its stamp.
    return run_pytest(copy, host, [test, "-q", "-x"], output=subprocess.DEVNULL, PYTHONDONTWRITEBYTECODE="1")
