"""One sound that is laid under a film."""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoryMemError

_COMMON_RATE = 48_000


@dataclass(frozen=True, eq=False)
class Sound:
    """samples: int16 [1 or 2, T].  rate: samples per second."""

    samples: np.ndarray
    rate: int

    @property
    def layout(self) -> str:
        """Its channels in ffmpeg's words."""
        return "mono" if len(self.samples) == 1 else "stereo"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(
            self.samples.tobytes() + str((self.rate, self.samples.shape)).encode()
        ).hexdigest()

    def cut(self, seconds: Fraction) -> Sound:
        """Its beginning, at most so long."""
        return Sound(self.samples[:, : int(seconds * self.rate)], self.rate)

    def at(self, rates: Sequence[int] | None) -> Sound:
        """Itself, or in 48 kHz where its rate is none of those that a codec takes (None: any)."""
        import av

        if rates is None or self.rate in rates:
            return self
        samples = np.ascontiguousarray(self.samples.T).reshape(1, -1)
        whole = av.AudioFrame.from_ndarray(samples, format="s16", layout=self.layout)
        whole.sample_rate = self.rate
        resampler = av.AudioResampler("s16p", self.layout, _COMMON_RATE)
        parts = [part for frame in (whole, None) for part in resampler.resample(frame)]
        return Sound(np.concatenate([part.to_ndarray() for part in parts], axis=1), _COMMON_RATE)

    def under(self, index: int, fps: Fraction) -> Iterator[Any]:
        """What is heard while a frame is shown, as an audio frame of PyAV; nothing after the sound's end."""
        import av

        begin, end = (int(place * self.rate / fps) for place in (index, index + 1))
        block = np.ascontiguousarray(self.samples[:, begin:end].T).reshape(1, -1)
        if block.size:
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout=self.layout)
            frame.sample_rate, frame.pts, frame.time_base = self.rate, begin, Fraction(1, self.rate)
            yield frame

    def write(self, path: Path) -> None:
        """Write it as WAV."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(len(self.samples))
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.samples.T.astype("<i2").tobytes())


def from_host(audio: Any) -> Sound:
    """The host's AUDIO, {"waveform": float [B, C, T] in -1..1, "sample_rate": int}; of a batch the first.

    Raises:
        StoryMemError: it holds no samples, or more than two channels.
    """
    waveform = np.asarray(audio["waveform"][0].cpu().float())
    if waveform.shape[0] not in (1, 2) or not waveform.shape[1] or not np.isfinite(waveform).all():
        raise StoryMemError(
            "audio must have one or two channels, and finite samples",
            value=waveform.shape,
            remedy="Load another file, or mix it down to stereo.",
        )
    samples = np.round(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    return Sound(samples, int(audio["sample_rate"]))
