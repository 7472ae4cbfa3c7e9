"""Frames, and a sound if there is one, to one film file: H.264 in MP4, or ProRes in QuickTime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .sound import Sound

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_FIELDS = {"title", "comment"}
"""What MP4 and QuickTime have fields for, which every player shows."""

_BT709 = 1
"""Its number in ISO/IEC 23001-8; older PyAV has no names for it."""


@dataclass(frozen=True)
class Encoding:
    """container, codec, pixels, options: in ffmpeg's words.  sound: the codec of a sound."""

    container: str
    codec: str
    pixels: str
    options: Mapping[str, str]
    sound: str


# The same frames must give the same bytes. x264 decides by its number of threads, so that is fixed; and its
# mbtree reads memory that it never wrote (runs under different MALLOC_PERTURB_ differ), so that is off.
H264 = Encoding(
    "mp4",
    "libx264",
    "yuv420p",
    MappingProxyType(
        {
            "crf": "17",
            "preset": "medium",
            "threads": "4",
            "x264-params": "mbtree=0:lookahead-threads=1",
            "flags": "+bitexact",
        }
    ),
    "aac",
)

PRORES = Encoding(
    "mov",
    "prores_ks",
    "yuv422p10le",
    # Profile 3 is 422 HQ; editors look for Apple's mark.
    MappingProxyType({"profile": "3", "vendor": "apl0", "threads": "1", "flags": "+bitexact"}),
    "pcm_s16le",
)


def write(
    frames: Iterable[np.ndarray],
    path: Path,
    size: tuple[int, int],
    fps: Fraction,
    metadata: Mapping[str, str],
    encoding: Encoding = H264,
    sound: Sound | None = None,
) -> None:
    """Every frame is shown for exactly 1/fps s; colours are BT.709, and said to be.

    Args:
        frames: uint8 [H, W, 3] each, one after the other.
        size: width and height, both even.
        metadata: texts by name. With any other name than title and comment all of them are free tags: ffmpeg
            and ComfyUI's page read these, few players do.
        sound: laid under the frames from the first on, and cut off with the last.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace

    colours: dict[str, Any] = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
    flags = {
        "fflags": "+bitexact",
        # Without the second flag only fields are written; with it, none is.
        "movflags": "+faststart" + ("+use_metadata_tags" if metadata.keys() - _FIELDS else ""),
        # In its own time scale of milliseconds MP4 could not tell the length of 3 frames at 16 a second.
        "movie_timescale": str(1000 * fps.numerator),
    }
    with av.open(str(path), "w", format=encoding.container, options=flags) as container:
        for name, text in metadata.items():
            container.metadata[name] = text.encode("utf-8", "replace").decode().replace("\0", " ")
        seen = _pictures(container, encoding, size, fps)
        # AAC knows rates up to 96 kHz only, and not all of them.
        sound = None if sound is None else sound.at(av.Codec(encoding.sound, "w").audio_rates)
        heard = None if sound is None else _heard(container, encoding, sound)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(format=encoding.pixels, **colours)
            picture.pts, picture.time_base = index, 1 / fps
            container.mux(seen.encode(picture))
            if sound is not None and heard is not None:
                for block in sound.under(index, fps):
                    container.mux(heard.encode(block))
        container.mux(seen.encode())
        if heard is not None:
            container.mux(heard.encode())


def _pictures(
    container: OutputContainer, encoding: Encoding, size: tuple[int, int], fps: Fraction
) -> VideoStream:
    from av.video.reformatter import ColorRange, Colorspace

    stream = cast(
        "VideoStream", container.add_stream(encoding.codec, rate=fps, options=dict(encoding.options))
    )
    stream.width, stream.height = size
    stream.pix_fmt = encoding.pixels
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries = context.color_trc = _BT709
    return stream


def _heard(container: OutputContainer, encoding: Encoding, sound: Sound) -> AudioStream:
    stream = cast("AudioStream", container.add_stream(encoding.sound, rate=sound.rate))
    stream.layout = sound.layout
    return stream
