"""What embedders and scorers ask of the frames that they look at."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import StoryMemError


def checked_frames(frames: Tensor) -> Tensor:
    """`frames` itself, once it is known to be float [N, H, W, 3] with N > 0 and no NaN or infinity."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.numel() or not frames.is_floating_point():
        raise StoryMemError(
            "frames must be floats in 0..1, [N, H, W, 3], with at least one frame",
            value=f"{frames.dtype} {tuple(frames.shape)}",
            remedy="Connect an IMAGE.",
        )
    if not bool(torch.isfinite(frames).all()):
        raise StoryMemError(
            "frames must not contain NaN or infinity",
            value=f"frames {(~torch.isfinite(frames)).flatten(1).any(1).nonzero().flatten().tolist()}",
            remedy="The latents were not finite: sample again with another precision, model or seed.",
        )
    return frames
