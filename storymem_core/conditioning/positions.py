"""Where each latent frame stands in time.

RoPE is relative: only the differences of positions reach the attention. StoryMem (arXiv 2512.19539,
negative RoPE shift) puts memory BEFORE the shot, at negative positions, so that the shot's
own frames keep the positions 0 .. f-1 that the base model was trained on.
"""

from __future__ import annotations

import math

from ..errors import StoryMemError

DEFAULT_SPACING = 5.0
"""S of the paper: latent frames between two memory frames, and between the newest one and the shot."""


def memory_positions(memory_frames: int, spacing: float = DEFAULT_SPACING) -> tuple[float, ...]:
    """Temporal positions of M memory frames, oldest first: -M*S, -(M-1)*S, ..., -S.

    Args:
        memory_frames: M >= 0.
        spacing: S >= 0 in latent frames; any real number. 1 equals a shot simply lengthened to the front.

    Raises:
        StoryMemError: M negative, or S negative or not finite.
    """
    if memory_frames < 0:
        raise StoryMemError(
            "the number of memory frames must not be negative",
            value=memory_frames,
            remedy="Use 0 for a shot without memory.",
        )
    if not (math.isfinite(spacing) and spacing >= 0):
        raise StoryMemError(
            "the spacing of memory frames must be a finite number >= 0",
            value=spacing,
            remedy="Use 5, as in training.",
        )
    return tuple(-(memory_frames - i) * float(spacing) for i in range(memory_frames))


def temporal_positions(
    memory_frames: int, latent_frames: int, spacing: float = DEFAULT_SPACING
) -> tuple[float, ...]:
    """Temporal positions of M memory frames and then of the shot's f latent frames, in order of time.

    Memory frame i (0 = oldest) stands at -(M-i)*S, the shot at 0 .. f-1.

    Args:
        memory_frames: M >= 0.
        latent_frames: f >= 1.
        spacing: S >= 0 in latent frames.

    Raises:
        StoryMemError: M negative, f < 1, or S negative or not finite.
    """
    if latent_frames < 1:
        raise StoryMemError(
            "a shot must have at least one latent frame",
            value=latent_frames,
            remedy="Use a length of 1 or more frames.",
        )
    return memory_positions(memory_frames, spacing) + tuple(float(i) for i in range(latent_frames))
