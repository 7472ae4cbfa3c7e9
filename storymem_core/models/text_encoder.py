"""The small text encoder: words in, 4096-wide features out. The host's CLIP object is made in `host`.

Wan reads umt5-xxl features, 11 GB of weights. A small world needs a few hundred words, and a model that
learns from scratch can read them from any fixed table: a random row per word, with no layers behind it. The
table and its words are the checkpoint, so that the loader knows nothing of any world.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import StoryMemError
from .vocabulary import PAD, Vocabulary
from .wan_shapes import TEXT_WIDTH

TABLE = "words.weight"
"""The one tensor of the file: [len(vocabulary), 4096]."""
METADATA = "storymem_text_encoder"
"""Key of the JSON in the file's metadata that tells the vocabulary."""
_VERSION = 2


def table(vocabulary: Vocabulary, seed: int) -> Tensor:
    """A random row per id, N(0, 1), fp16 [len(vocabulary), 4096]; padding is zero. A seed gives one table."""
    rows = torch.randn(len(vocabulary), TEXT_WIDTH, generator=torch.Generator("cpu").manual_seed(seed))
    rows[PAD] = 0
    return rows.half()


def features(ids: Tensor, table: Tensor) -> Tensor:
    """What a diffusion model reads of a text: ids [..., n] -> [..., n, 4096], fp32.

    The host's CLIP gives the same numbers, padding included (`Vocabulary.encode`).
    """
    return torch.nn.functional.embedding(ids, table).float()


def metadata(vocabulary: Vocabulary) -> dict[str, str]:
    """What a checkpoint's metadata must hold."""
    return {METADATA: json.dumps({"version": _VERSION, **asdict(vocabulary)}, sort_keys=True)}


def read(path: str | Path) -> tuple[Tensor, Vocabulary]:
    """The table and vocabulary of a small text encoder's checkpoint.

    Raises:
        StoryMemError: the file is missing, truncated, or another model.
    """
    path = Path(path)
    remedy = "Choose a small text encoder of StoryMem, for example storymem_small_text_encoder.safetensors."
    if not path.is_file():
        raise StoryMemError("the text encoder's file does not exist", value=str(path), remedy=remedy)
    try:
        with safe_open(path, framework="pt") as file:
            vocabulary = _vocabulary(file.metadata() or {})
            rows = file.get_tensor(TABLE)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoryMemError(
            f"the file is damaged or not a small text encoder: {error}", value=str(path), remedy=remedy
        ) from error
    if rows.shape != (len(vocabulary), TEXT_WIDTH):
        raise StoryMemError(
            f"the text encoder's table does not have the size given in its metadata: {len(vocabulary)} rows",
            value=f"{path}: {tuple(rows.shape)}",
            remedy=remedy,
        )
    return rows, vocabulary


def _vocabulary(metadata: Mapping[str, str]) -> Vocabulary:
    told = json.loads(metadata[METADATA])
    if told.pop("version") != _VERSION:
        raise ValueError("its format is of another version of StoryMem")
    return Vocabulary(tuple(told.pop("words")), **told)
