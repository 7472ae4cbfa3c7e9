"""A person's own video files, read as upright RGB frames of square pixels at Wan's 16 frames a second."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoryMemError

FPS = 16
"""What Wan2.2 was trained at."""

SLOWEST = 15.0
"""Frames a second; from a slower file frames would be repeated, and a model trained on them would stutter."""

SMALLEST = 32
"""Pixels, high and wide."""

HDR = {16: "PQ", 18: "HLG"}
"""Transfer curves (ITU-T H.273). Read as SDR such a picture is dull, and a model would learn that."""

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi", ".mpg", ".mpeg", ".ts")


def find(folder: Path) -> tuple[Path, ...]:
    """All video files under a folder, hidden ones left out, in an order that does not change.

    Raises:
        StoryMemError: no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise StoryMemError(
            "there is no folder of videos here", value=str(folder), remedy="Give the path of a folder."
        )
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise StoryMemError(
            f"the folder holds no videos ({', '.join(SUFFIXES)})",
            value=str(folder),
            remedy="Put videos of the same people and places into it, in several views.",
        )
    return tuple(files)


def frames(path: Path, *, start: int = 0, short_side: int | None = None) -> Iterator[np.ndarray]:
    """Frames `start`, `start + 1`, ... of the video at 16 a second: each uint8 [H, W, 3], upright.

    Frame n is the last one that is shown at n / 16 s after the first frame, so that files of any rate, and of
    a changing one, keep their speed.

    Args:
        start: numbers below it are skipped quickly where the file allows it.
        short_side: if given, frames are made so small, in their own proportions.

    Raises:
        StoryMemError: the file cannot be read, holds no picture, has fewer than SLOWEST frames a second, is
            HDR, or is interlaced.
    """
    import av

    try:
        # A title in another alphabet's bytes must not make a film unreadable.
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _picture_stream(container, path)
            origin = _origin(stream)
            if start:
                # The file's own key frame before: decoding goes on from there.
                container.seek(int((origin + start / FPS) / stream.time_base), stream=stream)
            for frame in _at_rate(_timed(container, stream, origin, path), start):
                yield _upright(frame, float(stream.sample_aspect_ratio or 1), short_side)
    except av.FFmpegError as error:
        raise _damaged(path, error.strerror or type(error).__name__) from error


def shape(path: Path) -> tuple[int, int]:
    """Width and height of its picture, as `frames` gives it.

    Raises:
        StoryMemError: as `frames`.
    """
    height, width, _ = next(frames(path)).shape
    return width, height


def clip(path: Path, start: int, length: int, size: tuple[int, int]) -> np.ndarray:
    """Frames start .. start + length - 1 of a video, uint8 [length, height, width, 3].

    Args:
        size: width and height; the picture is scaled to fill it and cropped at its middle.

    Raises:
        StoryMemError: as `frames`, or the video ends before.
    """
    width, height = size
    taken = [_filling(frame, width, height) for frame in islice(frames(path, start=start), length)]
    if len(taken) < length:
        raise StoryMemError(
            f"this video ends before frame {start + length}",
            value=str(path),
            remedy="It was changed since its clips were found: run the curation again.",
        )
    return np.stack(taken)


def _picture_stream(container: Any, path: Path) -> Any:
    # A song's cover is a stream of one picture: no video.
    streams = [stream for stream in container.streams.video if stream.average_rate]
    if any(stream.codec_context is None for stream in streams):
        raise _damaged(path, "nothing here decodes it")
    if not streams:
        raise StoryMemError(
            "this file holds no moving picture", value=str(path), remedy="Take it out of the folder."
        )
    stream = streams[0]
    rate = float(stream.average_rate)
    if rate < SLOWEST:
        raise StoryMemError(
            f"this video has {rate:.3g} frames a second, and {SLOWEST:g} are the least",
            value=str(path),
            remedy="Take it out of the folder, or give a version with more frames a second.",
        )
    if stream.codec_context.color_trc in HDR:
        raise StoryMemError(
            f"this video is HDR ({HDR[stream.codec_context.color_trc]}), and Wan2.2 knows SDR colours only",
            value=str(path),
            remedy="Export it in SDR (BT.709). Most phones can also record without HDR.",
        )
    if min(stream.width, stream.height) < SMALLEST:
        raise StoryMemError(
            f"a video must have {SMALLEST} x {SMALLEST} pixels or more, this one has "
            f"{stream.width} x {stream.height}",
            value=str(path),
            remedy="Take it out of the folder.",
        )
    stream.thread_type = "AUTO"
    return stream


def _origin(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _timed(container: Any, stream: Any, origin: float, path: Path) -> Iterator[tuple[float, Any]]:
    """Each frame with the second at which it is shown, and the end of the last one with None."""
    time, lasts, length = 0.0, 0.0, _length(container, stream)
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise _damaged(path, f"a frame at {time:.1f} s cannot be decoded")
        if frame.interlaced_frame:
            raise StoryMemError(
                "this video is interlaced: its frames are two moments combed into one",
                value=str(path),
                remedy="Deinterlace it first (ffmpeg's bwdif filter, or an editor's export).",
            )
        if frame.pts is not None:
            time = float(frame.pts * stream.time_base) - origin
            yield time, frame
            lasts = float((frame.duration or 0) * stream.time_base)
    end = time + max(lasts, float(1 / stream.average_rate))
    if end < length - 1:
        raise _damaged(path, f"it ends at {end:.1f} s of {length:.1f}")
    yield end, None


def _length(container: Any, stream: Any) -> float:
    """Seconds that the file says its picture lasts; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if len(container.streams) > 1:
        return 0.0  # Matroska tells the whole's length alone, and sound may last longer than the picture.
    return (container.duration or 0) / 1e6  # microseconds


def _damaged(path: Path, why: str) -> StoryMemError:
    return StoryMemError(
        f"this video is damaged or of an unknown kind: {why}",
        value=str(path),
        remedy="Play it to its end in a player, then export it again or take it out of the folder.",
    )


def _at_rate(seconds: Iterator[tuple[float, Any]], start: int) -> Iterator[Any]:
    """Of timed frames the one shown at each n / FPS from n = start on."""
    number, shown = start, None
    for time, frame in seconds:
        # Rounding of time stamps must not make a frame late.
        while shown is not None and number / FPS < time - 1e-3:
            yield shown
            number += 1
        shown = frame


def _upright(frame: Any, aspect: float, short_side: int | None) -> np.ndarray:
    """aspect: width of a stored pixel over its height; DVDs and camcorders have others than 1."""
    width, height = round(frame.width * aspect), frame.height
    if short_side and short_side < min(width, height):
        scale = short_side / min(width, height)
        width, height = round(width * scale), round(height * scale)
    picture = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    # Telephones store how they were held; the angle is counter-clockwise.
    return np.ascontiguousarray(np.rot90(picture, frame.rotation // 90))


def _filling(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    import av

    scale = max(width / picture.shape[1], height / picture.shape[0])
    wide, high = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    scaled = frame.to_ndarray(
        format="rgb24", width=wide, height=high, interpolation="AREA" if scale < 1 else "BICUBIC"
    )
    top, left = (high - height) // 2, (wide - width) // 2
    return scaled[top : top + height, left : left + width]
