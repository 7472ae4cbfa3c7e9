"""What each command of run.py does, on the environment's Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from . import film
from .arguments import Arguments
from .installation import ROOT, Installation, small_models
from .processes import clean_variables, die_with_parent


def run(arguments: Arguments, installed: Installation, say: Callable[[str], None]) -> int:
    """Do what was asked; the exit code."""
    if arguments.plan:
        print(film.plan_json(arguments))
        return 0
    if arguments.command in ("bench", "mutants"):
        return _module(arguments, installed)
    if arguments.command == "test":
        from .rings import test

        return test(arguments.rest, installed.host, say)
    models = small_models(installed.python, installed.host, say)
    if arguments.command == "queue":
        for path in film.queue(arguments, installed.host, models, say):
            print(path)
    else:
        print(f"film: {film.make(arguments, installed.host, models, say)}")
    return 0


def _module(arguments: Arguments, installed: Installation) -> int:
    module = f"benchmarks.{arguments.name}" if arguments.command == "bench" else "tests.mutants"
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments.rest],
        cwd=ROOT,
        env={**clean_variables(), "COMFYUI_PATH": os.fspath(installed.host)},
        preexec_fn=die_with_parent(),
    )
    return done.returncode
