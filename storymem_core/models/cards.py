"""What a film takes of a card and of RAM, computed (pure): `python -m storymem_core.models.cards` prints it.

A forward pass of Wan2.2-A14B takes its weights and a number of bytes for each token. That number comes from
three measurements on one H100 (ComfyUI 0.30, bf16, 8 of the 40 blocks, 832x480x81, one branch of CFG: peaks
of 8.4, 8.8 and 9.7 GiB with 0, 3 and 10 memory frames) and meets them to 0.05 GiB. No smaller card was at
hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from ..training.memory_needed import A14B, BF16, GIB, tokens

BYTES_PER_TOKEN = 89_500
BITS: Mapping[str, float] = MappingProxyType(
    {"fp8": 8, "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_K": 5.5, "Q4_K": 4.5}
)
"""Bits for each weight of the blocks, by the format; the mixed GGUF kinds (_S, _M) take a little more."""

LORA_RANK = 128
TEXT_ENCODER, VAE = 6.3, 0.3  # GiB: umt5-xxl in fp8, the Wan 2.1 VAE
# Assumed: the driver and a desktop on the card; ComfyUI itself, a shot's frames and the system in RAM.
CARD_OTHERS, RAM_OTHERS = 1.0, 6.0
# ComfyUI's own estimate for decoding with the Wan 2.1 VAE (comfy/sd.py), times the pixels of a frame.
DECODING_BYTES = 7000 * BF16


class Need(NamedTuple):
    """GiB on the card."""

    weights: float  # of one expert; the other one waits in RAM
    lora: float  # bf16
    working: float  # one branch of CFG; the host takes both at once where they fit
    decoding: float  # the VAE, alone on the card, with a whole shot

    @property
    def sampling(self) -> float:
        return self.weights + self.lora + self.working


def needed(format: str, memory: int = 10, *, width: int = 832, height: int = 480, frames: int = 81) -> Need:
    """What one expert takes when all of it is on the card.

    Args:
        format: of the weights, a key of BITS.
        memory: memory frames (M).
        width, height, frames: of the shot.
    """
    blocks = A14B.blocks * A14B.block()
    return Need(
        weights=(blocks * BITS[format] / 8 + (A14B.weights() - blocks) * BF16) / GIB,
        lora=A14B.adapter(LORA_RANK) * BF16 / GIB,
        working=tokens(memory, width=width, height=height, frames=frames) * BYTES_PER_TOKEN / GIB,
        decoding=VAE + width * height * DECODING_BYTES / GIB,
    )


def streamed(need: Need, card: float) -> float:
    """GiB of weights without room on a card of `card` GiB: ComfyUI fetches them from RAM in each step."""
    return min(need.weights, max(0.0, need.sampling + CARD_OTHERS - card))


def decodes_whole(need: Need, card: float) -> bool:
    """Whether the VAE has room for a whole shot; otherwise ComfyUI goes on in tiles."""
    return need.decoding + CARD_OTHERS <= card


def ram(format: str, *, t2v_first: bool) -> float:
    """GiB of RAM in which every model of a film stays loaded.

    Args:
        t2v_first: the first shot is made by the pair of text-to-video experts.
    """
    need = needed(format)
    experts = (4 if t2v_first else 2) * need.weights + 2 * need.lora
    return experts + TEXT_ENCODER + VAE + RAM_OTHERS


@dataclass(frozen=True)
class Preset:
    """What to choose on a card of so many GB."""

    card: int
    format: str
    width: int
    height: int


PRESETS = (
    Preset(12, "Q4_K", 832, 480),
    Preset(12, "Q4_K", 1280, 720),
    Preset(16, "Q6_K", 832, 480),
    Preset(16, "fp8", 832, 480),
    Preset(16, "fp8", 1280, 720),
    Preset(24, "fp8", 832, 480),
    Preset(24, "fp8", 1280, 720),
)


def preset_table() -> str:
    """The presets with ten memory frames, in Markdown."""
    head = "card | weights | size | expert + LoRA | working | streamed | VAE | RAM | RAM, T2V first shot"
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for preset in PRESETS:
        need = needed(preset.format, width=preset.width, height=preset.height)
        cells = (
            f"{preset.card} GB", preset.format, f"{preset.width}x{preset.height}",
            f"{need.weights + need.lora:.1f}", f"{need.working:.1f}", f"{streamed(need, preset.card):.1f}",
            f"{'whole' if decodes_whole(need, preset.card) else 'tiles'} ({need.decoding:.1f})",
            *(f"{ram(preset.format, t2v_first=first):.0f}" for first in (False, True)),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def size_table() -> str:
    """Tokens and GiB of work at each size with 0, 3 and 10 memory frames, in Markdown."""
    lines = ["| size | memory frames | tokens | working |", "|---|---|---|---|"]
    for width, height in ((832, 480), (1280, 720)):
        for memory in (0, 3, 10):
            seen = tokens(memory, width=width, height=height)
            working = needed("fp8", memory, width=width, height=height).working
            sizes = f"{width}x{height}, {height}x{width}"
            lines.append(f"| {sizes} | {memory} | {seen:,} | {working:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"{preset_table()}\n\n{size_table()}")
