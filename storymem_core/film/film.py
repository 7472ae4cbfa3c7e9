"""Shots on disk -> one MP4, a frame at a time: repeated frames dropped, hard cuts or cross-fades."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..disk import replacing
from ..errors import StoryMemError
from ..store.stored_shot import StoredShot
from . import movie, seams

FPS = 16
"""What Wan2.2 was trained at."""

ENCODING = dict(movie.H264.options)  # JSON takes no mapping proxy
"""In ffmpeg's words: the digest of a film's file counts it."""

_TOLD = ("id", "scene", "mode", "prompt", "negative_prompt", "seed", "frames", "dropped")


class FilmInfo(NamedTuple):
    frames: int
    seconds: float
    size: tuple[int, int]
    """Width and height."""


def stitch(
    shots: Sequence[StoredShot],
    path: Path,
    *,
    fps: float | Fraction = FPS,
    crossfade: int = 0,
    colour_match: int = 0,
    title: str = "",
    graph: Mapping[str, Any] | None = None,
) -> FilmInfo:
    """Write the film; its file is there wholly or not at all, and the same film is the same bytes.

    Each shot's `dropped` frames are left out. A cut is hard, or a cross-fade in which the last `crossfade`
    frames of one shot and as many of the next become one: each faded cut shortens the film by `crossfade`
    frames. A shot that goes on from the one before (dropped > 0) is one take with it and is never faded; its
    first `colour_match` frames are led over from that one's colours (see `seams`).

    Prompts and seeds are in the file's metadata: `comment` is JSON {name, fps, crossfade, shots: [{id,
    prompt, seed, ...}]}. No more frames are in memory than the cross-fade has, beside those in the codecs.

    Args:
        graph: what made the film, as ComfyUI's own nodes save it ("prompt", "workflow"). Each value is
            written as JSON under its name, so that the page opens the graph from the file.

    Raises:
        StoryMemError: no shots; one of another size or rate, or too short for its cross-fades, by its name;
            an odd size; no space left.
    """
    fps = rate(fps)
    info = measure(shots, fps=fps, crossfade=crossfade)
    frames = join(shots, crossfade, colour_match)
    _write(frames, path, shots, info, fps=fps, crossfade=crossfade, title=title, graph=graph)
    return info


def write_clip(
    shot: StoredShot,
    path: Path,
    *,
    fps: float | Fraction = FPS,
    before: StoredShot | None = None,
    colour_match: int = 0,
) -> FilmInfo:
    """Write one shot for people: as it stands in the film, without the frames that repeat the shot before."""
    fps = rate(fps)
    info = measure([shot], fps=fps)
    frames = shown(before, shot, colour_match)
    _write(frames, path, [shot], info, fps=fps, crossfade=0, title=shot.id)
    return info


def shown(before: StoredShot | None, shot: StoredShot, colour_match: int) -> Iterator[np.ndarray]:
    """A shot's frames as the film has them, each uint8 [H, W, 3]: from the first that repeats nothing."""
    correct = seams.correction(before, shot, colour_match)
    frames = islice(shot.frames(), shot.dropped, None)
    return frames if correct is None else (correct(frame, index) for index, frame in enumerate(frames))


def rate(fps: float | Fraction) -> Fraction:
    """Frames per second as an exact fraction: 23.976 is 2997/125."""
    if not 0 < fps <= 1000:
        raise StoryMemError("fps must be above 0 and at most 1000", value=fps, remedy="Wan uses 16.")
    return Fraction(fps).limit_denominator(1001)


def measure(shots: Sequence[StoredShot], *, fps: float | Fraction = FPS, crossfade: int = 0) -> FilmInfo:
    """How long and large the film of these shots is; raises what `stitch` raises of them, before any work."""
    fps = rate(fps)
    if not shots:
        raise StoryMemError("a film must have at least one shot", value=0, remedy="Make a shot first.")
    check_fades([(shot.id, shot.count, shot.dropped) for shot in shots], crossfade)
    size = shots[0].size
    if size[0] % 2 or size[1] % 2:
        raise StoryMemError(
            f"a film's width and height must be even, shot {shots[0].id!r} is not",
            value=_times(size),
            remedy="Make the shots in a size divisible by 16.",
        )
    for shot in shots:
        _check(shot, size, fps)
    at_joins = fades([shot.dropped for shot in shots], crossfade)
    frames = sum(shot.count - shot.dropped for shot in shots) - sum(at_joins)
    return FilmInfo(frames, float(frames / fps), size)


