"""The bank is a value, update follows the rules, a folder gives back what was saved or names the damage."""

import dataclasses
import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from storymem_core.errors import StoryMemError
from storymem_core.frames.pixels import quantise
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin, update
from storymem_core.memory.bank_folder import load, save


def make_frame(i, embedding=None, size=(6, 8), score=None, source="shot"):
    rng = np.random.default_rng(i)
    vector = rng.normal(size=64) if embedding is None else np.asarray(embedding)
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return MemoryFrame(pixels, vector.astype(np.float32), score, None, Origin(source, f"shot {i}", i))


def bank_of(numbers, **fields):
    return MemoryBank(tuple(make_frame(i) for i in numbers), **fields)


def numbers(frames):
    return [frame.origin.frame for frame in frames]


# --- the value ---


def test_a_frame_copies_its_arrays_and_nobody_can_write_to_them():
    pixels, embedding = np.zeros((2, 2, 3), np.uint8), np.ones(4, np.float32)
    frame = MemoryFrame(pixels, embedding, None, None, Origin("shot", "a", 0))
    pixels[:], embedding[:] = 9, 9
    assert frame.pixels.max() == 0 and frame.embedding.max() == 1
    for array in (frame.pixels, frame.embedding):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.score = 1.0


def test_equality_and_hash_are_by_value():
    frame = make_frame(1)
    twin = dataclasses.replace(frame, pixels=frame.pixels.copy())
    assert frame == twin and hash(frame) == hash(twin) and frame is not twin
    assert (
        MemoryBank((frame,)) == MemoryBank((twin,)) and len({MemoryBank((frame,)), MemoryBank((twin,))}) == 1
    )
    other = frame.pixels.copy()
    other[0, 0, 0] ^= 1
    for change in (
        {"pixels": other},
        {"pixels": frame.pixels.reshape(8, 6, 3)},  # the same bytes, another picture
        {"embedding": frame.embedding * 2},
        {"score": 1.0},
        {"similarity": 0.5},
        {"origin": Origin("reference", "shot 1", 1)},
    ):
        assert frame != dataclasses.replace(frame, **change)


def test_sha256_is_of_the_rgb_bytes_row_by_row():
    pixels = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    frame = MemoryFrame(pixels, np.ones(1), None, None, Origin("shot", "a", 0))
    assert frame.sha256 == "fff3a9bcdd37363d703c1c4f9512533686157868f0d4f16a0f02d0f1da24f9a2"


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"capacity": 0}, "capacity"),
        ({"capacity": 2.0}, "capacity"),
        ({"capacity": True}, "capacity"),
        ({"sink": -1}, "sink"),
        ({"sink": 11}, "sink"),
        (
            {"capacity": 3, "sink": 3, "frames": tuple(make_frame(i) for i in range(4))},
            "capacity 3 cannot hold",
        ),
        ({"frames": (make_frame(1), make_frame(2, np.ones(5)))}, "one embedder"),
    ],
)
def test_an_impossible_bank_is_refused(fields, message):
    with pytest.raises(StoryMemError, match=message):
        MemoryBank(**fields)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"pixels": np.zeros((2, 2, 3), np.float32)}, "8-bit RGB"),
        ({"pixels": np.zeros((2, 2), np.uint8)}, "8-bit RGB"),
        ({"pixels": np.zeros((0, 2, 3), np.uint8)}, "8-bit RGB"),
        ({"embedding": np.zeros(4)}, "not zero"),
        ({"embedding": np.array([1, np.nan])}, "finite"),
        ({"embedding": np.ones((1, 4))}, "embedding"),
        ({"score": float("nan")}, "finite number"),
    ],
)
def test_an_impossible_frame_is_refused(change, message):
    with pytest.raises(StoryMemError, match=message):
        dataclasses.replace(make_frame(1), **change)


@pytest.mark.parametrize("origin", [("film", "a", 0), ("shot", 3, 0), ("shot", "a", -1), ("shot", "a", True)])
def test_an_impossible_origin_is_refused(origin):
    with pytest.raises(StoryMemError):
        Origin(*origin)


def test_a_bank_knows_its_embedder():
    bank = bank_of([1]).embedded_by("clip")
    assert bank.embedder == "clip" and bank.embedded_by("clip") == bank
    with pytest.raises(StoryMemError, match="made by clip"):
        bank.embedded_by("efficientnet")


# --- update ---


def turned(degrees):
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def test_a_frame_like_any_frame_of_memory_is_left_out():
    memory = MemoryBank((make_frame(0, turned(0)), make_frame(1, turned(90)), make_frame(2, turned(180))))
    frames = [make_frame(3, turned(5)), make_frame(4, turned(45)), make_frame(5, turned(46))]
    bank, kept, rejected = update(memory, frames, 0.9)
    assert numbers(kept) == [4, 5] and numbers(bank.frames) == [
        0,
        1,
        2,
        4,
        5,
    ]  # 4 and 5 are alike, yet both new
    assert [(r.frame.origin.frame, r.reason) for r in rejected] == [(3, "similar to memory")]
    assert rejected[0].similarity == pytest.approx(np.cos(np.radians(5)))


