"""A story's name -> its folder, always inside the output folder."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import StoryMemError

# Windows keeps these names for devices, with any extension.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789¹²³")}
_LONGEST = 200
"""Bytes of one folder's name; the usual limit is 255, and files beside it have longer names."""


def output_folder(root: str | Path, name: str) -> Path:
    """The folder of the story `name` below `root`, the host's output folder. Nothing is made.

    A name may have subfolders ("series/first"). Characters that some systems cannot have in names become "_",
    spaces around a name and dots at its end go.

    Raises:
        StoryMemError: the name is empty, absolute, has a drive letter, "..", a name that Windows keeps for
            itself or too long a part, or leads outside through a link.
    """
    given = name
    name = name.strip().replace("\\", "/")
    if name.startswith("/") or re.match("[a-zA-Z]:(?! )", name):
        raise _refusal("must not be absolute or have a drive letter", given)
    parts = [_portable(part) for part in name.split("/")]
    for part, raw in zip(parts, name.split("/"), strict=True):
        if raw.strip() == "..":
            raise _refusal('must not have ".."', given)
        if not part:
            raise _refusal("must not be empty", given)
        if part.split(".")[0].rstrip().lower() in _DEVICES:
            raise _refusal(f"must not have the reserved name {part!r}", given)
        if len(part.encode()) > _LONGEST:
            raise _refusal(f"must not have a part longer than {_LONGEST} bytes", given)
    root = Path(root).resolve()
    folder = root.joinpath(*parts)
    if root not in folder.resolve().parents:
        raise _refusal("leads through a link to an output path outside the output folder; it", given)
    return folder


def _portable(part: str) -> str:
    part = part.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
    return re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", part).strip().rstrip(". ")


def _refusal(rule: str, name: str) -> StoryMemError:
    return StoryMemError(
        f"a story's folder {rule}",
        value=name,
        remedy="Use a name, or a path inside the output folder, such as stories/first.",
    )
