"""What a LoRA's file tells about itself, for PEFT and for this pack's loader."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LoraSettings:
    """What a LoRA file must tell.

    Attributes:
        rank, alpha: of PEFT; the scale is alpha / sqrt(rank) with rslora, alpha / rank without.
        expert: "high" or "low" noise.
        mode: "mi2v" or "mm2v" for a LoRA of one layout; several with "+" between them.
        spacing: S, of the memory's temporal positions in training; None leaves it untold.
    """

    rank: int
    alpha: float
    expert: str
    mode: str = "m2v+mi2v+mm2v"
    spacing: float | None = None
    rslora: bool = True

    @property
    def scale(self) -> float:
        """What B @ A is multiplied with."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    def metadata(self) -> dict[str, str]:
        """Of the safetensors file. One key: safetensors writes several in random order."""
        told = {
            "r": self.rank, "lora_alpha": self.alpha, "use_rslora": self.rslora, "mode": self.mode,
            "expert": self.expert, **({} if self.spacing is None else {"S": self.spacing}),
        }  # fmt: skip
        return {"lora_adapter_metadata": json.dumps(told)}