def test_a_frame_that_a_person_chose_enters_and_stays_where_others_can_leave():
    memory = MemoryBank((make_frame(0), make_frame(1)), sink=1, capacity=4)
    like = make_frame(2, memory.frames[1].embedding)
    assert update(memory, [like], 0.9).kept == () and update(memory, [like], 0.9, [0]).kept == (like,)
    new = [make_frame(number) for number in (3, 4, 5, 6)]
    assert numbers(update(memory, new, 0.9).bank.frames) == [0, 4, 5, 6]
    assert numbers(update(memory, new, 0.9, wanted=[0]).bank.frames) == [0, 3, 5, 6]


def test_the_threshold_itself_is_not_too_similar():
    memory = MemoryBank((make_frame(0, [1, 0]),))
    same = make_frame(1, [2, 0])
    assert update(memory, [same], 1.0).kept == (same,)
    assert update(memory, [same], 0.999).kept == ()
    for i in range(50):  # whatever the rounding, a copy is equal, not more than equal
        assert len(update(bank_of([i]), [make_frame(i)], 1.0).kept) == 1


def test_an_empty_bank_takes_everything_and_reports_no_similarity():
    result = update(MemoryBank(), [make_frame(0, [1, 0]), make_frame(1, [1, 0])], 0.9)
    assert numbers(result.bank.frames) == [0, 1] and result.rejected == ()


def test_the_bank_that_came_in_is_unchanged():
    memory = bank_of(range(10))
    before = (memory.frames, hash(memory))
    update(memory, [make_frame(20)], 0.9)
    assert (memory.frames, hash(memory)) == before


@settings(max_examples=100, deadline=None)
@given(
    capacity=st.integers(1, 12),
    sink=st.integers(0, 12),
    shots=st.lists(st.integers(0, 5), max_size=12),
)
def test_sink_and_window_over_a_story(capacity, sink, shots):
    sink = min(sink, capacity)
    bank, ever, i = MemoryBank(sink=sink, capacity=capacity), [], 0
    for count in shots:
        frames = [make_frame(i + k) for k in range(count)]  # random in 64 dimensions: never alike
        i += count
        ever += numbers(frames)
        bank, kept, rejected = update(bank, frames, 0.9)
        expected = ever if len(ever) <= capacity else ever[:sink] + ever[len(ever) - (capacity - sink) :]
        assert numbers(bank.frames) == expected
        assert numbers(kept) == [n for n in numbers(frames) if n in expected]
        assert numbers(r.frame for r in rejected) == [n for n in numbers(frames) if n not in expected]
        assert {r.reason for r in rejected} <= {"no room in the bank"}


def test_update_refuses_other_embeddings_and_no_threshold():
    with pytest.raises(StoryMemError, match="one embedder"):
        update(bank_of([1]), [make_frame(2, np.ones(5))], 0.9)
    with pytest.raises(StoryMemError, match="threshold"):
        update(bank_of([1]), [make_frame(2)], float("nan"))


# --- the folder ---


def full_bank():
    frames = [make_frame(i, size=(4 + i, 9 - i % 3), score=3 + i / 7 if i % 2 else None) for i in range(12)]
    frames[0] = make_frame(0, source="reference")
    frames[5] = dataclasses.replace(frames[5], similarity=1 / 3)
    return MemoryBank(tuple(frames), sink=3, capacity=12, embedder="clip")


def test_a_folder_gives_back_the_bank_bit_for_bit(tmp_path):
    bank = full_bank()
    save(bank, tmp_path / "bank")
    again = load(tmp_path / "bank")
    assert again == bank and hash(again) == hash(bank)
    assert again.frames[5].similarity == 1 / 3
    assert [f.embedding.tobytes() for f in again.frames] == [f.embedding.tobytes() for f in bank.frames]
    with pytest.raises(ValueError, match="read-only"):
        again.frames[0].pixels[:] = 0


def test_a_person_can_read_the_folder(tmp_path):
    save(full_bank(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(f"{i:03d}.png" for i in range(1, 13)),
        "bank.json",
        "embeddings.safetensors",
    ]
    record = json.loads((tmp_path / "bank.json").read_text())
    assert [row["frame"] for row in record["frames"]] == list(range(12))  # 10 after 2
    assert [row["role"] for row in record["frames"]] == ["sink"] * 3 + ["window"] * 9
    first = record["frames"][0]
    assert first["file"] == "001.png" and (first["source"], first["shot"]) == ("reference", "shot 0")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "012.png")), full_bank().frames[11].pixels)


def test_the_order_is_the_records_not_the_names(tmp_path):
    save(bank_of([1, 2]), tmp_path)
    record = json.loads((tmp_path / "bank.json").read_text())
    (tmp_path / "001.png").rename(tmp_path / "1000.png")
    record["frames"][0]["file"] = "1000.png"
    (tmp_path / "bank.json").write_text(json.dumps(record))
    assert load(tmp_path) == bank_of([1, 2])


