"""The real ComfyUI as a child process with folders of its own; several may run at once."""

from __future__ import annotations

import json
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
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType

from .errors import ServerError
from .packages import ROOT
from .processes import clean_variables, die_with_parent

PACK = MappingProxyType({"storymem": ROOT})
START_TIMEOUT = 180.0
DRIVERS = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
# What the host writes when it loses a pack; it starts all the same.
PACK_LOST = ("(IMPORT FAILED)", "Error while calling comfy_entrypoint")
ONE_NODE = "StoryMemScript"


@dataclass(frozen=True)
class Place:
    """A ComfyUI and its models.

    Args:
        host: its folder.
        models: its models folder; None: it is somebody's own, with models and custom nodes of its own.
        more_models: further models folders.
        cpu: it can or shall not use a GPU.
    """

    host: Path
    models: Path | None
    more_models: tuple[Path, ...] = ()
    cpu: bool = False


class Server:
    """ComfyUI with an input folder and settings of its own; started on entry, stopped on exit.

    Args:
        host: ComfyUI's folder.
        models: its models folder; None: see Place. With one, the packs are its only custom nodes.
        output: its output folder, made when missing.
        packs: name -> folder of the packs that it loads.
        more_models: further models folders.
        cpu: run on the CPU; by default where there is no GPU.
        arguments: more of ComfyUI's own options.

    Raises:
        ServerError: there is no models folder, ComfyUI does not answer, or it could not load a pack.
    """

    def __init__(
        self,
        host: Path,
        models: Path | None,
        output: Path,
        *,
        packs: Mapping[str, Path] = PACK,
        more_models: Sequence[Path] = (),
        cpu: bool | None = None,
        arguments: Sequence[str] = (),
    ):
        self.output = output.absolute()
        self._host, self._models, self._packs, self._more_models = host, models, packs, more_models
        self._options = [*(["--cpu"] if (not has_gpu() if cpu is None else cpu) else []), *arguments]

    def __enter__(self) -> Server:
        if self._models and not self._models.is_dir():
            raise ServerError(f"There is no models folder {self._models}.")
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storymem-")))
            self.input, self.log = self.folder / "input", self.folder / "log.txt"
            for name in ("input", "temp", "user"):
                (self.folder / name).mkdir()
            self.output.mkdir(parents=True, exist_ok=True)
            if self._models:
                lay_base(self.folder, self._models, self._packs)
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
            "--output-directory": self.output,
            **{f"--{name}-directory": self.folder / name for name in ("input", "temp", "user")},
        }
        if self._models:
            folders["--base-directory"] = self.folder
        return [
            sys.executable,
            str(self._host / "main.py"),
            *(str(word) for pair in folders.items() for word in pair),
            *with_models(self._more_models, self.folder),
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
        while not answers(self.url):
            if self._process.poll() is not None:
                raise ServerError(f"ComfyUI ended as it started:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerError(f"ComfyUI did not answer in {START_TIMEOUT:.0f} s:\n{self.log_tail()}")
            time.sleep(0.1)
        if not self._models:  # what other packs of somebody's own do is none of ours
            if not has_pack(self.url):
                raise ServerError(f"ComfyUI has not loaded the pack:\n{self.log_tail()}")
            return
        lost = [line for line in self.log.read_text().splitlines() if any(sign in line for sign in PACK_LOST)]
        if lost:
            raise ServerError("ComfyUI could not load a pack:\n" + "\n".join(lost))

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()


def lay_base(folder: Path, models: Path, packs: Mapping[str, Path] = PACK) -> None:
    """Make a base directory for ComfyUI: links to the models and to the packs in `custom_nodes`.

    Raises:
        ServerError: something of a person's own stands where a link is to be.
    """
    # A link, since older versions of ComfyUI have no option for this folder.
    links = {"models": models, **{f"custom_nodes/{name}": pack for name, pack in packs.items()}}
    for link in (folder / name for name in links):
        if link.exists() and not link.is_symlink():
            raise ServerError(f"{link} is not our link. Give another folder, or that ComfyUI as --comfyui.")
    (folder / "custom_nodes").mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.absolute(), target_is_directory=True)


def with_models(folders: Sequence[Path], settings: Path) -> list[str]:
    """ComfyUI's options for further models folders; the file that they name is written into `settings`."""
    if not folders:
        return []
    places = {}
    for number, models in enumerate(folders):
        kinds = {path.name: path.name for path in sorted(models.iterdir()) if path.is_dir()}
        places[f"storymem_{number}"] = {"base_path": str(models.absolute()), **kinds}
    file = settings / "more_models.yaml"
    file.write_text(json.dumps(places), encoding="utf-8")  # JSON is YAML
    return ["--extra-model-paths-config", str(file)]


def answers(url: str) -> bool:
    """Whether a ComfyUI answers at this address."""
    try:
        with urllib.request.urlopen(f"{url}/queue", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def has_pack(url: str) -> bool:
    """Whether the ComfyUI at this address has loaded the pack."""
    with urllib.request.urlopen(f"{url}/object_info/{ONE_NODE}", timeout=60) as answer:
        return ONE_NODE in json.load(answer)


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
    """Whether there is an NVIDIA driver, Linux's or WSL's; asked without loading torch."""
    return any(map(os.path.exists, DRIVERS))
