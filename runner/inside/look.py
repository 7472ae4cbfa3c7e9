"""What a ComfyUI has, looked at from inside: its own Python runs this file; one line of JSON comes out.

    python look.py COMFYUI REQUIREMENTS [--device] [--models DIR]

Told: `installed` (name==version of every package), `unmet` (the lines of REQUIREMENTS that are not met),
`models` (model folder -> the files in it, as ComfyUI would list them; DIR is a models folder more) and, where
it is asked for, `device` (what torch would compute on, null without torch).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

try:
    from packaging.requirements import Requirement
except ImportError:  # pip brings a copy of its own
    from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]

KINDS = ("diffusion_models", "loras", "text_encoders", "vae")
GIB = 2**30


def installed() -> list[str]:
    """name==version of every package, in order."""
    found = {(d.metadata["Name"], d.version) for d in importlib.metadata.distributions()}
    return sorted(f"{name}=={version}" for name, version in found if name)


def unmet(requirements: Path) -> list[str]:
    """The lines of a requirements file whose package is absent or of another version."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not _met(Requirement(line))]


def models(comfyui: Path, more: Path | None) -> dict[str, list[str]]:
    """Model folder -> files, by ComfyUI's own rules: its models folder and all that its settings add."""
    sys.path.insert(0, str(comfyui))
    sys.argv[1:] = []  # ComfyUI reads options of its own
    import folder_paths
    import utils.extra_config

    settings = comfyui / "extra_model_paths.yaml"
    if settings.is_file():
        utils.extra_config.load_extra_path_config(str(settings))
    for kind in KINDS if more else ():
        folder_paths.add_model_folder_path(kind, os.path.join(str(more), kind))
    return {kind: [_slashes(name) for name in folder_paths.get_filename_list(kind)] for kind in KINDS}


def device() -> dict[str, Any] | None:
    """The name of what torch computes on, and a card's memory in GiB."""
    try:
        import torch
    except ImportError:
        return None
    for kind in (torch.cuda, torch.xpu):
        if kind.is_available():
            card = kind.get_device_properties(0)
            return {"name": card.name, "gib": round(card.total_memory / GIB, 1)}
    return {"name": "mps" if torch.backends.mps.is_available() else "cpu", "gib": None}


def _met(requirement: Requirement) -> bool:
    if requirement.marker and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def _slashes(name: str) -> str:
    return name.replace(os.sep, "/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comfyui", type=Path)
    parser.add_argument("requirements", type=Path)
    parser.add_argument("--device", action="store_true")
    parser.add_argument("--models", type=Path)
    given = parser.parse_args()
    told: dict[str, Any] = {"installed": installed(), "unmet": unmet(given.requirements)}
    if given.device:
        told["device"] = device()
    told["models"] = models(given.comfyui, given.models)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
