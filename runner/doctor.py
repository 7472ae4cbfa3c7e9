"""`run.py doctor`: what is there, and for what is missing the command that gets it. It changes nothing.

Standard library only: it also runs where nothing is installed.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storymem_core.models import cards

from . import existing, installation
from .arguments import Arguments
from .environment import Environment
from .errors import CommandError
from .existing import CPU, Existing
from .model_files import WAN22, ModelFile
from .packages import package

GIB = 2**30
SETUP_GIB = 8.0
CARD_SLACK = 0.6  # a card of 12 GB shows a little less
TOLD = ("torch", "transformers", "av", "numpy")  # the packages whose versions tell most


@dataclass(frozen=True)
class Finding:
    """One line: what was found, and what a person can do about it; empty where nothing is wrong."""

    what: str
    remedy: str = ""
    needed: bool = True  # False: a film can be made without it


def tell(arguments: Arguments) -> int:
    """Print everything, part by part; 1 where something is missing without which no film can be made."""
    missing = 0
    for title, findings in _parts(arguments):
        print(title)
        for finding in findings:
            print(f"  {'--' if finding.remedy else 'ok'}  {finding.what}")
            if finding.remedy:
                print(f"      {finding.remedy}")
            missing += bool(finding.remedy) and finding.needed
    return 1 if missing else 0


def machine(folder: Path) -> Iterator[Finding]:
    """Python, memory, and the disk on which a folder lies or will lie."""
    yield Finding(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(f"memory: {_memory_gib():.1f} GiB")
    yield Finding(f"disk: {_free_gib(folder):.1f} GiB free for {folder}")


def set_up(environment: Environment, free_gib: float) -> Iterator[Finding]:
    """Of the ComfyUI that run.py installs itself.

    Args:
        free_gib: on the disk where it will lie.
    """
    missing = environment.missing()
    if not missing:
        yield Finding(f"set up in {environment.folder}")
        return
    done = len(environment.steps) - len(missing)
    what = f"set-up stopped before '{missing[0].name}'" if done else "not set up yet"
    yield Finding(what, "python3 run.py demo   sets it up and makes a film (about 6 GB)")
    if free_gib < SETUP_GIB:
        yield Finding(
            f"{free_gib:.1f} GiB are too little for it",
            f"make {SETUP_GIB:.0f} GiB free, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def host(at: Existing, seen: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a ComfyUI that is there: versions, device, the packages that the pack wants.

    Args:
        seen: what runner/inside/look.py told with `--device`.
    """
    yield Finding(f"ComfyUI {existing.version(at.host)} in {at.host}")
    versions = {package(line): line.rpartition("==")[2] for line in seen["installed"]}
    told = [f"{name} {versions[name]}" for name in TOLD if name in versions]
    yield Finding(f"{', '.join(told)} ({at.python})")
    yield from _device(seen["device"])
    if seen["device"] and seen["device"]["gib"]:
        yield from fits(seen["device"]["gib"], _memory_gib())
    if seen["unmet"]:
        words = " ".join(f"'{line}'" for line in seen["unmet"])
        yield Finding(f"missing packages: {', '.join(seen['unmet'])}", f"{at.python} -m pip install {words}")
    else:
        yield Finding("all packages that the pack wants")


def fits(card_gib: float, memory_gib: float) -> Iterator[Finding]:
    """What of Wan2.2 14B a card and the machine's memory hold, by the presets of docs/cards.md."""
    held = [preset for preset in cards.PRESETS if preset.card <= card_gib + CARD_SLACK]
    if not held:
        what = f"the smallest preset for Wan2.2 14B is for {min(preset.card for preset in cards.PRESETS)} GB"
        yield Finding(what, "the small models run; for the others see docs/cards.md", needed=False)
        return
    best = max(preset.card for preset in held)
    chosen = [preset for preset in held if preset.card == best]
    told = ", ".join(f"{preset.format} at {preset.width}x{preset.height}" for preset in chosen)
    yield Finding(f"for Wan2.2 14B: {told} (computed, see docs/cards.md)")
    wanted = min(cards.ram(preset.format, t2v_first=False) for preset in chosen)
    if memory_gib < wanted:
        what = f"{memory_gib:.0f} GiB of memory; {wanted:.0f} keep every model loaded"
        yield Finding(what, "without more, files are read again as the experts take turns", needed=False)


def models(seen: Mapping[str, Sequence[str]], wanted: Sequence[ModelFile] = WAN22) -> Iterator[Finding]:
    """Of files that a graph names.

    Args:
        seen: model folder -> the files that ComfyUI lists there.
    """
    for file in wanted:
        found = file.name in seen[file.folder]
        what = f"{file.folder}/{file.name} ({file.gib:.1f} GiB; {file.use})"
        yield Finding(what, "" if found else file.command(), needed=False)


def _parts(arguments: Arguments) -> Iterator[tuple[str, Iterator[Finding]]]:
    """The parts that there are to tell, with their titles."""
    if arguments.comfyui:
        try:
            at = existing.find(arguments.comfyui)
        except CommandError as error:
            yield "ComfyUI", iter([Finding(str(error), "then run this again, or with another folder")])
            return
        folder = arguments.models or at.host / "models"
        yield "this machine", machine(folder)
        yield "the pack", _link(at)
    else:
        own = installation.full()
        folder = arguments.models or Path("models")
        yield "this machine", machine(own.environment.folder)
        yield "ComfyUI of our own", set_up(own.environment, _free_gib(own.environment.folder))
        if own.environment.missing():
            return
        at = Existing(own.host, own.python)
    more = ("--models", str(arguments.models.absolute())) if arguments.models else ()
    seen = existing.look(at, "--device", *more)
    yield "ComfyUI", host(at, seen)
    where = f"run the commands in {folder.absolute()}"
    yield f"models for Wan2.2 14B; the demo needs none of them ({where})", models(seen["models"])


def _link(at: Existing) -> Iterator[Finding]:
    if existing.linked(at.host):
        yield Finding(f"stands in {at.host / 'custom_nodes'}")
    else:
        command = f"python3 run.py serve --comfyui {at.host}   links it and starts ComfyUI"
        yield Finding(f"is not in {at.host / 'custom_nodes'}", command)


def _device(device: Mapping[str, Any] | None) -> Iterator[Finding]:
    if device is None:
        yield Finding("no torch", "install torch as ComfyUI's own instructions say")
    elif device["name"] == CPU:
        yield Finding("torch sees no GPU: the small models run on the CPU, the 14B models do not")
    else:
        yield Finding(f"{device['name']}" + (f", {device['gib']} GiB" if device["gib"] else ""))


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB


def _free_gib(folder: Path) -> float:
    """On the disk where a folder lies, or would lie."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / GIB
