"""Prompts through the host's CLIP."""

from __future__ import annotations

from comfy.sd import CLIP

from ..errors import StoryMemError
from .conditioning import Conditioning


def encode(clip: CLIP, text: str) -> Conditioning:
    """A prompt as the host's CLIPTextEncode gives it.

    Raises:
        StoryMemError: no CLIP came in (a checkpoint without one gives None).
    """
    if clip is None:
        raise StoryMemError(
            "a text encoder is needed",
            value=clip,
            remedy="Use Load CLIP with umt5-xxl and type wan, or Load Small Text Encoder.",
        )
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