def test_the_empty_bank_has_a_folder_too(tmp_path):
    save(MemoryBank(sink=1, capacity=4), tmp_path)
    assert load(tmp_path) == MemoryBank(sink=1, capacity=4)


def test_an_earlier_bank_is_replaced_wholly_and_other_files_stay(tmp_path):
    save(full_bank(), tmp_path)
    (tmp_path / "my notes.txt").write_text("mine")
    save(bank_of([1, 2]), tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["001.png", "002.png"]
    assert load(tmp_path) == bank_of([1, 2]) and (tmp_path / "my notes.txt").exists()


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "001.png").write_text("a holiday picture")
    with pytest.raises(StoryMemError, match=r"no memory bank.*empty folder"):
        save(full_bank(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["001.png"]
    (tmp_path / "bank.json").write_text('{"format": "of a bank for money"}')
    with pytest.raises(StoryMemError, match=r"bank\.json"):
        save(full_bank(), tmp_path)
    assert (tmp_path / "001.png").exists()


@pytest.mark.parametrize("name", ["001.png", "007.png", "embeddings.safetensors", "bank.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "long", "swapped"])
def test_damage_is_named(tmp_path, name, damage):
    save(full_bank(), tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    swapped = {
        ".png": tmp_path / "002.png",
        ".safetensors": tmp_path / "001.png",
        ".json": tmp_path / "001.png",
    }
    if damage == "missing":
        path.unlink()
    else:
        new = {"empty": b"", "short": data[: len(data) // 2], "long": data + b"x", "swapped": b""}[damage]
        path.write_bytes(new or (swapped[path.suffix].read_bytes() if damage == "swapped" else b""))
    if name.endswith(".png") and damage == "long":
        assert load(tmp_path) == full_bank()  # bytes after the picture's end change no pixel
        return
    with pytest.raises(StoryMemError, match=name.replace(".", r"\.")):
        load(tmp_path)


def test_a_changed_byte_is_found_or_harmless(tmp_path):
    bank = full_bank()
    save(bank, tmp_path)
    rng = random.Random(0)
    for _ in range(300):
        path = rng.choice([p for p in sorted(tmp_path.iterdir()) if p.name != "bank.json"])
        data = bytearray(path.read_bytes())
        good = bytes(data)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            assert load(tmp_path) == bank
        except StoryMemError as error:
            assert path.name in str(error) and "Restore" in str(error)
        path.write_bytes(good)


def test_a_changed_record_is_a_bank_or_a_clear_error(tmp_path):
    save(full_bank(), tmp_path)
    path, rng = tmp_path / "bank.json", random.Random(1)
    good = path.read_bytes()
    for _ in range(300):
        data = bytearray(good)
        data[rng.randrange(len(data))] = rng.choice(b'0a"{[,-')
        path.write_bytes(data)
        try:
            load(tmp_path)
        except StoryMemError as error:
            assert len(str(error)) > 30


def test_a_record_cannot_reach_outside_its_folder(tmp_path):
    save(bank_of([1]), tmp_path / "bank")
    (tmp_path / "001.png").write_text("elsewhere")
    path = tmp_path / "bank" / "bank.json"
    path.write_text(path.read_text().replace("001.png", "../001.png"))
    for use in (load, lambda folder: save(bank_of([2]), folder)):
        with pytest.raises(StoryMemError, match="strange file name"):
            use(tmp_path / "bank")
    assert (tmp_path / "001.png").exists()


def test_a_later_version_is_refused(tmp_path):
    save(bank_of([1]), tmp_path)
    path = tmp_path / "bank.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 3'))
    with pytest.raises(StoryMemError, match="not version 1 or 2"):
        load(tmp_path)


# --- quantise ---


def test_quantise_gives_back_every_8_bit_value_and_rounds_half_up():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(quantise(values.astype(np.float32) / 255), values)
    image = np.array([-1, 0, 0.49999 / 255, 0.5 / 255, 127.5 / 255, 1, 7], np.float32)
    assert quantise(image).tolist() == [0, 0, 0, 1, 128, 255, 255]


def test_quantise_agrees_with_the_same_formula_in_torch():
    x = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    x = torch.cat(
        [x, (torch.arange(256) + 0.5) / 255, (torch.arange(256) + 0.5).nextafter(torch.zeros(256)) / 255]
    )
    assert np.array_equal(quantise(x.numpy()), (x * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8).numpy())
    assert np.array_equal(quantise(x), quantise(x.numpy()))


@pytest.mark.parametrize("image", [np.zeros((1, 1, 3), np.uint8), np.array([np.nan]), np.array([np.inf])])
def test_quantise_refuses_what_is_no_picture(image):
    with pytest.raises(StoryMemError, match="finite floats"):
        quantise(image)
