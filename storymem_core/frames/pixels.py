"""The one way by which a picture's floats become 8 bit, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StoryMemError

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 1 << 17
"""Values that are rounded at a time: few enough for a core's cache, which a whole shot's are not."""


def quantise(image: Any) -> np.ndarray:
    """Pixels as the project stores them: floor(255 x + 0.5), clamped, in float32; the only such rounding.

    Args:
        image: float [..., H, W, 3] in 0..1, a numpy array or a CPU tensor; values outside are clamped.

    Returns:
        uint8 of the same shape.

    Raises:
        StoryMemError: whole numbers (already quantised), NaN or infinity.
    """
    pixels = np.asarray(image)
    flat, steps = pixels.reshape(-1), np.empty(pixels.size, np.uint8)
    parts = [slice(first, first + _AT_ONCE) for first in range(0, pixels.size, _AT_ONCE)]
    if not np.issubdtype(flat.dtype, np.floating) or not all(np.isfinite(flat[part]).all() for part in parts):
        raise StoryMemError(
            "a frame must contain finite floats in 0..1",
            value=f"{pixels.dtype} {pixels.shape}",
            remedy="If its latents were NaN, sample it again with another precision or seed.",
        )
    for part in parts:
        rounded = np.floor(flat[part].astype(np.float32) * np.float32(255) + np.float32(0.5))
        steps[part] = rounded.clip(0, 255)
    return steps.reshape(pixels.shape)


def as_images(frames: Any) -> Tensor:
    """uint8 pictures [..., H, W, 3] as the host's IMAGE: a new tensor, fp32 0..1, same shape."""
    import torch  # here: a memory's folder is read without it

    return torch.from_numpy(np.array(frames)).float().div(255)
