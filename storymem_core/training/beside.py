"""A stage in a process of its own, beside those that do not need it.

On a CPU two trainings on half of the cores each get nearly twice as far as one after the other on all of
them: small models leave most of a second core's time unused.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from ..errors import StoryMemError
from .recipes import Recipe

Stage = Callable[[Recipe, Path, "float | None"], bool]
"""Trains in a folder for so many minutes at most: whether it is done to its end."""
_UNFINISHED, _ERROR = 1, 2
"""Exit codes."""


def pays() -> bool:
    """Whether there are two cores to share, and no GPU that both would want."""
    return torch.get_num_threads() > 1 and not torch.cuda.is_available()


class Beside:
    """Starts a stage on half of the threads; this process has the other half until it ends.

    Args:
        stage: found by name in the new process, so no local function.
        recipe, out, minutes: its arguments.
    """

    def __init__(self, stage: Stage, recipe: Recipe, out: Path, minutes: float | None):
        self._threads = torch.get_num_threads()
        half = self._threads // 2
        # Not fork: torch's threads do not survive it.
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=_run, args=(stage, recipe, out, minutes, half))
        self._process.start()
        torch.set_num_threads(self._threads - half)

    def share(self) -> None:
        """Take all threads again if it has ended. Called between stages: compiled code keeps its number."""
        if not self._process.is_alive():
            torch.set_num_threads(self._threads)

    def finished(self) -> bool:
        """Wait for its end, and say whether it was the stage's.

        Raises:
            StoryMemError: it ended with an error, which it has told.
        """
        self._process.join()
        self.share()
        code = self._process.exitcode
        if code not in (0, _UNFINISHED):
            raise StoryMemError(
                "the stage that ran beside the others ended with an error, see above",
                value=f"exit code {code}",
                remedy="Mend that and give the same command: all else is kept.",
            )
        return code == 0

    def stop(self) -> None:
        """Let it store where it is and end."""
        self._process.terminate()
        self._process.join()
        self.share()


def end_with_parent() -> None:
    """Let this worker process not outlive a killed training: it would work on beside the next one."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in workers only

    def watch() -> None:
        parent.join()
        os._exit(_ERROR)  # the main thread may be busy for minutes

    threading.Thread(target=watch, daemon=True).start()


def _run(stage: Stage, recipe: Recipe, out: Path, minutes: float | None, threads: int) -> None:
    end_with_parent()
    torch.set_num_threads(threads)
    try:
        done = stage(recipe, out, minutes)
    except StoryMemError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(_ERROR)
    sys.exit(0 if done else _UNFINISHED)
