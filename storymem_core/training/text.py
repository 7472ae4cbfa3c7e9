"""The small world's text encoder: the one table that training reads and that is exported."""

from __future__ import annotations

from torch import Tensor

from ..models import text_encoder
from ..small_world.words import TEXTS

SEED = 0
"""Models are trained on the table of this seed: another one needs new weights."""


def table() -> Tensor:
    """A row per id of `words.TEXTS`, fp16 [len(TEXTS), 4096]; see `text_encoder.features`."""
    return text_encoder.table(TEXTS, SEED)
