"""Text -> token ids for the small text encoder: the grammar's words, and a few buckets for all others."""

from __future__ import annotations

from ..models.vocabulary import Vocabulary
from .grammar import WORDS

VOCABULARY: tuple[str, ...] = tuple(sorted(WORDS))
"""Trained weights know these words by their place here: a change of it needs new weights."""
TEXTS = Vocabulary(VOCABULARY)
"""How the small world's texts become ids: 0 pads, 1 ends, 2..9 share the unknown words, then VOCABULARY."""


def encode(text: str) -> tuple[int, ...]:
    """48 ids in 0 .. len(TEXTS) - 1: the first words of any text, the end, and padding."""
    return tuple(TEXTS.encode(text))
