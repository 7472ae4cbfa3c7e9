"""The real ComfyUI as a child process with folders of its own; several may run at once."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType

from .errors import ServerError
from .packages import ROOT
from .processes import clean_variables, die_with_parent

PACK = MappingProxyType({"storymem": ROOT})
START_TIMEOUT = 180.0
# What the host writes when it loses a pack; it starts all the same.
PACK_LOST = ("(IMPORT FAILED)", "Error while calling comfy_entrypoint")


class Server:
    """ComfyUI with packs linked into a `custom_nodes` of its own; started on entry, stopped on exit.

    Args:
        host: ComfyUI's folder.
        models: its models folder.
        output: its output folder, made when missing.
        packs: name -> folder of the packs that it loads.
        cpu: run on the CPU even where there is a GPU.
        arguments: more of ComfyUI's own options.

    Raises:
        ServerError: there is no models folder, ComfyUI does not answer, or it could not load a pack.
    """

    def __init__(
        self,
        host: Path,
        models: Path,
        output: Path,
        *,
        packs: Mapping[str, Path] = PACK,
        cpu: bool = False,
        arguments: Sequence[str] = (),
    ):
        self.output = output.absolute()
        self._host, self._models, self._packs = host, models, packs
        self._options = [*(["--cpu"] if cpu or not has_gpu() else []), *arguments]

    def __enter__(self) -> Server:
        if not self._models.is_dir():
            raise ServerError(f"There is no models folder {self._models}.")
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storymem-")))
            self.input, self.log = self.folder / "input", self.folder / "log.txt"
            for name in ("custom_nodes", "input", "temp", "user"):
                (self.folder / name).mkdir()
            # Older versions of ComfyUI have no option for this folder.
            (self.folder / "models").symlink_to(self._models.absolute(), target_is_directory=True)
            self.output.mkdir(parents=True, exist_ok=True)
            for name, pack in self._packs.items():
                (self.folder / "custom_nodes" / name).symlink_to(pack, target_is_directory=True)
            self.url = f"http://127.0.0.1:{free_port()}"
            log = stack.enter_context(self.log.open("w"))
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=clean_variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the command, which interrupts the job and then stops the server.
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
            stack.callback(self._stop)
            self._wait_until_it_answers()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log_tail(self, lines: int = 30) -> str:
        """The end of what the server has written."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _command(self) -> list[str]:
        folders = {
            "--base-directory": self.folder,
            "--output-directory": self.output,
        }
        return [
            sys.executable,
            str(self._host / "main.py"),
            *(str(word) for pair in folders.items() for word in pair),
            "--port",
            self.url.rpartition(":")[2],
            # In the host's own folder two servers would fight for the file.
            "--database-url",
            "sqlite:///:memory:",
            "--disable-api-nodes",
            *self._options,
        ]

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerError(f"ComfyUI ended as it started:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerError(f"ComfyUI did not answer in {START_TIMEOUT:.0f} s:\n{self.log_tail()}")
            time.sleep(0.1)
        lost = [line for line in self.log.read_text().splitlines() if any(sign in line for sign in PACK_LOST)]
        if lost:
            raise ServerError("ComfyUI could not load a pack:\n" + "\n".join(lost))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/queue", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on.

    Below the range from which the kernel lends ports to others, so that it stays free until it is used.
    """
    for port in random.Random(os.urandom(8)).sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise ServerError("No free port between 20000 and 32000 was found in 100 tries.")


def has_gpu() -> bool:
    """Whether there is an NVIDIA driver; asked without loading torch."""
    return Path("/proc/driver/nvidia/version").exists()
