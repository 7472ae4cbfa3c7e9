"""The small text encoder as the host's CLIP object, so that CLIPTextEncode and every other node take it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch
from comfy.sd import CLIP
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel, SDTokenizer
from comfy.supported_models_base import ClipTarget
from torch import Tensor

from ..models.text_encoder import TABLE, read
from ..models.vocabulary import END, PAD, Vocabulary
from ..models.wan_shapes import TEXT_WIDTH

NAME = "storymem_small"
"""The encoder's name among the host's: the key of its tokens, and of textual inversion embeddings."""


def load(path: str | Path) -> CLIP:
    """The host's CLIP object for a small text encoder's checkpoint.

    Raises:
        StoryMemError: the file is missing, truncated, or another model.
    """
    table, vocabulary = read(path)
    target = ClipTarget(partial(_Tokenizer, vocabulary=vocabulary), partial(_Model, rows=len(table)))
    return CLIP(target, parameters=table.numel(), state_dict=[{TABLE: table}])


class _Words:
    """What the host's SDTokenizer asks of a Hugging Face tokenizer."""

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary

    @classmethod
    def from_pretrained(cls, path: str, *, vocabulary: Vocabulary) -> _Words:
        """There are no files; the path is what the host hands every tokenizer."""
        return cls(vocabulary)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self._vocabulary.tokens(text)}

    def get_vocab(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._vocabulary.names)}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        names = self._vocabulary.names
        return " ".join(names[i] for i in ids if i not in (PAD, END) or not skip_special_tokens)


class _WordTokens(SDTokenizer):
    """The host's prompt weights and embeddings over words, cut to the encoder's length."""

    def __init__(
        self,
        embedding_directory: Any = None,
        tokenizer_data: Any = None,
        *,
        vocabulary: Vocabulary,
    ):
        super().__init__(
            tokenizer_path="",
            tokenizer_class=_Words,
            tokenizer_args={"vocabulary": vocabulary},
            embedding_directory=embedding_directory,
            embedding_size=TEXT_WIDTH,
            embedding_key=NAME,
            has_start_token=False,
            pad_with_end=False,
            pad_token=PAD,
            pad_to_max_length=False,
            # One section however long the text is: the host joins sections by concatenating features, and
            # they must have equal lengths. The limit is applied below.
            max_length=2**31,
            min_length=vocabulary.min_tokens or None,
            tokenizer_data=tokenizer_data or {},
        )
        self.max_tokens = vocabulary.max_tokens
        self.vocabulary = repr(vocabulary)  # a fingerprint tells tokenizers apart by their plain values

    def tokenize_with_weights(
        self,
        text: str,
        return_word_ids: bool = False,
        **kwargs: Any,
    ) -> list[list[Any]]:
        (tokens,) = super().tokenize_with_weights(text, return_word_ids, **kwargs)
        if len(tokens) > self.max_tokens:
            logging.warning("StoryMem: the prompt has %d words; the text encoder reads the first %d.",
                            len(tokens) - 1, self.max_tokens - 1)  # fmt: skip
            tokens = [*tokens[: self.max_tokens - 1], (END, *tokens[-1][1:])]
        return [tokens]


class _Tokenizer(SD1Tokenizer):
    def __init__(
        self,
        embedding_directory: Any = None,
        tokenizer_data: Any = None,
        *,
        vocabulary: Vocabulary,
    ):
        super().__init__(
            embedding_directory,
            tokenizer_data or {},
            name=NAME,
            tokenizer=partial(_WordTokens, vocabulary=vocabulary),
        )


class _Table(torch.nn.Module):
    """A text model without layers: what it embeds is what it gives."""

    num_layers = 0

    def __init__(self, config: dict[str, int], dtype: Any, device: Any, operations: Any):
        super().__init__()
        self.words = operations.Embedding(config["rows"], TEXT_WIDTH, dtype=dtype, device=device)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.words

    def set_input_embeddings(self, embeddings: torch.nn.Module) -> None:
        self.words = embeddings

    def forward(
        self, input_ids: None, attention_mask: None, *, embeds: Tensor, **options: Any
    ) -> tuple[Tensor, None]:
        return embeds, None


class _TableClip(SDClipModel):
    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None, *, rows: int):
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config={"rows": rows},
            model_class=_Table,
            special_tokens={"end": END, "pad": PAD},
            model_options=model_options or {},
        )


class _Model(SD1ClipModel):
    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None, *, rows: int):
        super().__init__(
            device, dtype, model_options or {}, name=NAME, clip_model=partial(_TableClip, rows=rows)
        )
