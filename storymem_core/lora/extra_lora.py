"""One LoRA more for one shot: a file for each expert, and a strength (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NONE = "none"
"""What a list of files says where none is chosen."""


@dataclass(frozen=True)
class ExtraLora:
    """Names as the host lists them below models/loras; at least one expert has a file."""

    high: str | None
    low: str | None
    strength: float = 1.0


def read(told: Any) -> ExtraLora | None:
    """The LoRA of a script: one file for both experts, or {high, low, strength}; None where it is neither."""
    if isinstance(told, str):
        return ExtraLora(told, told) if told.strip() else None
    if not isinstance(told, dict) or not told.keys() <= {"high", "low", "strength"}:
        return None
    high, low = told.get("high"), told.get("low")
    given = [file for file in (high, low) if file is not None]
    if not given or not all(isinstance(file, str) and file.strip() for file in given):
        return None
    strength = told.get("strength", 1.0)
    return ExtraLora(high, low, strength) if is_strength(strength) else None


def write(lora: ExtraLora) -> str | dict[str, Any]:
    """The LoRA as a script tells it: `read(write(lora)) == lora`."""
    if lora.high == lora.low and lora.strength == 1.0:
        return str(lora.high)
    files = {"high": lora.high, "low": lora.low}
    return {**{expert: file for expert, file in files.items() if file}, "strength": lora.strength}


def is_strength(value: object) -> bool:
    """Whether `value` is a number from -10 to 10, as the host's LoRA loaders take it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -10 <= value <= 10


def from_widgets(high: str, low: str, strength: float) -> ExtraLora | None:
    """The extra LoRA that a node's lists of files say; None where both say none."""
    if high == low == NONE:
        return None
    return ExtraLora(None if high == NONE else high, None if low == NONE else low, strength)


def as_widgets(lora: ExtraLora | None) -> dict[str, Any]:
    """The way back."""
    lora = lora or ExtraLora(None, None)
    return {
        "extra_lora_high": lora.high or NONE,
        "extra_lora_low": lora.low or NONE,
        "extra_lora_strength": float(lora.strength),
    }
