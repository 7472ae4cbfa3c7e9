"""Python packages by pip, always held to pinned versions. Standard library only."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .environment import Step
from .errors import SetupError
from .processes import clean_variables, die_with_parent

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "runner" / "pins.txt"


def venv_step() -> Step:
    """A virtual environment `venv` in the folder, of the Python that runs this."""

    def make(folder: Path, again: bool) -> None:
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                f"This Python ({sys.executable}) cannot make virtual environments: ensurepip is missing. "
                f"On Debian and Ubuntu: apt-get install python3-venv. Then run the command again."
            )
        run([sys.executable, "-m", "venv", "--clear", folder / "venv"], clean_variables())

    return Step("venv", sys.version, make)


def pip_step(name: str, arguments: Sequence[str], contents: str = "", pins: Path = PINS) -> Step:
    """Packages into that environment.

    Args:
        arguments: pip's, behind `install`.
        contents: all that decides what is installed, where the arguments only name a file.
        pins: the versions, as pip constraints.
    """

    def make(folder: Path, again: bool) -> None:
        install(folder, again, *arguments, pins=pins)

    told = contents or " ".join(arguments)
    return Step(name, f"{told}\n{pins.read_text()}", make)


def install(folder: Path, again: bool, *arguments: str | Path, pins: Path = PINS) -> None:
    """Install into the folder's environment; `again` when an earlier attempt may have left half of it."""
    # A killed pip may leave a package that looks installed and is half there.
    mend = ["--ignore-installed"] if again else []
    run(pip(folder, "install", "-c", pins, *mend, *arguments), clean_variables())


def pip(folder: Path, *arguments: str | Path) -> list[str | Path]:
    """The command that runs pip in the folder's environment."""
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    return [folder / "venv" / "bin" / "python", "-m", "pip", arguments[0], *quiet, *arguments[1:]]


def package(requirement: str) -> str:
    """The package's name in a line of a requirements file, as package indexes compare names."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def runs_on(python: Path) -> bool:
    """Whether this very process runs on that Python (`bin/python` of an environment or of a system)."""
    return Path(sys.prefix).resolve() == python.parents[1].resolve()


def run(command: Sequence[str | Path], variables: Mapping[str, str]) -> str:
    """Run a command to its end, silently unless it fails; what it wrote.

    Raises:
        SetupError: with the end of what it wrote.
    """
    done = subprocess.run(
        [str(part) for part in command],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=die_with_parent(),
    )
    if done.returncode:
        told = done.stdout[-4000:]
        raise SetupError(f"{told}\nFailed (exit {done.returncode}): {' '.join(map(str, command))}")
    return done.stdout
