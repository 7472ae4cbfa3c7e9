"""Something to look at on a node: frames and pictures, through the host's own preview images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from comfy_api.latest import io, ui
from PIL.Image import Image

from ..storymem_core.frames.pixels import as_images


def images_preview(images: torch.Tensor, node: type[io.ComfyNode]) -> dict:
    """An IMAGE batch on the node; the host's own preview fails where no image is left."""
    return ui.PreviewImage(images, cls=node).as_dict() if len(images) else {"images": []}


def picture(image: Image) -> torch.Tensor:
    """A drawn picture (RGB) as the host's IMAGE, [1, H, W, 3]."""
    return as_images(image).unsqueeze(0)


def frames_preview(frames: Sequence[np.ndarray], node: type[io.ComfyNode]) -> dict:
    """Frames (uint8 [H, W, 3], of any sizes) side by side on the node."""
    images = (as_images(frame).unsqueeze(0) for frame in frames)
    return {"images": [saved for image in images for saved in images_preview(image, node)["images"]]}
