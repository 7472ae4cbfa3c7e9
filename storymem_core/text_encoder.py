"""The small text encoder: bytes in, 4096-wide features out (pure; the host's CLIP object is made in `host`).

Wan reads umt5-xxl features, 11 GB of weights. A small model needs a few MB that any text can go through, so
the tokens are the bytes of the text (no vocabulary file) and the encoder is a T5 of the host with sizes that
its own checkpoint tells. A trained encoder replaces a random one by replacing the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from .errors import StoryMemError
from .wan_shapes import TEXT_WIDTH, Shapes

PAD, END, FIRST_BYTE = 0, 1, 3
"""Token ids; byte b is FIRST_BYTE + b. Id 2 is left for an unknown token, which bytes never need."""

VOCABULARY = 260
METADATA = "storymem_text_encoder"
"""Key of the JSON in the file's metadata that tells the sizes."""


@dataclass(frozen=True)
class TextEncoderSizes:
    """Sizes of the T5 encoder and the length of a text.

    Attributes:
        max_tokens: longer texts are cut there, the end token included. Attention grows with its square.
        min_tokens: shorter texts are padded to it (0 = never; a padded token is masked and encodes to 0).
    """

    layers: int = 1
    heads: int = 1
    head_width: int = 64
    ffn: int = 64
    max_tokens: int = 1024
    min_tokens: int = 0

    def t5_config(self) -> dict[str, object]:
        """The same as a T5 config.json, as transformers and ComfyUI read it."""
        return {
            "d_model": TEXT_WIDTH,
            "d_kv": self.head_width,
            "d_ff": self.ffn,
            "num_heads": self.heads,
            "num_layers": self.layers,
            "vocab_size": VOCABULARY,
            "dense_act_fn": "gelu_pytorch_tanh",
            "is_gated_act": True,
            "model_type": "umt5",
        }

    def shapes(self) -> Shapes:
        """Names and shapes of the encoder's tensors (umt5: each layer has its own relative position bias)."""
        inner = self.heads * self.head_width
        shapes: Shapes = {"shared.weight": (VOCABULARY, TEXT_WIDTH)}
        for index in range(self.layers):
            attention = f"encoder.block.{index}.layer.0"
            ffn = f"encoder.block.{index}.layer.1"
            shapes |= {f"{attention}.SelfAttention.{layer}.weight": (inner, TEXT_WIDTH) for layer in "qkv"}
            shapes |= {
                f"{attention}.SelfAttention.o.weight": (TEXT_WIDTH, inner),
                f"{attention}.SelfAttention.relative_attention_bias.weight": (32, self.heads),
                f"{attention}.layer_norm.weight": (TEXT_WIDTH,),
                f"{ffn}.DenseReluDense.wi_0.weight": (self.ffn, TEXT_WIDTH),
                f"{ffn}.DenseReluDense.wi_1.weight": (self.ffn, TEXT_WIDTH),
                f"{ffn}.DenseReluDense.wo.weight": (TEXT_WIDTH, self.ffn),
                f"{ffn}.layer_norm.weight": (TEXT_WIDTH,),
            }
        return shapes | {"encoder.final_layer_norm.weight": (TEXT_WIDTH,)}

    def metadata(self) -> dict[str, str]:
        """What a checkpoint's metadata must hold."""
        return {METADATA: json.dumps({"version": 1, **asdict(self)}, sort_keys=True)}


class ByteTokenizer:
    """Text -> ids, with the few methods that the host's SDTokenizer asks of a Hugging Face tokenizer."""

    @classmethod
    def from_pretrained(cls, path: str) -> ByteTokenizer:
        """There are no files; the path is what the host hands every tokenizer."""
        return cls()

    def __call__(self, text: str) -> dict[str, list[int]]:
        """The bytes of the UTF-8 text and the end token."""
        return {"input_ids": [FIRST_BYTE + byte for byte in text.encode("utf-8", "surrogatepass")] + [END]}

    def get_vocab(self) -> dict[str, int]:
        """Names for people: one per id."""
        special = {"<pad>": PAD, "</s>": END, "<unk>": 2}
        return special | {f"<0x{byte:02X}>": FIRST_BYTE + byte for byte in range(256)}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        """The text again; a character that was cut in the middle becomes U+FFFD."""
        return bytes(i - FIRST_BYTE for i in ids if i >= FIRST_BYTE).decode("utf-8", "replace")


def read(path: str | Path) -> tuple[dict[str, Tensor], TextEncoderSizes]:
    """The tensors and sizes of a small text encoder's checkpoint.

    Raises:
        StoryMemError: the file is missing, truncated, or another model.
    """
    path = Path(path)
    remedy = "Choose a small text encoder of StoryMem, for example storymem_small_text_encoder.safetensors."
    if not path.is_file():
        raise StoryMemError("the text encoder's file does not exist", value=str(path), remedy=remedy)
    try:
        with safe_open(path, framework="pt") as file:
            sizes = _sizes(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoryMemError(
            f"the file is damaged or not a small text encoder: {error}", value=str(path), remedy=remedy
        ) from error
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wrong := sorted(name for name, shape in sizes.shapes().items() if found.get(name) != shape):
        raise StoryMemError(
            f"the text encoder lacks {len(wrong)} tensors of the size that its metadata tells",
            value=f"{path}: {wrong[0]} {found.get(wrong[0])}",
            remedy=remedy,
        )
    return state, sizes


def _sizes(metadata: Mapping[str, str]) -> TextEncoderSizes:
    told = json.loads(metadata[METADATA])
    if told.pop("version") != 1:
        raise ValueError("its format is of a newer version of StoryMem")
    return TextEncoderSizes(**told)
