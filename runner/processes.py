"""Child processes that never outlive the command that started them. Standard library only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel kills the child when its parent is gone, however it went (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG
    libc = ctypes.CDLL(None)  # looked up here: between fork and exec nothing should be imported
    return lambda: libc.prctl(set_parent_death_signal, signal.SIGKILL)


def clean_variables(**more: str) -> dict[str, str]:
    """This process's environment variables without those that would bring foreign modules in, plus `more`."""
    foreign = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"}
    return {name: value for name, value in os.environ.items() if name not in foreign} | more
