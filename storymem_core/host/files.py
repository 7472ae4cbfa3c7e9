"""The host's folders: models by name, and the output folder."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths
from av.error import FFmpegError
from torch import Tensor

from ..disk import file_sha256, linked_or_copied, replacing
from ..errors import StoryMemError


def names(kind: str) -> list[str]:
    """Files that the host finds in a model folder, for a combo widget.

    With "/" on every system, so that a graph names the same file everywhere; the host takes it everywhere.
    """
    return [name.replace(os.sep, "/") for name in folder_paths.get_filename_list(kind)]


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
            remedy="Put the file there, or choose one from the list; press R on the canvas to refresh it.",
        )
    return Path(found)


def image(name: str) -> Tensor:
    """An image of the host's input folder as the host's Load Image gives it, its first frame: [1, H, W, 3].

    Raises:
        StoryMemError: there is no such file, or it is no image.
    """
    from nodes import LoadImage

    if not folder_paths.exists_annotated_filepath(name):
        raise StoryMemError(
            "there is no such image in the input folder",
            value=name,
            remedy="Put the file into ComfyUI's input folder, or correct its name in the script.",
        )
    try:
        return LoadImage().load_image(name)[0][:1]
    except (FFmpegError, OSError, ValueError) as error:
        raise StoryMemError(
            f"this file cannot be read as an image: {error}",
            value=name,
            remedy="Check that the file is complete, and save it as PNG or JPEG.",
        ) from error


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


def lasting(file: Path) -> Path:
    """The file as it is now, under a name of its own in the host's temporary folder.

    A video is read when a later node uses it, and by then another Shot Stitch of the same story may have
    replaced the film.
    """
    target = Path(folder_paths.get_temp_directory(), "storymem", file_sha256(file) + file.suffix)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            linked_or_copied(file, temporary)
    return target


def preview(file: Path, *, animated: bool = False) -> dict:
    """A file below the output folder as something to look at on a node."""
    relative = file.relative_to(output_root())
    shown = {"filename": relative.name, "subfolder": relative.parent.as_posix(), "type": "output"}
    return {"images": [shown], "animated": (animated,)}
