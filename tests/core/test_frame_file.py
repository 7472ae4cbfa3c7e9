from __future__ import annotations

import numpy as np
import pytest
from stories import noise, scene

from storymem_core.errors import StoryMemError
from storymem_core.frames import frame_file


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (48, 80), (832, 480), (31, 65)])
def test_frames_come_back_bit_for_bit_in_order(tmp_path, size):
    frames = noise(1, 7, size)
    frame_file.write(frames, tmp_path / "frames.mkv")
    assert np.array_equal(np.stack(list(frame_file.stream(tmp_path / "frames.mkv"))), frames)


def test_pictures_of_all_colours_come_back(tmp_path):
    # Each value of each channel beside each other channel at its ends.
    ramp = np.arange(256, dtype=np.uint8)
    frames = np.stack(
        [
            np.stack(
                [np.roll(np.stack([ramp, ramp * 0 + low, ramp[::-1]], -1), shift, -1) for shift in range(3)]
            )
            for low in (0, 255)
        ]
    )
    frames = np.tile(frames, (1, 8, 1, 1))
    frame_file.write(frames, tmp_path / "frames.mkv")
    assert np.array_equal(np.stack(list(frame_file.stream(tmp_path / "frames.mkv"))), frames)


def test_same_frames_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        frame_file.write(noise(3, 9, (64, 48)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("indices", [[0], [16], [3, 4, 5], [0, 8, 16], range(12, 17), [5, 2]])
def test_any_frames_are_read_in_order_of_time(tmp_path, indices):
    frames = scene(0, 17)
    frame_file.write(frames, tmp_path / "frames.mkv")
    assert np.array_equal(frame_file.pick(tmp_path / "frames.mkv", indices), frames[sorted(indices)])


def test_a_frame_that_is_not_there_is_an_error(tmp_path):
    frame_file.write(scene(0, 5), tmp_path / "frames.mkv")
    with pytest.raises(IndexError, match=r"no such frames: \[5\]"):
        frame_file.pick(tmp_path / "frames.mkv", [5])


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 16, 16, 3), np.float32),
        np.zeros((0, 16, 16, 3), np.uint8),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((3, 16, 16, 4), np.uint8),
    ],
)
def test_other_arrays_are_refused(tmp_path, frames):
    with pytest.raises(StoryMemError, match="8-bit RGB") as error:
        frame_file.write(frames, tmp_path / "frames.mkv")
    assert str(frames.shape) in str(error.value)
    assert not (tmp_path / "frames.mkv").exists()


def test_frames_handed_in_are_left_alone_and_may_be_views(tmp_path):
    whole = noise(2, 6, (32, 32))
    copy = whole.copy()
    whole.setflags(write=False)
    frame_file.write(whole[::2, :, ::-1], tmp_path / "frames.mkv")
    assert np.array_equal(whole, copy)
    assert np.array_equal(np.stack(list(frame_file.stream(tmp_path / "frames.mkv"))), whole[::2, :, ::-1])
