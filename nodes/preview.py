"""Something to look at on a node: frames and pictures, through the host's own preview images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from comfy_api.latest import io, ui


def frames_preview(frames: Sequence[np.ndarray], node: type[io.ComfyNode]) -> dict:
    """Frames (uint8 [H, W, 3], of any sizes) side by side on the node."""
    images = (torch.from_numpy(np.array(frame)).float().div(255).unsqueeze(0) for frame in frames)
    return {"images": [saved for image in images for saved in ui.PreviewImage(image, cls=node).values]}
