"""From a shot's frames to the memory after it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stories import noise

from storymem_core.errors import StoryMemError
from storymem_core.frames.pixels import as_images
from storymem_core.keyframes.embedders import FirstFrameOnly
from storymem_core.keyframes.filter import Filter
from storymem_core.keyframes.remember import embed, memory_pictures, remember, with_references
from storymem_core.memory.bank import MemoryBank


class Pixels:
    """An embedder to which all frames of noise are unlike."""

    name, threshold = "pixels", 0.9
    batches: tuple[int, ...] = ()

    def __call__(self, frames):
        self.batches = (*self.batches, len(frames))
        small = torch.nn.functional.adaptive_avg_pool2d(frames.movedim(-1, 1), 8).flatten(1)
        return torch.nn.functional.normalize(small - 0.5, dim=1)


class Brightness:
    name, threshold, scale = "brightness", 0.5, (0.0, 1.0)

    def __call__(self, frames):
        return frames.mean(dim=(1, 2, 3))


def test_frames_that_repeat_the_shot_before_are_not_keyframes():
    frames = noise(1, 7)
    after = remember(MemoryBank(), frames, Pixels(), None, shot="a", first=5)
    assert [frame.origin.frame for frame in after.kept] == [5, 6]
    assert all(np.array_equal(frame.pixels, frames[frame.origin.frame]) for frame in after.kept)
    assert after.bank.frames == after.kept and after.bank.embedder == "pixels"
    assert {frame.origin.shot for frame in after.kept} == {"a"}


def test_at_most_so_many_frames_of_one_shot_enter():
    after = remember(MemoryBank(), noise(1, 7), Pixels(), None, shot="a", limit=2)
    assert len(after.kept) <= 2
    assert after.report.count("kept\n") + after.report.count("over the limit") == 7


def test_a_frame_that_the_memory_holds_is_left_out():
    frames = noise(1, 3)
    before = remember(MemoryBank(), frames[1:2], Pixels(), None, shot="a").bank
    after = remember(before, frames, Pixels(), None, shot="b")
    assert [frame.origin.frame for frame in after.kept] == [0, 2]
    assert "frame 1: similar to memory (1.000)" in after.report


def test_a_frame_that_a_person_adds_enters_in_any_case():
    """However alike it is, whatever the filter says, beside the limit, as the newest."""
    frames = noise(1, 7)
    before = remember(MemoryBank(), frames[3:4], Pixels(), None, shot="a").bank
    plain = remember(before, frames, Pixels(), None, shot="b", limit=1, first=1)
    assert [frame.origin.frame for frame in plain.kept] == [1]
    with_two = remember(before, frames, Pixels(), None, shot="b", limit=1, first=1, added=(3, 2))
    assert [frame.origin.frame for frame in with_two.bank.frames] == [0, 1, 3, 2]
    assert np.array_equal(with_two.kept[1].pixels, frames[3])
    assert [line for line in with_two.report.splitlines() if "kept" in line and "last" not in line] == [
        "frame 1: kept", "frame 3: kept", "frame 2: kept",
    ]  # fmt: skip
    assert len(with_two.report.splitlines()) == 6
    dark = remember(MemoryBank(), frames, Pixels(), Filter(Brightness(), 0.9), shot="b", added=(4,))
    assert ([frame.origin.frame for frame in dark.kept], dark.doubts) == ([4], ())
    assert dark.kept[0].score == dark.selection.kept[0].score < 0.9


def test_an_added_frame_that_was_selected_is_not_moved_and_stays_though_the_memory_has_its_like():
    frames = noise(1, 3)
    once = remember(MemoryBank(), frames, Pixels(), None, shot="a", added=(1, 9))
    assert [frame.origin.frame for frame in once.kept] == [0, 1, 2], "frame 9 is not there"
    again = remember(once.bank, frames, Pixels(), None, shot="b", added=(1,))
    assert [(frame.origin.shot, frame.origin.frame) for frame in again.kept] == [("b", 1)]


def test_the_filter_keeps_frames_out():
    frames = noise(1, 4)
    frames[[0, 2]] //= 3
    after = remember(MemoryBank(), frames, Pixels(), Filter(Brightness(), 0.4), shot="a")
    assert [frame.origin.frame for frame in after.kept] == [1, 3]
    assert [frame.score > 0.4 for frame in after.kept] == [True, True]
    assert "frame 0: score below the minimum" in after.report
    none = remember(MemoryBank(), frames, Pixels(), Filter(Brightness(), 0.9), shot="a")
    assert (none.kept, none.bank.frames) == ((), ())
    assert none.report.startswith("no frame of this shot entered the memory: the filter rejected them all\n")


def test_a_shot_of_which_the_filter_lets_nothing_pass_is_warned_of(caplog):
    frames = noise(1, 2)
    none = remember(MemoryBank(), frames, Pixels(), Filter(Brightness(), 0.9), shot="a")
    assert none.doubts == ("no frame of this shot entered the memory: the filter rejected them all",)
    assert [record.getMessage() for record in caplog.records] == [f"shot a: {none.doubts[0]}"]
    caplog.clear()
    some = remember(MemoryBank(), frames, Pixels(), Filter(Brightness(), 0.1), shot="a")
    known = remember(some.bank, frames, Pixels(), None, shot="b")
    assert known.kept == () and known.report.startswith("no frame of this shot entered the memory\n")
    assert (some.doubts, known.doubts, caplog.records) == ((), (), [])


def test_embeddings_are_made_once_in_batches():
    pixels, frames = Pixels(), noise(1, 40)
    embeddings = embed(pixels, frames)
    assert pixels.batches == (16, 16, 8)
    assert torch.equal(embeddings, Pixels()(as_images(frames)))


def test_references_stand_behind_what_there_is_and_are_taken_as_they_are():
    pictures = [torch.rand(16, 24, 3), torch.rand(32, 16, 3)]
    bank = with_references(MemoryBank(), [*pictures, pictures[0]], Pixels())
    told = [(frame.origin.source, frame.origin.shot) for frame in bank.frames]
    assert told == [("reference", f"reference {i}") for i in (1, 2, 3)]
    assert [frame.pixels.shape[:2] for frame in bank.frames] == [(16, 24), (32, 16), (16, 24)]
    more = with_references(bank, pictures[:1], Pixels())
    assert more.frames[:3] == bank.frames
    with pytest.raises(StoryMemError, match="a bank of capacity 3 cannot hold this many"):
        with_references(MemoryBank((), 3, 3), pictures * 2, Pixels())


def test_another_embedders_bank_is_refused():
    bank = remember(MemoryBank(), noise(1, 1), Pixels(), None, shot="a").bank
    other = Pixels()
    other.name = "other"
    with pytest.raises(StoryMemError, match="made by pixels"):
        remember(bank, noise(2, 1), other, None, shot="b")


def test_pixels_of_a_socket_that_takes_images_too():
    bank = remember(MemoryBank(), noise(1, 3), Pixels(), None, shot="a").bank
    by_bank, by_images = memory_pictures(bank), memory_pictures(as_images(noise(1, 3)))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(by_bank, by_images, strict=True))
    assert {picture.fit for picture in (*by_bank, *by_images)} == {"crop"}
    assert memory_pictures(None) == []


def test_an_empty_bank_without_room_says_so():
    after = remember(MemoryBank(sink=0, capacity=1), noise(1, 3), Pixels(), None, shot="a")
    assert [frame.origin.frame for frame in after.kept] == [2]
    assert after.report.splitlines().count("frame 1: no room in the bank") == 1


def test_first_frame_only_keeps_just_that_of_each_shot():
    frames = noise(1, 5)
    first = remember(MemoryBank(), frames, FirstFrameOnly(), None, shot="a")
    again = remember(first.bank, frames, FirstFrameOnly(), None, shot="b")
    assert [(f.origin.shot, f.origin.frame) for f in again.bank.frames] == [("a", 0), ("b", 0)]
    frames[0] //= 3
    passed = remember(MemoryBank(), frames, FirstFrameOnly(), Filter(Brightness(), 0.4), shot="a", first=0)
    assert [frame.origin.frame for frame in passed.kept] == [1]
