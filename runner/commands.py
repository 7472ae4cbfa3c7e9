"""What each command of run.py does, on the environment's Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import film
from .arguments import Arguments
from .existing import CPU, Existing, device
from .installation import Installation, small_models
from .packages import ROOT
from .processes import clean_variables, die_with_parent
from .serve import serve
from .server import Place, has_gpu


def run(arguments: Arguments, installed: Installation | Existing, say: Callable[[str], None]) -> int:
    """Do what was asked; the exit code."""
    if arguments.plan:
        print(film.plan_json(arguments))
        return 0
    if arguments.command == "bench":
        return _script(ROOT / "benchmarks" / f"{arguments.name}.py", arguments.rest, installed.host)
    if arguments.command == "train":
        # Not at the top: only this command's environment has what the trainer imports.
        from storymem_core.training.command import train

        assert arguments.out
        return train("all", arguments.name, arguments.out, arguments.minutes, say)
    if arguments.command == "mutants":
        return _script(ROOT / "tests" / "mutants.py", arguments.rest, installed.host)
    if arguments.command == "test":
        from .rings import test

        return test(arguments.rest, installed.host, say, others=bool(arguments.host))
    place = _place(arguments, installed, say)
    if arguments.command == "serve":
        return serve(arguments, place, say)
    if arguments.command == "queue":
        for path in film.queue(arguments, place, say):
            print(path)
    else:
        print(f"film: {film.make(arguments, place, say)}")
    return 0


def _place(arguments: Arguments, installed: Installation | Existing, say: Callable[[str], None]) -> Place:
    """The ComfyUI that was asked for and its models; the small ones are always among them."""
    small, asked = small_models(installed.python, installed.host, say), arguments.models
    if isinstance(installed, Existing):
        cpu = arguments.cpu or device(installed) == CPU
        return Place(installed.host, None, (small, asked) if asked else (small,), cpu)
    cpu = arguments.cpu or not has_gpu()
    return Place(installed.host, asked or small, (small,) if asked else (), cpu)


def _script(file: Path, words: Sequence[str], host: Path) -> int:
    """Run a script of the project that imports the runner; its exit code."""
    done = subprocess.run(
        [sys.executable, str(file), *words],
        env=clean_variables(PYTHONPATH=os.fspath(ROOT), COMFYUI_PATH=os.fspath(host)),
        preexec_fn=die_with_parent(),
    )
    return done.returncode
