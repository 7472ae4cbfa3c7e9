"""`run.py serve`: ComfyUI with the pack for a person, until Ctrl-C. Its log goes to the terminal."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .arguments import Arguments
from .errors import ServerError
from .processes import clean_variables, die_with_parent
from .server import Place, answers, has_pack, lay_base, with_models

STOP_TIMEOUT = 10.0


def serve(arguments: Arguments, place: Place, say: Callable[[str], None]) -> int:
    """Run ComfyUI until it ends or Ctrl-C is pressed; its exit code.

    Raises:
        ServerError: the port is taken, or it has not loaded the pack.
    """
    url = f"http://127.0.0.1:{arguments.port}"
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", arguments.port)):
            raise ServerError(f"Port {arguments.port} is taken. Choose another by --port.")
    with tempfile.TemporaryDirectory(prefix="storymem-") as folder:
        process = subprocess.Popen(
            command(arguments, place, Path(folder)),
            env=clean_variables(),
            stdin=subprocess.DEVNULL,
            # Ctrl-C comes from us, so that it comes once.
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        try:
            _tell_when_it_answers(process, url, say)
            return process.wait()
        finally:
            _stop(process)


def command(arguments: Arguments, place: Place, settings: Path) -> list[str]:
    """The command that starts ComfyUI.

    Args:
        settings: an existing folder for a file that it reads.
    """
    words = [sys.executable, str(place.host / "main.py"), "--port", str(arguments.port)]
    if place.models:
        words += _own_base(arguments.folder.absolute(), place.models)
    if place.cpu:
        words.append("--cpu")
    return [*words, *with_models(place.more_models, settings), *arguments.rest]


def _own_base(folder: Path, models: Path) -> list[str]:
    """Lay out a folder that keeps what a person makes; the options that name it."""
    lay_base(folder, models)
    for name in ("input", "output", "user"):
        (folder / name).mkdir(exist_ok=True)
    # In the host's own folder, which many share, its database would be everybody's.
    database = folder / "user" / "comfyui.db"
    return ["--base-directory", str(folder), "--database-url", f"sqlite:///{database}", "--disable-api-nodes"]


def _tell_when_it_answers(process: subprocess.Popen[bytes], url: str, say: Callable[[str], None]) -> None:
    while process.poll() is None:
        if answers(url):
            if not has_pack(url):
                raise ServerError("ComfyUI runs without the pack: its log above says why it was not loaded.")
            say(f"\nStoryMem is ready: open {url} (Ctrl-C ends it)\n")
            return
        time.sleep(0.3)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
