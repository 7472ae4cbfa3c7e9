"""The host's folders: models by name, and the output folder."""

from __future__ import annotations

from pathlib import Path

import folder_paths

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


def preview(file: Path, *, animated: bool = False) -> dict:
    """A file below the output folder as something to look at on a node."""
    relative = file.relative_to(output_root())
    shown = {"filename": relative.name, "subfolder": relative.parent.as_posix(), "type": "output"}
    return {"images": [shown], "animated": (animated,)}
