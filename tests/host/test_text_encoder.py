"""The small text encoder is a CLIP like any other to the host."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch
from safetensors.torch import load_file, save_file

import nodes
from storymem_core.errors import StoryMemError
from storymem_core.host import text_encoder
from storymem_core.host.fingerprint import of_clip
from storymem_core.host.text_encoder import NAME
from storymem_core.models import small_models as small
from storymem_core.models.text_encoder import TABLE, features, metadata, read, table
from storymem_core.models.vocabulary import END, Vocabulary

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


def test_a_token_is_a_word_and_features_are_rows_of_the_table(clip, small_models):
    table, vocabulary = read(small_models / FILE)
    for text in ("hello", "Hello, hello world!", ""):
        ids = torch.tensor([vocabulary.encode(text)])
        assert ids.shape[1] == len(text.split()) + 1
        assert torch.equal(encode(clip, text), features(ids, table))


def test_very_long_text_is_cut_with_a_warning(clip, caplog):
    limit = small.VOCABULARY.max_tokens
    long = encode(clip, "word " * 20_000)
    assert long.shape == (1, limit, 4096)
    assert "20000 words" in caplog.text
    tokens = clip.tokenize("word " * 20_000)[NAME]
    assert len(tokens) == 1
    assert tokens[0][-1] == (END, 1.0)
    caplog.clear()
    assert encode(clip, "w " * (limit - 1)).shape == (1, limit, 4096)
    assert "StoryMem" not in caplog.text


def test_texts_differ_and_weights_count(clip):
    texts = ["a red cat", "a red dog", "a green dog", "a red", "a (red:1.5) cat"]
    means = torch.stack([encode(clip, text).mean(dim=1)[0] for text in texts])
    assert torch.pdist(means).min() > 0.1


def test_unload_and_clone(clip):
    before = encode(clip, "a cat")
    comfy.model_management.unload_all_models()
    assert torch.equal(encode(clip, "a cat"), before)
    assert torch.equal(encode(clip.clone(), "a cat"), before)


# A trained world's encoder: known words, and every text as long as in training.
WORLD = Vocabulary(("cat", "hero", "the", "walks"), buckets=3, max_tokens=7, min_tokens=7)
WORLD_TEXTS = ["The hero walks.", "", "The hero's cat walks, walks and walks far away, again."]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("world") / "world.safetensors"
    save_file({TABLE: table(WORLD, 5)}, path, metadata(WORLD))
    return text_encoder.load(path)


@pytest.mark.parametrize("text", WORLD_TEXTS)
def test_training_and_the_host_read_the_same_numbers(world, text):
    """Padding, cutting and the end token included."""
    expected = features(torch.tensor([WORLD.encode(text)]), table(WORLD, 5))
    assert torch.equal(encode(world, text), expected)
    assert expected.shape == (1, 7, 4096)


def test_a_weight_moves_its_own_word_only(world):
    plain, weighted = encode(world, "the hero walks"), encode(world, "the (hero:1.5) walks")
    assert torch.allclose(weighted[:, 1], 1.5 * plain[:, 1])
    assert torch.equal(weighted[:, 2:], plain[:, 2:])


def test_ids_have_names(world):
    tokens = world.tokenize("The hero flies")[NAME][0]
    named = world.tokenizer.untokenize(tokens)
    assert [name for _, name in named][:2] == ["the", "hero"]
    assert [name for _, name in named][2].startswith("<unknown")
    assert [name for _, name in named][3:] == ["<end>", "<pad>", "<pad>", "<pad>"]
    assert world.tokenizer.decode([token for token, _ in tokens[:2]]) == "the hero"


def test_the_vocabulary_counts_in_a_fingerprint(world, tmp_path):
    other = Vocabulary(("cat", "hero", "walks", "the"), buckets=3, max_tokens=7, min_tokens=7)
    save_file({TABLE: table(WORLD, 5)}, tmp_path / "other.safetensors", metadata(other))
    assert of_clip(text_encoder.load(tmp_path / "other.safetensors")) != of_clip(world)


def test_the_weights_of_the_file_are_the_models(small_models):
    loaded = text_encoder.load(small_models / FILE).cond_stage_model.state_dict()
    assert torch.equal(loaded[f"{NAME}.transformer.{TABLE}"], load_file(small_models / FILE)[TABLE])


def test_another_model_is_refused(small_models):
    with pytest.raises(StoryMemError, match=r"not a small text encoder.*storymem_small_vae"):
        text_encoder.load(small_models / "vae/storymem_small_vae.safetensors")
