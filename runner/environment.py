"""A folder made step by step: an interrupted set-up goes on where it stopped, two at once wait in turn.

Standard library only: run.py uses it before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One part of a set-up.

    Args:
        name: for people, and the name of the stamp.
        made_of: all that decides the result, versions and names: when it changes, the step runs again.
        run: makes it; given the folder, and whether an earlier attempt may have left half of it there.
    """

    name: str
    made_of: str
    run: Callable[[Path, bool], None]


@dataclass(frozen=True)
class Environment:
    """A folder and the steps that make it, in order."""

    folder: Path
    steps: tuple[Step, ...]

    @classmethod
    def cached(cls, name: str, steps: Sequence[Step]) -> Environment:
        """The environment in the cache folder, under a key of what its steps make it of."""
        return cls(cache_folder() / f"{name}-{key(steps)}", tuple(steps))

    def extended(self, *steps: Step) -> Environment:
        """The same folder with more steps: what they need beyond it is added in place."""
        return Environment(self.folder, (*self.steps, *steps))

    def missing(self) -> list[Step]:
        """The steps still to be done: the first without its stamp, and all after it."""
        for done, step in enumerate(self.steps):
            stamp = self._stamp(step)
            if not stamp.is_file() or stamp.read_text() != key(self.steps[: done + 1]):
                return list(self.steps[done:])
        return []

    def prepare(self, say: Callable[[str], None]) -> Environment:
        """Do what is missing; at once when nothing is.

        Args:
            say: told, in a line each, what is being done.

        Raises:
            SetupError: a step failed; the ones before it stay done.
        """
        if self.missing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder / "lock", lambda: say(f"waiting for the set-up of {self.folder}")):
                for step in self.missing():
                    self._do(step, say)
        return self

    def _do(self, step: Step, say: Callable[[str], None]) -> None:
        say(f"set-up: {step.name} ...")
        began = time.monotonic()
        stamp, attempt = self._stamp(step), self._stamp(step).with_suffix(".begun")
        again = attempt.exists()
        stamp.parent.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        attempt.touch()
        step.run(self.folder, again)
        written = stamp.with_suffix(".tmp")
        written.write_text(key(self.steps[: self.steps.index(step) + 1]))
        os.replace(written, stamp)
        attempt.unlink()
        say(f"set-up: {step.name}: {time.monotonic() - began:.0f} s")

    def _stamp(self, step: Step) -> Path:
        return self.folder / "stamps" / step.name.replace(" ", "_")


def key(steps: Sequence[Step]) -> str:
    """What steps make, as 16 hexadecimal digits: their contents, this Python and this platform."""
    told = [sys.implementation.cache_tag, platform.system(), platform.machine()]
    told += [f"{step.name}\n{step.made_of}" for step in steps]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """The project's folder in the user's cache (XDG base directories)."""
    # A relative XDG_CACHE_HOME is to be ignored, says that specification.
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "storymem"


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    # The kernel frees the lock with its process, so that a killed set-up blocks nobody.
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
