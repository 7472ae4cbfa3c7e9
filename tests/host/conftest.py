"""The host on its CPU, in this process: COMFYUI_PATH names ComfyUI's folder."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# ComfyUI first: the pack's own `nodes/` must not shadow the host's nodes.py.
sys.path[:0] = [os.environ["COMFYUI_PATH"], str(Path(__file__).parent)]
sys.path.append(str(REPOSITORY))

from comfy.cli_args import args  # noqa: E402

args.cpu = True


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the small checkpoints, known to the host's loaders."""
    import folder_paths

    from storymem_core.small_models import make

    folder = tmp_path_factory.mktemp("models")
    make(folder)
    for kind in ("diffusion_models", "loras", "vae", "text_encoders"):
        folder_paths.add_model_folder_path(kind, str(folder / kind), is_default=True)
    return folder


@pytest.fixture(scope="session")
def pack() -> dict[str, type]:
    """The host's node classes by id, after it has loaded the pack in its own way."""
    import nodes

    assert asyncio.run(nodes.load_custom_node(str(REPOSITORY)))
    return nodes.NODE_CLASS_MAPPINGS
