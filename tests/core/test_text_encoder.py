"""Bytes as tokens, and checkpoints that tell their own sizes."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from storymem_core.errors import StoryMemError
from storymem_core.text_encoder import END, METADATA, VOCABULARY, ByteTokenizer, TextEncoderSizes, read

SIZES = TextEncoderSizes(layers=2, heads=3, head_width=8, ffn=16, max_tokens=64, min_tokens=4)


def checkpoint(path, sizes=SIZES, metadata=None, drop=(), **changed):
    state = {name: torch.zeros(shape) for name, shape in sizes.shapes().items() if name not in drop}
    save_file(state | changed, path, sizes.metadata() if metadata is None else metadata)
    return path


@given(st.text())
def test_any_text_goes_through_and_back(text):
    ids = ByteTokenizer()(text)["input_ids"]
    assert ids[-1] == END
    assert all(3 <= token < 259 for token in ids[:-1])
    assert ByteTokenizer().decode(ids) == text


def test_ids_are_those_of_byt5():
    """transformers' ByT5: bytes after pad 0, end 1, unknown 2."""
    assert ByteTokenizer()("Hé\n")["input_ids"] == [75, 198, 172, 13, 1]
    assert ByteTokenizer()("")["input_ids"] == [1]


def test_half_a_surrogate_does_not_crash():
    assert len(ByteTokenizer()("\ud83d")["input_ids"]) == 4


def test_vocabulary_names_every_id():
    vocabulary = ByteTokenizer().get_vocab()
    assert sorted(vocabulary.values()) == list(range(259))
    assert max(vocabulary.values()) < VOCABULARY


def test_sizes_come_back(tmp_path):
    state, sizes = read(checkpoint(tmp_path / "a.safetensors"))
    assert sizes == SIZES
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == SIZES.shapes()


def test_default_is_small():
    """host.md: about 2.9 M parameters."""
    count = sum(torch.Size(shape).numel() for shape in TextEncoderSizes().shapes().values())
    assert count == pytest.approx(2.9e6, rel=0.02)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(StoryMemError, match=r"does not exist.*a\.safetensors"):
        read(path)
    checkpoint(path)
    whole = path.read_bytes()
    for size in (0, 7, 500, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(StoryMemError, match=r"damaged or not a small text encoder.*a\.safetensors"):
            read(path)
    told = json.loads(SIZES.metadata()[METADATA])
    for metadata in (
        {},
        {METADATA: "{"},
        *({METADATA: json.dumps(told | more)} for more in ({"version": 2}, {"x": 1})),
    ):
        with pytest.raises(StoryMemError, match="damaged or not a small text encoder"):
            read(checkpoint(path, metadata=metadata or {"format": "pt"}))
    with pytest.raises(StoryMemError, match=r"lacks 1 tensors.*shared\.weight \(260, 768\)"):
        read(checkpoint(path, **{"shared.weight": torch.zeros(260, 768)}))
    with pytest.raises(StoryMemError, match=r"lacks 1 tensors.*encoder\.block\.1.*None"):
        read(checkpoint(path, drop=("encoder.block.1.layer.0.SelfAttention.q.weight",)))
