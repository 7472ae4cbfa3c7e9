"""A ComfyUI that is already there. Standard library only.

Only two things of it change: a link to the pack in `custom_nodes`, and the packages of requirements.txt that
it does not have. No package that it has is moved to another version.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import hosts, packages
from .errors import SetupError
from .packages import ROOT
from .processes import clean_variables

LINK = "storymem"
CPU = "cpu"  # in what look.py tells
LOOK = ROOT / "runner" / "inside" / "look.py"
REQUIREMENTS = ROOT / "requirements.txt"
# What every ComfyUI has that the pack can run in, below its folder.
FILES = ("main.py", "nodes.py", "folder_paths.py", "comfyui_version.py")
PARTS = (*FILES, "comfy", "comfy_api/latest", "custom_nodes")
# Where people and installers put its Python, seen from its folder or from the one around it.
PYTHONS = tuple(f"{name}/bin/python" for name in ("venv", ".venv", "env", "python"))


@dataclass(frozen=True)
class Existing:
    """ComfyUI's folder and the Python that it runs on; both are somebody's own."""

    host: Path
    python: Path

    def prepare(self, say: Callable[[str], None]) -> None:
        """Link the pack into it and install what it lacks.

        Raises:
            SetupError: another copy of the pack is there, or pip cannot install without changing a package.
        """
        link(self.host, say)
        found = look(self)
        if found["unmet"]:
            say(f"set-up: installing {', '.join(found['unmet'])} into {self.python} ...")
            _install(self, found["unmet"], found["installed"])

    def is_running(self) -> bool:
        """Whether this very process runs on its Python."""
        return packages.runs_on(self.python)


def find(folder: Path) -> Existing:
    """The ComfyUI in a folder.

    Raises:
        SetupError: there is none, it is too old, or its Python cannot be found.
    """
    host = folder.expanduser().absolute()
    missing = [part for part in PARTS if not (host / part).exists()]
    if missing:
        raise SetupError(
            f"{host} is no ComfyUI: it has no {', '.join(missing)}. "
            f"Give the folder in which ComfyUI's main.py lies."
        )
    oldest = min(hosts.HOSTS, key=_numbers)
    if _numbers(version(host)) < _numbers(oldest):
        raise SetupError(f"{host} is ComfyUI {version(host)}; the pack needs {oldest} or newer. Update it.")
    return Existing(host, _python(host))


def version(host: Path) -> str:
    """Of the ComfyUI in a folder.

    Raises:
        SetupError: it does not say.
    """
    found = re.search(r'__version__ = "(.+)"', (host / "comfyui_version.py").read_text(encoding="utf-8"))
    if not found:
        raise SetupError(f"{host} is no ComfyUI that says its version in comfyui_version.py.")
    return found[1]


def linked(host: Path) -> bool:
    """Whether this very copy of the pack stands in its `custom_nodes`, under any name."""
    return any(path.resolve() == ROOT for path in (host / "custom_nodes").iterdir())


def link(host: Path, say: Callable[[str], None]) -> None:
    """Link the pack into `custom_nodes`, unless it is there.

    Raises:
        SetupError: another copy is there: ComfyUI would load both, and one would hide the other's nodes.
    """
    if linked(host):
        return
    for path in sorted((host / "custom_nodes").iterdir()):
        if path.name == LINK or (path / "storymem_core").is_dir():
            raise SetupError(
                f"{path} is another copy of the pack than {ROOT}. "
                f"Run that copy's run.py, or take it out of custom_nodes first."
            )
    target = host / "custom_nodes" / LINK
    target.symlink_to(ROOT, target_is_directory=True)
    say(f"linked: {target} -> {ROOT}")


def look(at: Existing, *more: str) -> Mapping[str, Any]:
    """What runner/inside/look.py tells of it; `more` are options of that file."""
    # -B: nothing is written into somebody's folders.
    command: list[str | Path] = [at.python, "-B", str(LOOK), str(at.host), str(REQUIREMENTS), *more]
    told = packages.run(command, clean_variables())
    return json.loads(told.splitlines()[-1])


def device(at: Existing) -> str:
    """What its torch computes on: the name of a card, or CPU."""
    return look(at, "--device")["device"]["name"]


def _install(at: Existing, lines: Sequence[str], installed: Sequence[str]) -> None:
    by_hand = f"{at.python} -m pip install {' '.join(lines)}"
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "held.txt")
        held.write_text("\n".join(installed) + "\n", encoding="utf-8")
        quietly = ("--quiet", "--no-input")
        command: list[str | Path] = [at.python, "-m", "pip", "install", *quietly, "-c", held, *lines]
        try:
            packages.run(command, clean_variables())
        except SetupError as error:
            raise SetupError(
                f"{error}\nComfyUI's own packages stay as they are, and so this could not be installed. "
                f"By hand: {by_hand}"
            ) from error


def _python(host: Path) -> Path:
    """The first that has torch: of an environment in its folder, this very one, of an environment beside it.

    An environment beside it may be for something else, so the one that was activated comes first.

    Raises:
        SetupError: none has.
    """
    within, beside = ([folder / name for name in PYTHONS] for folder in (host, host.parent))
    for python in (*within, Path(sys.executable), *beside):
        if python.is_file() and _has_torch(python):
            return python
    raise SetupError(
        f"The Python of {host} was not found: no virtual environment with torch lies in it or beside it, and "
        f"{sys.executable} has no torch. Activate the environment in which you start ComfyUI and run the "
        f"command again."
    )


def _has_torch(python: Path) -> bool:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    return subprocess.run([python, "-c", code], env=clean_variables()).returncode == 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
