"""Frames of a shot on disk: FFV1 in Matroska, lossless 8-bit RGB, the same bytes for the same frames.

Every packet is a whole frame, so any frame is read without decoding the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoryMemError

_RATE = 16
"""For people who open such a file in a player; readers of the project count frames."""

_OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "flags": "+bitexact"}


def write(frames: np.ndarray, path: Path) -> None:
    """Write frames, uint8 [F, H, W, 3] with F >= 1 and at least 16 x 16 pixels."""
    import av

    check(frames)
    # fflags: without it Matroska gets a random id.
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", rate=_RATE, options=_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"  # FFV1's 8-bit RGB
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def check(frames: np.ndarray) -> None:
    """Raise StoryMemError unless `frames` is uint8 [F, H, W, 3] with at least one frame."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise StoryMemError(
            "a shot's frames must be 8-bit RGB [F, H, W, 3], at least one",
            value=f"{frames.dtype} {frames.shape}",
            remedy="Quantise the decoded frames first.",
        )


def stream(path: Path) -> Iterator[np.ndarray]:
    """The frames in order, each uint8 [H, W, 3]; few are in memory at any time."""
    return _decoded(path, lambda index: True)


def pick(path: Path, indices: Collection[int]) -> np.ndarray:
    """The frames of these indices in order of time, uint8 [N, H, W, 3]; only they are decoded."""
    wanted = set(indices)
    frames = list(islice(_decoded(path, wanted.__contains__), len(wanted)))
    if len(frames) < len(wanted):
        raise IndexError(f"{path} has no such frames: {sorted(wanted)}")
    return np.stack(frames)


def _decoded(path: Path, wanted: Callable[[int], bool]) -> Iterator[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.thread_type = "SLICE"  # no delay: a packet in, a frame out
        packets: Iterable[Any] = (packet for packet in container.demux(video) if packet.size)
        for index, packet in enumerate(packets):
            if wanted(index):
                for frame in packet.decode():
                    yield frame.to_ndarray(format="rgb24")
