"""The shots of a film as an OpenTimelineIO file, which editing programs open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Clip:
    """One shot on the timeline.

    Attributes:
        media: its file, relative to the timeline's; a folder of pictures 000001.png, ... ends in "/".
        frames: in its media.
        fade: how many of its last frames the next clip fades into.
    """

    name: str
    media: str
    frames: int
    fade: int
    told: Mapping[str, Any]


def write(
    path: Path, name: str, clips: Sequence[Clip], fps: Fraction, sound: tuple[str, Fraction] | None = None
) -> None:
    """Write the timeline: a video track of all clips, and an audio track for the sound.

    Args:
        sound: its file, relative to the timeline's, and its seconds.
    """
    import opentimelineio as otio

    timeline = otio.schema.Timeline(name)
    video = otio.schema.Track("shots", kind=otio.schema.TrackKind.Video)
    rate = float(fps)

    def time(frames: int) -> Any:
        return otio.opentime.RationalTime(frames, rate)

    def span(begin: int, frames: int) -> Any:
        return otio.opentime.TimeRange(time(begin), time(frames))

    faded = 0
    for clip in clips:
        # A fade of n frames lies half before the cut and half behind it, and each side has media for both.
        begin, fading = faded // 2, clip.fade - clip.fade // 2
        source = span(begin, clip.frames - begin - fading)
        media = _media(otio, clip.media, span(0, clip.frames), rate)
        video.append(otio.schema.Clip(clip.name, media, source, metadata={"storymem": _metadata(clip.told)}))
        if clip.fade:
            kind = otio.schema.TransitionTypes.SMPTE_Dissolve
            video.append(otio.schema.Transition("", kind, time(clip.fade // 2), time(fading)))
        faded = clip.fade
    timeline.tracks.append(video)
    if sound is not None:
        file, seconds = sound
        whole = otio.opentime.TimeRange(time(0), otio.opentime.RationalTime(float(seconds * fps), rate))
        audio = otio.schema.Track("sound", kind=otio.schema.TrackKind.Audio)
        audio.append(otio.schema.Clip("sound", otio.schema.ExternalReference(file, whole), whole))
        timeline.tracks.append(audio)
    timeline.to_json_file(str(path))


def _metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenTimelineIO can hold: whole numbers of 64 bits, signed. A seed above them is told as text."""
    large = {name: str(value) for name, value in told.items() if isinstance(value, int) and value >= 2**63}
    return {**told, **large}


def _media(otio: Any, media: str, available: Any, rate: float) -> Any:
    if not media.endswith("/"):
        return otio.schema.ExternalReference(media, available)
    return otio.schema.ImageSequenceReference(
        target_url_base=media, name_suffix=".png", start_frame=1, frame_zero_padding=6, rate=rate,
        available_range=available,
    )  # fmt: skip
