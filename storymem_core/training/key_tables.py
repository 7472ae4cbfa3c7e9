"""Names of the same tensors in diffusers and in Wan's own layout, which ComfyUI reads: one table per model.

A row names a layer, or a tensor outside of one, in both layouts; `*` stands for a number that both share. The
same table serves whole models and LoRA files, both ways.
"""

from __future__ import annotations

import re
from functools import cache

Rows = tuple[tuple[str, str], ...]

DIT: Rows = (
    ("patch_embedding", "patch_embedding"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("scale_shift_table", "head.modulation"),
    ("proj_out", "head.head"),
    ("blocks.*.scale_shift_table", "blocks.*.modulation"),
    *(
        (f"blocks.*.{theirs}.{their_layer}", f"blocks.*.{wans}.{wan_layer}")
        for theirs, wans in (("attn1", "self_attn"), ("attn2", "cross_attn"))
        for their_layer, wan_layer in (
            ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "o"),
            ("norm_q", "norm_q"), ("norm_k", "norm_k"),
        )
    ),
    ("blocks.*.norm2", "blocks.*.norm3"),
    ("blocks.*.ffn.net.0.proj", "blocks.*.ffn.0"),
    ("blocks.*.ffn.net.2", "blocks.*.ffn.2"),
)  # fmt: skip

_RESIDUAL: Rows = (
    ("norm1", "residual.0"), ("conv1", "residual.2"), ("norm2", "residual.3"), ("conv2", "residual.6"),
    ("conv_shortcut", "shortcut"),
)  # fmt: skip
_RESAMPLE: Rows = (("resample.1", "resample.1"), ("time_conv", "time_conv"))
_ATTENTION: Rows = (("norm", "norm"), ("to_qkv", "to_qkv"), ("proj", "proj"))


def _inside(theirs: str, wans: str, rows: Rows) -> Rows:
    return tuple((f"{theirs}.{their_part}", f"{wans}.{wan_part}") for their_part, wan_part in rows)


VAE: Rows = (
    ("quant_conv", "conv1"),
    ("post_quant_conv", "conv2"),
    *(
        row
        for coder in ("encoder", "decoder")
        for row in (
            (f"{coder}.conv_in", f"{coder}.conv1"),
            (f"{coder}.norm_out", f"{coder}.head.0"),
            (f"{coder}.conv_out", f"{coder}.head.2"),
            *_inside(f"{coder}.mid_block.resnets.0", f"{coder}.middle.0", _RESIDUAL),
            *_inside(f"{coder}.mid_block.attentions.0", f"{coder}.middle.1", _ATTENTION),
            *_inside(f"{coder}.mid_block.resnets.1", f"{coder}.middle.2", _RESIDUAL),
        )
    ),
    *_inside("encoder.down_blocks.*", "encoder.downsamples.*", _RESIDUAL + _RESAMPLE),
    # diffusers counts levels and layers in them, Wan counts all layers of the decoder in a row.
    *(
        row
        for level in range(4)
        for layer in range(3)
        for row in _inside(
            f"decoder.up_blocks.{level}.resnets.{layer}", f"decoder.upsamples.{4 * level + layer}", _RESIDUAL
        )
    ),
    *(
        row
        for level in range(3)
        for row in _inside(
            f"decoder.up_blocks.{level}.upsamplers.0", f"decoder.upsamples.{4 * level + 3}", _RESAMPLE
        )
    ),
)


def to_wan(name: str, rows: Rows) -> str | None:
    """The layer or tensor's name in Wan's layout; None if the table does not know it."""
    return _renamed(name, rows)


def to_diffusers(name: str, rows: Rows) -> str | None:
    """The layer or tensor's name in diffusers; None if the table does not know it."""
    return _renamed(name, tuple((wans, theirs) for theirs, wans in rows))


def _renamed(name: str, rows: Rows) -> str | None:
    for pattern, replacement in _patterns(rows):
        match = pattern.fullmatch(name)
        if match:
            number, leaf = match.groupdict().get("number", ""), match["leaf"]
            return replacement.replace("*", number) + leaf
    return None


@cache
def _patterns(rows: Rows) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each row as a pattern: the stretch, then what a tensor is called in its layer."""
    return tuple(
        (re.compile(re.escape(old).replace(r"\*", r"(?P<number>\d+)") + _LEAF), new) for old, new in rows
    )


_LEAF = r"(?P<leaf>(?:\.(?:weight|bias|gamma))?)"
