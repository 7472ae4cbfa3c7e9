"""The small text encoder as the host's CLIP object, so that CLIPTextEncode and every other node take it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from comfy.sd import CLIP
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel, SDTokenizer
from comfy.supported_models_base import ClipTarget
from comfy.text_encoders.t5 import T5

from ..text_encoder import END, PAD, ByteTokenizer, TextEncoderSizes, read
from ..wan_shapes import TEXT_WIDTH

NAME = "storymem_small"
"""The encoder's name among the host's: the key of its tokens, and of textual inversion embeddings."""


def load(path: str | Path) -> CLIP:
    """The host's CLIP object for a small text encoder's checkpoint.

    Raises:
        StoryMemError: the file is missing, truncated, or another model.
    """
    state, sizes = read(path)
    target = ClipTarget(partial(_Tokenizer, sizes=sizes), partial(_Model, sizes=sizes))
    return CLIP(target, parameters=sum(tensor.numel() for tensor in state.values()), state_dict=[state])


class _ByteTokens(SDTokenizer):
    """The host's prompt weights and embeddings over byte tokens, cut to the encoder's length."""

    def __init__(
        self,
        embedding_directory: Any = None,
        tokenizer_data: Any = None,
        *,
        sizes: TextEncoderSizes,
    ):
        super().__init__(
            tokenizer_path="",
            tokenizer_class=ByteTokenizer,
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
            min_length=sizes.min_tokens or None,
            tokenizer_data=tokenizer_data or {},
        )
        self.max_tokens = sizes.max_tokens

    def tokenize_with_weights(
        self,
        text: str,
        return_word_ids: bool = False,
        **kwargs: Any,
    ) -> list[list[Any]]:
        (tokens,) = super().tokenize_with_weights(text, return_word_ids, **kwargs)
        if len(tokens) > self.max_tokens:
            logging.warning("StoryMem: the prompt has %d bytes; the text encoder reads the first %d.",
                            len(tokens) - 1, self.max_tokens - 1)  # fmt: skip
            tokens = [*tokens[: self.max_tokens - 1], (END, *tokens[-1][1:])]
        return [tokens]


class _Tokenizer(SD1Tokenizer):
    def __init__(
        self,
        embedding_directory: Any = None,
        tokenizer_data: Any = None,
        *,
        sizes: TextEncoderSizes,
    ):
        super().__init__(
            embedding_directory, tokenizer_data or {}, name=NAME, tokenizer=partial(_ByteTokens, sizes=sizes)
        )


class _T5(SDClipModel):
    def __init__(
        self,
        device: Any = "cpu",
        dtype: Any = None,
        model_options: Any = None,
        *,
        sizes: TextEncoderSizes,
    ):
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=sizes.t5_config(),
            model_class=T5,
            special_tokens={"end": END, "pad": PAD},
            enable_attention_masks=True,
            zero_out_masked=True,
            model_options=model_options or {},
        )


class _Model(SD1ClipModel):
    def __init__(
        self,
        device: Any = "cpu",
        dtype: Any = None,
        model_options: Any = None,
        *,
        sizes: TextEncoderSizes,
    ):
        super().__init__(device, dtype, model_options or {}, name=NAME, clip_model=partial(_T5, sizes=sizes))
