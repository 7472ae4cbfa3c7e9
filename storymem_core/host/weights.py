"""The pack's trained models in the host's lists of models."""

from __future__ import annotations

import folder_paths

from ..models.weights import FOLDER


def offer() -> None:
    """Let the host's loaders find the models in the pack's `weights/`, after all that the user has."""
    for folder in sorted(path for path in FOLDER.glob("*") if path.is_dir()):
        folder_paths.add_model_folder_path(folder.name, str(folder))
