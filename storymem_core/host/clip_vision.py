"""The host's CLIP_VISION as an embedder: any picture encoder that its loader knows (CLIP, SigLIP, DINO)."""

from __future__ import annotations

import torch
from comfy.clip_vision import ClipVisionModel
from torch import Tensor
from torch.nn import functional as F

from ..errors import StoryMemError
from ..frames.images import checked_frames
from ..keyframes.calibration import FEWEST, calibrate
from ..keyframes.embedders import BATCH
from .fingerprint import of_model

PAPERS = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 32, "hidden_act": "quick_gelu"}
"""OpenAI's ViT-B/32, for which StoryMem (arXiv 2512.19539) chose 0.90."""

PAPERS_THRESHOLD = 0.90


class ClipVisionEmbedder:
    """An embedder (see `embedders.Embedder`) around the host's encoder; its name tells the weights."""

    def __init__(self, clip_vision: ClipVisionModel, threshold: float):
        self._clip_vision = clip_vision
        self.threshold = threshold
        self.name = f"clip_vision {clip_vision.model_type} {of_model(clip_vision.patcher)[:12]}"

    def __call__(self, frames: Tensor) -> Tensor:
        """float [N, H, W, 3] in 0..1 -> float32 [N, D] on the CPU, rows of length 1."""
        rows = []
        for batch in checked_frames(frames).split(BATCH):
            # Stretched, not cropped: what happens at a frame's edge counts as well.
            features = self._clip_vision.encode_image(batch, crop=False)["image_embeds"].float().cpu()
            # SigLIP has no one vector of a picture, but one of each patch.
            rows.append(features.mean(1) if features.ndim == 3 else features)
        return F.normalize(torch.cat(rows), dim=1)


def embedder(
    clip_vision: ClipVisionModel, threshold: float = 0.0, images: Tensor | None = None
) -> tuple[ClipVisionEmbedder, str]:
    """An embedder with the threshold given, else found on a person's own pictures, else known.

    Args:
        threshold: 0 for none.
        images: pictures of different places, [N, H, W, 3], 0..1.

    Returns:
        The embedder, and where its threshold comes from.

    Raises:
        StoryMemError: no threshold is given, and none is known for this encoder; too few pictures.
    """
    if threshold:
        return ClipVisionEmbedder(clip_vision, threshold), "as given"
    if images is not None:
        found = calibrate(ClipVisionEmbedder(clip_vision, threshold), images)
        source = f"calibrated on {len(images)} images, with {found.mistaken:.1%} of their views mistaken"
        return ClipVisionEmbedder(clip_vision, found.threshold), source
    if PAPERS.items() <= clip_vision.config.items():
        return ClipVisionEmbedder(clip_vision, PAPERS_THRESHOLD), "the paper's, for OpenAI's ViT-B/32"
    layers, width = (clip_vision.config.get(name) for name in ("num_hidden_layers", "hidden_size"))
    raise StoryMemError(
        "no similarity threshold is known for this encoder",
        value=f"{clip_vision.model_type}, {layers} layers of {width}",
        remedy=f"Connect at least {FEWEST} images of different places to calibrate it, or enter a threshold.",
    )
