"""What the model is given for M memory frames at noise level t (pure; shapes in dimension letters).

B batch, M memory frames, C = 16 latent channels, H and W latent height and width. A slot is one memory
frame as the model sees it: 36 channels = 16 noisy latent + 4 mask + 16 condition, the order of Wan2.2-I2V.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.wan_shapes import MASK_CHANNELS


def path_noise(seed: int, frame_hashes: Sequence[str], size: Sequence[int]) -> Tensor:
    """The noise end of each memory frame's path.

    It depends on the seed and on the frame alone, so every call, both CFG branches and both experts see one
    and the same path, and a frame keeps its noise when it moves within the memory.

    Args:
        seed: the shot's seed.
        frame_hashes: sha256 (hex) of each memory frame's pixels, oldest first; M of them.
        size: (C, H, W) of one latent frame.

    Returns:
        Standard normal, fp32, on the CPU: [1, C, M, H, W].
    """

    def draw(frame_hash: str) -> Tensor:
        digest = hashlib.sha256(f"{seed}:{frame_hash}".encode()).digest()
        generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        return torch.randn(tuple(size), generator=generator, dtype=torch.float32)

    return torch.stack([draw(frame_hash) for frame_hash in frame_hashes], dim=1).unsqueeze(0)


def memory_slots(clean: Tensor, noise: Tensor, t: Tensor, batch: int) -> Tensor:
    """Memory slots on their known straight path.

    In training a memory slot's noisy latent is z_t = (1-t) z + t eps (rectified flow), its condition is the
    clean z and its mask is 1 (known) on all four channels (StoryMem, arXiv 2512.19539). Both z and
    eps are known at inference, so the slots need not be sampled: they can be computed at every noise level.

    Args:
        clean: z, in the model's normalised latent space, fp32 [1, C, M, H, W].
        noise: eps, fp32 [1, C, M, H, W].
        t: noise level in [0, 1], [n] with n dividing `batch`; entries repeat over the batch's chunks
            (the host stacks its CFG branches so).
        batch: B.

    Returns:
        fp32 [B, C + 4 + C, M, H, W].
    """
    t_B1111 = t.to(clean).repeat(batch // t.numel()).reshape(batch, 1, 1, 1, 1)
    noisy = (1.0 - t_B1111) * clean + t_B1111 * noise
    known = torch.ones_like(clean[:, :MASK_CHANNELS]).expand(batch, -1, -1, -1, -1)
    return torch.cat([noisy, known, clean.expand_as(noisy)], dim=1)
