"""What is installed: Python packages, the real ComfyUI and the small checkpoints. Standard library only.

All versions stand in pins.txt, those of the registry's tools in registry_pins.txt.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import hosts, packages
from .environment import Environment, Step
from .errors import SetupError
from .hosts import HOSTS
from .packages import ROOT, pip_step, venv_step
from .processes import clean_variables

TRAINING = ("diffusers", "peft", "accelerate")
TEST_TOOLS = (
    "pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "playwright", "scikit-image", "scikit-learn",
)  # fmt: skip
# Their own requirements would bring another torchvision, flash_attn and opencv: we need the modules only.
TEST_ORACLES = ("wan22",)
REGISTRY_TOOLS = ("comfy-cli", "comfy-lint")

SMALL_MODEL_SOURCES = (
    "models/small_models.py", "models/wan_shapes.py", "models/text_encoder.py", "models/vocabulary.py",
    "lora/settings.py",
)  # fmt: skip


@dataclass(frozen=True)
class Installation:
    """An environment, and where things lie in it.

    Args:
        environment: its folder and how that is made.
        shared: another one that it takes packages from; it must be there first.
    """

    environment: Environment
    shared: Environment | None = None

    @property
    def python(self) -> Path:
        return self.environment.folder / "venv" / "bin" / "python"

    @property
    def host(self) -> Path:
        """ComfyUI's folder."""
        return self.environment.folder / "ComfyUI"

    def prepare(self, say: Callable[[str], None]) -> None:
        """Make what is missing; `say` is told, in a line each, what is being done.

        Raises:
            SetupError: a step failed; the ones before it stay done.
        """
        if self.shared:
            self.shared.prepare(say)
        self.environment.prepare(say)

    def is_running(self) -> bool:
        """Whether this very process runs on the installation's Python."""
        return packages.runs_on(self.python)


def full() -> Installation:
    """torch, ComfyUI and what the pack requires: all that a film needs."""
    requirements = ROOT / "requirements.txt"
    return Installation(
        Environment.cached(
            "comfyui",
            (
                venv_step(),
                pip_step("torch", ["torch", "torchvision"]),
                # Its only use is that the host imports it; its requirements would move torch.
                pip_step("torchaudio", ["--no-deps", "torchaudio"]),
                hosts.source_step(hosts.NEWEST),
                hosts.requirements_step(),
                pip_step("requirements", ["-r", str(requirements)], requirements.read_text()),
            ),
        )
    )


def with_training() -> Installation:
    """The same folder with what the trainer needs."""
    return Installation(full().environment.extended(pip_step("training", TRAINING)))


def with_tests() -> Installation:
    """The same folder with the tools that the tests need; the trainer's are among them."""
    return Installation(
        with_training().environment.extended(
            pip_step("test tools", TEST_TOOLS), pip_step("test oracles", ["--no-deps", *TEST_ORACLES])
        )
    )


def with_tests_on(version: str) -> Installation:
    """What the tests need, with another version of ComfyUI.

    Only the packages that this version wants otherwise are installed for it: torch and the rest are shared.

    Raises:
        SetupError: the pack is not tested with this version.
    """
    if version not in HOSTS:
        raise SetupError(f"ComfyUI {version!r} is not one that the pack is tested with: {', '.join(HOSTS)}.")
    tests, host = with_tests(), HOSTS[version]
    if host == hosts.NEWEST:
        return tests
    site_packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    steps = (
        venv_step(),
        hosts.shared_step(tests.environment.folder / "venv" / site_packages),
        hosts.source_step(host),
        hosts.own_requirements_step(host),
    )
    return Installation(Environment.cached(f"host-{version}", steps), shared=tests.environment)


def registry() -> Installation:
    """The registry's own checks, apart: they want versions of what ComfyUI needs too."""
    tools = pip_step("registry tools", REGISTRY_TOOLS, pins=ROOT / "runner" / "registry_pins.txt")
    return Installation(Environment.cached("registry", (venv_step(), tools)))


def light() -> Installation:
    """Enough to read a script: no ComfyUI, no torch."""
    return Installation(Environment.cached("scripts", (venv_step(), pip_step("json5", ["json5"]))))


def small_models(python: Path, host: Path, say: Callable[[str], None]) -> Path:
    """The models folder with the small checkpoints, made once for each state of the code that makes them."""
    package = ROOT / "storymem_core"

    def make(folder: Path, again: bool) -> None:
        # ComfyUI's folder first: the pack's `nodes/` must not hide the host's nodes.py.
        variables = clean_variables(PYTHONPATH=os.pathsep.join((str(host), str(ROOT))))
        packages.run([python, "-m", "storymem_core.models.small_models", folder / "models"], variables)

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
        packages.run(["apt-get", "update", "-q"], apt)
        packages.run(["apt-get", "install", "-y", "-q", "chromium"], apt)
        found = shutil.which("chromium")
    if not found:
        raise SetupError(
            "The page's tests need Chromium and there is none on the PATH. Install it "
            "(Debian: apt-get install chromium) or run this as root where apt-get can."
        )
    return Path(found)
