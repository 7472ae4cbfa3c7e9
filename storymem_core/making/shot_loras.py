"""A shot's own LoRAs: another strength of the memory's, and one more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..host.lora import apply, named, scaled
from ..script.plan import ShotPlan
from .shot import Models


def with_loras(models: Models, plan: ShotPlan) -> Models:
    """The models as a shot wants them; the same ones if it wants nothing.

    Raises:
        StoryMemError: a LoRA file that is not there, damaged or of another model, or a strength for a model
            that carries no M2V LoRA.
    """
    high, low = models.high, models.low
    if plan.lora_strength != 1.0:
        high, low = scaled(high, plan.lora_strength), scaled(low, plan.lora_strength)
    if plan.lora is not None:
        high = _with(high, plan.lora.high, plan.lora.strength)
        low = _with(low, plan.lora.low, plan.lora.strength)
    return replace(models, high=high, low=low)


def _with(model: Any, name: str | None, strength: float) -> Any:
    return model if name is None else apply(model, named(name), strength).model
