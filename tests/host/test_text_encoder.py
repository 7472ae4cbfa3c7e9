"""The small text encoder is a CLIP like any other to the host."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch
from safetensors.torch import load_file, save_file

import nodes
from storymem_core.errors import StoryMemError
from storymem_core.host import text_encoder
from storymem_core.host.text_encoder import NAME
from storymem_core.text_encoder import END, TextEncoderSizes

FILE = "text_encoders/storymem_small_text_encoder.safetensors"


@pytest.fixture(scope="module")
def clip(small_models):
    return text_encoder.load(small_models / FILE)


def encode(clip, text):
    [[features, options]] = nodes.CLIPTextEncode().encode(clip, text)[0]
    assert options["pooled_output"] is None
    return features


TEXTS = [
    "a cat", "", " ", "一只猫在雨中行走", "👩🏽‍🚀🚀", "(a cat:1.3) [x] \\( embedding:none", "\x00\u202e\ud83d"
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_free_text(clip, text):
    features = encode(clip, text)
    assert features.shape[::2] == (1, 4096)
    assert features.isfinite().all()
    assert torch.equal(encode(clip, text), features)


def test_a_token_is_a_byte_and_features_have_unit_size(clip):
    features = encode(clip, "hello")
    assert features.shape == (1, 6, 4096)
    assert features.square().mean().sqrt() == pytest.approx(1, abs=0.1)


def test_very_long_text_is_cut_with_a_warning(clip, caplog):
    limit = TextEncoderSizes().max_tokens
    long = encode(clip, "word " * 20_000)
    assert long.shape == (1, limit, 4096)
    assert "100000 bytes" in caplog.text
    tokens = clip.tokenize("word " * 20_000)[NAME]
    assert len(tokens) == 1
    assert tokens[0][-1] == (END, 1.0)
    caplog.clear()
    assert encode(clip, "w" * (limit - 1)).shape == (1, limit, 4096)
    assert "StoryMem" not in caplog.text


def test_texts_differ_and_weights_count(clip):
    texts = ["a red cat", "a red dog", "a dog red", "A red cat", "a (red:1.5) cat"]
    means = torch.stack([encode(clip, text).mean(dim=1)[0] for text in texts])
    assert torch.pdist(means).min() > 0.1


def test_words_in_context_differ(clip):
    """A token's features depend on its neighbours: the encoder attends."""
    one, two = encode(clip, "red cat"), encode(clip, "red dog")
    assert (one[0, 0] - two[0, 0]).abs().max() > 0.05


def test_unload_and_clone(clip):
    before = encode(clip, "a cat")
    comfy.model_management.unload_all_models()
    assert torch.equal(encode(clip, "a cat"), before)
    assert torch.equal(encode(clip.clone(), "a cat"), before)


def test_padding_is_masked(small_models, tmp_path):
    """An encoder that pads gives the same features in front, and zeros behind."""
    path = tmp_path / "padded.safetensors"
    save_file(load_file(small_models / FILE), path, TextEncoderSizes(min_tokens=32).metadata())
    padded = encode(text_encoder.load(path), "a cat")
    plain = encode(text_encoder.load(small_models / FILE), "a cat")
    assert padded.shape == (1, 32, 4096)
    assert torch.allclose(padded[:, :6], plain, atol=1e-4)
    assert not padded[:, 6:].any()


def test_a_larger_trained_encoder_fits_the_same_interface(tmp_path):
    sizes = TextEncoderSizes(layers=3, heads=2, head_width=32, ffn=96, max_tokens=16)
    state = {name: torch.randn(shape) * 0.02 for name, shape in sizes.shapes().items()}
    save_file(state, tmp_path / "trained.safetensors", sizes.metadata())
    clip = text_encoder.load(tmp_path / "trained.safetensors")
    assert encode(clip, "x" * 99).shape == (1, 16, 4096)
    assert_holds(clip, state)


def test_every_weight_of_the_file_is_used(small_models):
    assert_holds(text_encoder.load(small_models / FILE), load_file(small_models / FILE))


def assert_holds(clip, state):
    prefix = f"{NAME}.transformer."
    loaded = clip.cond_stage_model.state_dict()
    assert {name for name in loaded if name.startswith(prefix)} == {prefix + name for name in state}
    for name, weight in state.items():
        assert torch.equal(loaded[prefix + name].float(), weight.to(loaded[prefix + name].dtype).float()), (
            name
        )


def test_another_model_is_refused(small_models):
    with pytest.raises(StoryMemError, match=r"not a small text encoder.*storymem_small_vae"):
        text_encoder.load(small_models / "vae/storymem_small_vae.safetensors")
