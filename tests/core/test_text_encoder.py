"""Words as tokens, and checkpoints that tell their own words."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from storymem_core.errors import StoryMemError
from storymem_core.models import small_models
from storymem_core.models.text_encoder import METADATA, TABLE, features, metadata, read, table
from storymem_core.models.vocabulary import END, FIRST_BUCKET, PAD, Vocabulary
from storymem_core.small_world import words

VOCABULARY = Vocabulary(("cat", "hero", "the", "walks"), buckets=3, max_tokens=6, min_tokens=6)
CAT, HERO, THE, WALKS = 5, 6, 7, 8


def checkpoint(path, rows=None, told=None):
    state = {TABLE: table(VOCABULARY, 0) if rows is None else rows}
    save_file(state, path, metadata(VOCABULARY) if told is None else told)
    return path


@given(st.text())
def test_any_text_goes_through(text):
    ids = VOCABULARY.encode(text)
    assert len(ids) == 6
    assert all(0 <= token < len(VOCABULARY) for token in ids)
    assert ids.count(END) == 1
    assert PAD not in VOCABULARY.tokens(text)


def test_ids_of_words():
    """Ids: pad 0, end 1, three buckets 2..4, then the words."""
    assert VOCABULARY.encode("The hero walks.") == [THE, HERO, WALKS, END, PAD, PAD]
    assert VOCABULARY.encode("the HERO\u2019s cat!") == [THE, HERO, CAT, END, PAD, PAD]
    assert VOCABULARY.encode("") == [END, PAD, PAD, PAD, PAD, PAD]
    assert VOCABULARY.encode("cat " * 9) == [CAT] * 5 + [END]
    assert VOCABULARY.tokens("cat " * 9) == [CAT] * 9 + [END]


def test_unknown_words_keep_their_bucket():
    """zlib.crc32(b"dragon") == 0x27D829B4; by its remainder by 3 in the last of three buckets."""
    assert 0x27D829B4 % 3 == 2
    assert VOCABULARY.tokens("dragon Dragon") == [FIRST_BUCKET + 2] * 2 + [END]
    many = Vocabulary(buckets=64)
    assert len({many.tokens(f"word{index}")[0] for index in range(1000)}) == 64


def test_half_a_surrogate_does_not_crash():
    assert VOCABULARY.tokens("\ud83d a\ud83d")[-1] == END


def test_every_id_has_a_name():
    assert len(VOCABULARY.names) == len(VOCABULARY) == 9
    assert [VOCABULARY.names[i] for i in (PAD, END, HERO)] == ["<pad>", "<end>", "hero"]


@pytest.mark.parametrize(
    "text", ["Wide shot. The hero's friend walks_on.", "", "Dragons! 雨 🌧", "word " * 99]
)
def test_the_small_world_has_the_same_ids(text):
    """Its stories become tokens without torch; its texts are all as long as a trained model wants them."""
    assert words.TEXTS.encode(text) == list(words.encode(text))
    assert len(words.encode(text)) == 48
    assert words.TEXTS.words == words.VOCABULARY


def test_features_are_rows_and_padding_is_zero():
    rows = table(VOCABULARY, 3)
    assert rows.shape == (9, 4096)
    assert rows.dtype == torch.float16
    assert rows[1:].float().std().item() == pytest.approx(1, abs=0.01)
    read = features(torch.tensor([VOCABULARY.encode("the cat")]), rows)
    assert torch.equal(read[0, :3], rows[[THE, CAT, END]].float())
    assert read.shape == (1, 6, 4096)
    assert not read[0, 3:].any()
    assert torch.equal(table(VOCABULARY, 3), rows)
    assert not torch.equal(table(VOCABULARY, 4), rows)


def test_a_file_comes_back(tmp_path):
    rows, vocabulary = read(checkpoint(tmp_path / "a.safetensors"))
    assert vocabulary == VOCABULARY
    assert torch.equal(rows, table(VOCABULARY, 0))


def test_the_untrained_one_is_small():
    assert len(small_models.VOCABULARY) * 4096 == pytest.approx(1.06e6, rel=0.01)


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
    told = json.loads(metadata(VOCABULARY)[METADATA])
    for other in (
        {"format": "pt"},
        {METADATA: "{"},
        *({METADATA: json.dumps(told | more)} for more in ({"version": 1}, {"x": 1}, {"words": 3})),
    ):
        with pytest.raises(StoryMemError, match="damaged or not a small text encoder"):
            read(checkpoint(path, told=other))
    for shape in ((9, 768), (8, 4096), (9,)):
        with pytest.raises(StoryMemError, match=r"does not have the size given in its metadata: 9 rows"):
            read(checkpoint(path, torch.zeros(shape)))
