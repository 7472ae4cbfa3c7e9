"""`run.py test`: the linter, the type checker and the rings of tests, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from .errors import SetupError
from .installation import chromium, registry
from .packages import ROOT
from .processes import clean_variables, die_with_parent

CHECKS = ("lint", "types")
# In this order, and apart: core runs without ComfyUI on the path, host with ComfyUI's folder first on it
# (its nodes.py and the pack's nodes/ share a name), server and canvas against a live one. The last holds what
# the registry of custom nodes checks.
RINGS = ("core", "host", "server", "canvas", "registry")
# What `--host` runs where nothing else is asked for.
ON_A_HOST = ("server",)

NO_TESTS = 5  # pytest's exit code
# These rings' tests share nothing but files that are only read: a process on each core, up to four of them
# (each holds torch and the host). The others share a server, which has the other core.
SIDE_BY_SIDE = MappingProxyType(
    dict.fromkeys(("core", "host"), ("-n", "logical", "--maxprocesses=4", "--dist=loadfile"))
)
# The tests' models are so small that threads wait longer for each other than they work, most of all where
# other processes want the cores too.
THREADS = MappingProxyType({"OMP_NUM_THREADS": "1"})
JUNIT = ("tests", "failures", "errors", "skipped")


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed (errors among them) and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def test(words: Sequence[str], host: Path, say: Callable[[str], None], others: bool = False) -> int:
    """Run checks and rings to their end, whatever fails on the way; the exit code.

    Args:
        words: the parts to run, all if none is named, and options for pytest. A check counts as one test.
        host: ComfyUI's folder.
        others: it is a version that was asked for: where no part is named, what depends on it is meant.
    """
    wanted, options = selection(words, ON_A_HOST if others else ())
    results = {}
    for part in wanted:
        print(f"\n== {part} ==", flush=True)
        results[part] = _check(part) if part in CHECKS else _ring(part, options, host, say)
    print()
    for part, counts in results.items():
        print(f"{part}: {counts}")
    total = sum(results.values(), Counts())
    print(total, flush=True)
    return 1 if total.failed else 0


def selection(words: Sequence[str], default: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Words of the command line -> parts to run, in order, and what is pytest's.

    Args:
        default: the parts where none is named; all, if empty.
    """
    parts = [part for part in (*CHECKS, *RINGS) if part in words]
    options = [word for word in words if word not in parts]
    # Options of pytest mean nothing to the checks.
    return parts or list(default or (RINGS if options else CHECKS + RINGS)), options


def run_pytest(root: Path, host: Path, words: Sequence[str], output: int | None = None, **more: str) -> int:
    """pytest in a process of its own, on a copy of the project; its exit code.

    Args:
        output: where its output goes, as subprocess has it; by default to this process's own.
        more: environment variables.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=root,
        env=clean_variables(COMFYUI_PATH=os.fspath(host), **THREADS, **more),
        stdout=output,
        preexec_fn=die_with_parent(),
    )
    return done.returncode


def counted(report: Path) -> Counts:
    """What a JUnit file says."""
    total = Counts()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, failures, errors, skipped = (int(suite.get(name, 0)) for name in JUNIT)
        total += Counts(tests - failures - errors - skipped, failures + errors, skipped)
    return total


def _ring(ring: str, options: Sequence[str], host: Path, say: Callable[[str], None]) -> Counts:
    try:
        if ring == "canvas":
            chromium(say)
        if ring == "registry":
            registry().prepare(say)
    except SetupError as error:
        print(error, flush=True)
        return Counts(failed=1)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = [f"tests/{ring}", f"--junit-xml={report}", "--durations=10", *SIDE_BY_SIDE.get(ring, ())]
        code = run_pytest(ROOT, host, [*words, *options])
        counts = counted(report) if report.exists() else None
    if counts and (code == 0 or counts.failed or (code == NO_TESTS and options)):
        return counts
    # No tests at all, a crash, a wrong option: nothing failed, yet nothing was shown to work.
    print(f"{ring}: pytest ended with {code} and shows no test that works", flush=True)
    return Counts(failed=1)


def _check(check: str) -> Counts:
    with tempfile.TemporaryDirectory() as folder:
        command = {"lint": _lint, "types": _types}[check](Path(folder))
        done = subprocess.run(command, cwd=folder, env=clean_variables(), preexec_fn=die_with_parent())
    return Counts(failed=1) if done.returncode else Counts(passed=1)


def _lint(folder: Path) -> list[str]:
    return [sys.executable, "-m", "ruff", "check", "--no-cache", str(ROOT)]


def _types(folder: Path) -> list[str]:
    # The checkout's folder may have any name; mypy wants a package's.
    package = folder / "storymem"
    package.symlink_to(ROOT, target_is_directory=True)
    settings = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"))
    names = (f"storymem.{name}" for name in ("storymem_core", "nodes", "runner"))
    return [sys.executable, "-m", "mypy", *settings, *(word for name in names for word in ("-p", name))]
