"""The host's folders: models by name, and the output folder."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..disk import file_sha256
from ..errors import StoryMemError


def names(kind: str) -> list[str]:
    """Files that the host finds in a model folder, for a combo widget."""
    return folder_paths.get_filename_list(kind)


def path(kind: str, name: str) -> Path:
    """The full path of a model file.

    Raises:
        StoryMemError: there is no such file.
    """
    found = folder_paths.get_full_path(kind, name)
    if found is None:
        raise StoryMemError(
            f"there is no such file in models/{kind}",
            value=name,
            remedy="Put the file there, or choose one of the list; press R on the canvas to read it anew.",
        )
    return Path(found)


def output_root() -> Path:
    """The host's output folder, links resolved: stories live below it."""
    return Path(folder_paths.get_output_directory()).resolve()


def input_sha256(name: str) -> str | None:
    """sha256 of the file that a widget names in the host's input, output or temporary folder; None if there
    is no such file."""
    plain, folder = folder_paths.annotated_filepath(name)
    path = os.path.join(folder or folder_paths.get_input_directory(), plain)
    # os.path, which takes any text of a person for a name.
    return file_sha256(Path(path)) if os.path.isfile(path) and not os.path.isabs(plain) else None


def preview(file: Path, *, animated: bool = False) -> dict:
    """A file below the output folder as something to look at on a node."""
    relative = file.relative_to(output_root())
    shown = {"filename": relative.name, "subfolder": relative.parent.as_posix(), "type": "output"}
    return {"images": [shown], "animated": (animated,)}
