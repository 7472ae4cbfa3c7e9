#!/usr/bin/env python3
"""The project's commands: everything from a bare Python to a film made by the real ComfyUI.

Standard library only. The command's own work is done by runner/ on the environment's Python, as which this
file runs itself once more when the environment is ready.
"""

from __future__ import annotations

import os
import signal
import sys

if os.name == "nt":
    sys.exit("error: run.py needs Linux, macOS or WSL; the README tells how to install the nodes alone.")

from runner import doctor, existing, installation
from runner.arguments import Arguments, parse
from runner.errors import CommandError
from runner.existing import Existing
from runner.installation import Installation
from storymem_core.errors import StoryMemError

OLDEST = (3, 10)


def needed(arguments: Arguments) -> Installation | Existing:
    """What a command needs installed."""
    if arguments.plan:
        # With the whole there, nothing more is needed: it also works without a network.
        whole = installation.full()
        return installation.light() if whole.environment.missing() else whole
    if arguments.comfyui:
        return existing.find(arguments.comfyui)
    if arguments.command == "test" and arguments.host:
        return installation.with_tests_on(arguments.host)
    if arguments.command in ("test", "mutants", "bench"):  # a benchmark runs tests, another trains
        return installation.with_tests()
    if arguments.command == "train":
        return installation.with_training()
    return installation.full()


def say(line: str) -> None:
    """For people; stdout belongs to what a command gives."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    if sys.version_info < OLDEST:
        say(f"error: Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this one is {sys.version.split()[0]}")
        return 1
    # Both end in order, also where a shell that started us in the background has SIGINT ignored.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    arguments = parse(sys.argv[1:])
    try:
        if arguments.command == "doctor":
            return doctor.tell(arguments)
        installed = needed(arguments)
        installed.prepare(say)
        if not installed.is_running():
            os.execv(installed.python, [str(installed.python), __file__, *sys.argv[1:]])
        # Only here: some of it needs what the environment has.
        from runner import commands

        return commands.run(arguments, installed, say)
    except (CommandError, StoryMemError) as error:
        say(f"error: {error}")
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
