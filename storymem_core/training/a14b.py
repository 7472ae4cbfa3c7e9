"""Wan2.2-I2V-A14B for the trainer: its models from a local folder, its text features once and for all.

The folder is laid out as diffusers has it: transformer/ (high noise), transformer_2/ (low noise), vae/,
text_encoder/ and tokenizer/. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..disk import digest, replacing
from ..errors import StoryMemError
from ..models.wan_shapes import I2V_CHANNELS, LATENT_CHANNELS, TEXT_WIDTH
from .vae_forward import Autoencoder

SUBFOLDERS = {"high": "transformer", "low": "transformer_2"}
TEXT_TOKENS = 512

CHANNELS = {"in_channels": I2V_CHANNELS, "out_channels": LATENT_CHANNELS}


def load_expert(folder: str | Path, expert: str, *, blocks: int | None = None) -> Any:
    """One expert in bf16 (what diffusers keeps in fp32 stays so), frozen, with gradient checkpointing.

    Args:
        folder: of the whole model, see the module.
        expert: "high" or "low".
        blocks: read the first so many only, to try a run where the whole does not fit.

    Raises:
        StoryMemError: the folder lacks it, it is damaged, or it is no I2V model of 36 channels.
    """
    options = {} if blocks is None else {"num_layers": blocks}
    model = _load(
        WanTransformer3DModel, Path(folder), SUBFOLDERS[expert], torch_dtype=torch.bfloat16, **options
    )
    channels = model.config.in_channels
    if channels != CHANNELS["in_channels"]:
        raise StoryMemError(
            f"memory needs an image-to-video model of {CHANNELS['in_channels']} channels",
            value=f"{channels} channels in {folder}",
            remedy="Give the folder of Wan2.2-I2V-A14B.",
        )
    return ready(model)


def load_vae(folder: str | Path) -> Autoencoder:
    """The VAE, fp32, frozen."""
    return (
        _load(AutoencoderKLWan, Path(folder), "vae", torch_dtype=torch.float32).requires_grad_(False).eval()
    )


def cache_text(
    texts: Iterable[str],
    folder: str | Path,
    out: Path,
    *,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> None:
    """Encode the texts that `out` does not have yet, and the empty one, which stands for dropped text.

    Each is a file of its own, features bf16 [tokens, 4096] without padding; the encoder (11 GB in bf16)
    is read only if there is something to encode.

    Args:
        folder: of the whole model.
        out: folder of the features.
    """
    missing = sorted({text for text in {*texts, ""} if not _features_path(out, text).is_file()})
    if not missing:
        return
    encode = text_encoder(Path(folder), device)
    for number, text in enumerate(missing, 1):
        with replacing(_features_path(out, text)) as path:
            save_file({"text": encode(text)}, path)
        say(f"text {number} of {len(missing)}")


def text_features(text: str, out: Path) -> Tensor:
    """What `cache_text` stored, padded with zeros as Wan does: bf16 [512, 4096].

    Raises:
        StoryMemError: the text was never encoded, or its file is damaged.
    """
    path = _features_path(out, text)
    try:
        features = load_file(path)["text"]
    except (OSError, SafetensorError, KeyError) as error:
        raise _not_encoded(text) from error
    return torch.cat([features, features.new_zeros(TEXT_TOKENS - len(features), features.shape[1])])


def check_text(texts: Iterable[str], out: Path) -> None:
    """See that every text has its features, before a run counts on them.

    Raises:
        StoryMemError: one was never encoded.
    """
    for text in texts:
        if not _features_path(out, text).is_file():
            raise _not_encoded(text)


def text_encoder(folder: Path, device: str = "cpu") -> Callable[[str], Tensor]:
    """The umt5-xxl encoder as a function: text -> bf16 [tokens, 4096], at most 512 tokens, on the CPU."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = _load(AutoTokenizer, folder, "tokenizer")
    encoder = _load(UMT5EncoderModel, folder, "text_encoder", dtype=torch.bfloat16).to(device).eval()
    if encoder.config.d_model != TEXT_WIDTH:
        raise StoryMemError(
            f"Wan's text features are {TEXT_WIDTH} wide",
            value=f"{encoder.config.d_model} in {folder}",
            remedy="Give the folder of Wan2.2-I2V-A14B with its own text_encoder.",
        )

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        tokens = tokenizer(
            " ".join(text.split()), max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).to(device)
        features = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state[0]
        return features.to("cpu", torch.bfloat16).contiguous()

    return encode


def _not_encoded(text: str) -> StoryMemError:
    return StoryMemError(
        "this text has no stored features",
        value=text,
        remedy="Encode the captions again: texts that were changed are new ones.",
    )


def _features_path(out: Path, text: str) -> Path:
    return out / f"{digest(text)[:32]}.safetensors"


def ready(model: Any) -> Any:
    """The model itself, frozen and with gradient checkpointing, as an adapter needs it."""
    model.requires_grad_(False)
    model.enable_gradient_checkpointing()
    return model


def _load(kind: Any, folder: Path, subfolder: str, **options: Any) -> Any:
    path = folder / subfolder
    if not path.is_dir():
        raise StoryMemError(
            f"the model's folder has no {subfolder}/",
            value=str(folder),
            remedy="Give a local copy of Wan2.2-I2V-A14B in diffusers' layout.",
        )
    try:
        return kind.from_pretrained(str(path), local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoryMemError(
            f"{subfolder}/ of the model cannot be read: {reason}",
            value=str(path),
            remedy="Compare its files with the original's and download what differs again.",
        ) from error
