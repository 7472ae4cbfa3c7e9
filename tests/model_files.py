"""A models folder in which the server finds every file that a graph names, most of them empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from storymem_core.models.weights import SHIPPED

KINDS = MappingProxyType(
    {
        "unet_name": "diffusion_models",
        "clip_name": "text_encoders",
        "text_encoder": "text_encoders",
        "vae_name": "vae",
        "lora_name": "loras",
    }
)
"""A loader's input -> the model folder that its combo lists."""
MODEL_NAMES = MappingProxyType(
    {"UpscaleModelLoader": "upscale_models", "FrameInterpolationModelLoader": "frame_interpolation"}
)
"""A loader whose input is called model_name -> the model folder that its combo lists."""


def kind(node: Mapping[str, Any], name: str) -> str | None:
    """The model folder that a node's input names a file of; None where it names none."""
    return MODEL_NAMES.get(node["class_type"]) if name == "model_name" else KINDS.get(name)


def named(graph: Mapping[str, Any]) -> set[str]:
    """The model files that an API graph names, each below its model folder."""
    return {
        f"{below}/{value}"
        for node in graph.values()
        for name, value in node["inputs"].items()
        if (below := kind(node, name))
    }


def with_placeholders(models: Path, graph: Mapping[str, Any], folder: Path) -> Path:
    """`folder` as a models folder: the files of `models`, and empty ones that only the graph names.

    What the pack itself brings is neither: it must be found where it is.
    """
    for path in models.rglob("*.safetensors"):
        link = folder / path.relative_to(models)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    for name in named(graph) - set(SHIPPED):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.touch()
    return folder
