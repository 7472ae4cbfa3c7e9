"""What training the memory LoRA on Wan2.2-A14B takes of a GPU, computed (pure).

Counted are tensors, not what the allocator and the kernels add to them: leave about a tenth free. The bytes
per token of a block were found by following every tensor of a training step through the true shapes on a
device that computes nothing (the test does that again): diffusers' blocks under bf16 autocast with LoRA
weights in fp32, and attention that stores no scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..models import wan_shapes

GIB = 2**30
BF16, FP32 = 2, 4

# Per token at the worst moment of a block's backward pass: what its forward pass left (50 and 4 of these) and
# gradients on their way.
BYTES_PER_DIM, BYTES_PER_FFN = 67, 10


@dataclass(frozen=True)
class Shape:
    """A Wan diffusion model; the defaults are one expert of Wan2.2-I2V-A14B."""

    dim: int = 5120
    ffn: int = 13824
    blocks: int = 40
    channels: int = wan_shapes.I2V_CHANNELS

    def weights(self) -> int:
        """How many there are."""
        return _count(wan_shapes.diffusion_model(self.channels, **self._sizes()))

    def block(self) -> int:
        """How many a single block has."""
        one, none = (_count(wan_shapes.diffusion_model(self.channels, **self._sizes(n))) for n in (1, 0))
        return one - none

    def adapter(self, rank: int) -> int:
        """How many a LoRA of this rank has: rank times the inputs and outputs of each layer."""
        shapes = wan_shapes.diffusion_model(self.channels, **self._sizes())
        layers = wan_shapes.lora_layers(blocks=self.blocks)
        return rank * sum(sum(shapes[f"{layer}.weight"]) for layer in layers)

    def _sizes(self, blocks: int | None = None) -> dict[str, int]:
        return {"dim": self.dim, "ffn": self.ffn, "blocks": self.blocks if blocks is None else blocks}


A14B = Shape()


class Memory(NamedTuple):
    """GiB on each GPU."""

    weights: float  # bf16, frozen
    adapter: float  # LoRA in fp32
    average: float  # the LoRA's running average in fp32
    moments: float  # AdamW's two in fp32
    gradients: float  # of the LoRA in fp32
    gathered: float  # the whole of two blocks and of what stands around the blocks, under FSDP
    stored: float  # the input of each block in bf16: gradient checkpointing keeps no more
    working: float  # one block's backward pass

    @property
    def total(self) -> float:
        return sum(self)


def tokens(memory: int, *, width: int = 832, height: int = 480, frames: int = 81) -> int:
    """Tokens of one sample: latent frames and memory slots, patches of 16 x 16 pixels."""
    return (1 + (frames - 1) // 4 + memory) * (width // 16) * (height // 16)


def memory_needed(
    memory: int = 10,
    *,
    gpus: int = 1,
    rank: int = 128,
    width: int = 832,
    height: int = 480,
    frames: int = 81,
    batch: int = 1,
    shape: Shape = A14B,
) -> Memory:
    """GiB that the LoRA training of one expert takes on each of `gpus` GPUs, with gradient checkpointing.

    Args:
        memory: memory frames (M).
        gpus: over which FSDP shares weights, LoRA, average, moments and gradients.
        batch: samples on each GPU.
    """
    seen = batch * tokens(memory, width=width, height=height, frames=frames)
    adapter, share = shape.adapter(rank) * FP32 / GIB, 1 / gpus
    blocks = shape.blocks * shape.block()
    around = (shape.weights() - blocks) * BF16 / GIB
    two_blocks = 2 * (shape.block() * BF16 / GIB + adapter / 2 / shape.blocks)
    return Memory(
        weights=shape.weights() * BF16 / GIB * share,
        adapter=adapter * share,
        average=adapter * share,
        moments=2 * adapter * share,
        gradients=adapter * share,
        gathered=two_blocks + around if gpus > 1 else 0.0,
        stored=seen * shape.blocks * shape.dim * BF16 / GIB,
        working=seen * (BYTES_PER_DIM * shape.dim + BYTES_PER_FFN * shape.ffn) / GIB,
    )


def table(memories: tuple[int, ...] = (0, 1, 3, 10), gpus: tuple[int, ...] = (1, 2, 4, 8)) -> str:
    """The GiB per GPU as a table in Markdown."""
    names = list(Memory._fields)
    lines = [
        f"| GPUs | memory frames | {' | '.join(names)} | total |",
        "|" + "---|" * (len(names) + 3),
    ]
    for count in gpus:
        for frames in memories:
            need = memory_needed(frames, gpus=count)
            cells = [f"{value:.1f}" for value in (*need, need.total)]
            lines.append(f"| {count} | {frames} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _count(shapes: wan_shapes.Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