def check_plan(
    earlier: Sequence[StoredShot],
    planned: Sequence[tuple[str, int, int]],
    *,
    fps: float | Fraction,
    crossfade: int,
) -> None:
    """Refuse a film's rate and cross-fade before its shots are made, where that can be known.

    Args:
        earlier: the stored shots that the film begins with, by their records.
        planned: of each shot to come its id, its frames, and how many of these are dropped.

    Raises:
        StoryMemError: as `stitch`.
    """
    fps = rate(fps)
    for shot in earlier:
        _check_rate(shot, fps)
    check_fades([*((shot.id, shot.count, shot.dropped) for shot in earlier), *planned], crossfade)


def check_fades(shots: Sequence[tuple[str, int, int]], crossfade: int) -> None:
    """Refuse a cross-fade for which a shot is too short.

    Args:
        shots: of each in order its id, its frames, and how many of these are dropped.
    """
    if type(crossfade) is not int or crossfade < 0:
        raise StoryMemError(
            "crossfade must be a whole number >= 0", value=crossfade, remedy="Use 0 for no cross-fade."
        )
    at_joins = fades([dropped for _, _, dropped in shots], crossfade)
    for (name, frames, dropped), before, after in zip(shots, [0, *at_joins], [*at_joins, 0], strict=True):
        own, faded = frames - dropped, before + after
        if own < max(faded, 1):
            raise StoryMemError(
                f"shot {name!r} adds {own} frames to the film, and its cross-fades take {faded}",
                value=frames,
                remedy="Make the shot longer or the cross-fade shorter.",
            )


def join(shots: Sequence[StoredShot], crossfade: int, colour_match: int = 0) -> Iterator[np.ndarray]:
    """The film's frames in order, each uint8 [H, W, 3]."""
    held: deque[np.ndarray] = deque()  # the end of the shot before, waiting for the frames it fades into
    at_joins = fades([shot.dropped for shot in shots], crossfade)
    for before, shot, fade in zip([None, *shots[:-1]], shots, [*at_joins, 0], strict=True):
        length, fading = shot.count - shot.dropped, len(held)
        for index, frame in enumerate(shown(before, shot, colour_match)):
            if index < fading:
                frame = _mix(held.popleft(), frame, index + 1, fading + 1)
            if index < length - fade:
                yield frame
            else:
                held.append(frame)


def _write(
    frames: Iterable[np.ndarray],
    path: Path,
    shots: Sequence[StoredShot],
    info: FilmInfo,
    *,
    fps: Fraction,
    crossfade: int,
    title: str,
    graph: Mapping[str, Any] | None = None,
) -> None:
    told = {
        "name": title,
        "fps": float(fps),
        "crossfade": crossfade,
        "shots": [{name: shot.row[name] for name in _TOLD if name in shot.row} for shot in shots],
    }
    metadata = {**graph_texts(graph), "title": title, "comment": json.dumps(told)}
    with replacing(path) as temporary:
        movie.write(frames, temporary, info.size, fps, metadata)


def graph_texts(graph: Mapping[str, Any] | None) -> dict[str, str]:
    """A graph's parts as JSON, by name; nothing where there is none. In ASCII, which any file can hold."""
    return {name: json.dumps(part) for name, part in (graph or {}).items()}


def fades(dropped: Sequence[int], crossfade: int) -> list[int]:
    """Per join, how many frames of the one shot fade into the next: none into a shot that repeats frames.

    Args:
        dropped: per shot, how many of its frames repeat the shot before.
    """
    return [0 if repeated else crossfade for repeated in dropped[1:]]


def _check(shot: StoredShot, size: tuple[int, int], fps: Fraction) -> None:
    if shot.size != size:
        raise StoryMemError(
            f"all shots of a film must have the same size: shot {shot.id!r} is {_times(shot.size)}, "
            f"the first is {_times(size)}",
            value=_times(shot.size),
            remedy="Make it again at the size of the others.",
        )
    _check_rate(shot, fps)


def _check_rate(shot: StoredShot, fps: Fraction) -> None:
    own = rate(shot.row.get("fps") or fps)
    if own != fps:
        raise StoryMemError(
            f"all shots must have the film's frame rate: shot {shot.id!r} was made for {float(own):g} fps, "
            f"the film has {float(fps):g}",
            value=float(own),
            remedy="Set the film's fps to that of its shots, or make the shot again.",
        )


def _mix(old: np.ndarray, new: np.ndarray, step: int, steps: int) -> np.ndarray:
    """`step` parts of the new frame and the rest of the old one, rounded half up."""
    mixed = (old.astype(np.uint16) * (steps - step) + new.astype(np.uint16) * step) * 2 + steps
    return (mixed // (2 * steps)).astype(np.uint8)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
