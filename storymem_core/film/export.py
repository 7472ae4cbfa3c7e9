"""A story for other programs: the film and each of its shots as H.264, ProRes or pictures, and a timeline.

    <folder>/export/<format>/   film.mp4, film.mov or film/000001.png ...    shots/001.*    film.otio
                                sound.wav    export.json

The folder is written under another name and put in its place when it is whole. Files that a person has put
into it or changed there are his own: they stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..disk import digest, read_json, remove, remove_unfinished, room_in, sync_tree, unfinished, write_json
from ..errors import StoryMemError
from ..store.project import Project, Story
from ..store.stored_shot import StoredShot
from . import film, movie, seams, timeline
from .sound import Sound

VERSION = 1
FOLDER, RECORD, TIMELINE, SOUND = "export", "export.json", "film.otio", "sound.wav"
PNG = "png"
_MOVIES = MappingProxyType({"h264": movie.H264, "prores": movie.PRORES})
FORMATS = (*_MOVIES, PNG)
_TOLD = ("id", "scene", "prompt", "mode", "seed", "dropped")

log = logging.getLogger(__name__)


def export(
    story: Story,
    format: str,
    *,
    fps: float | Fraction = film.FPS,
    crossfade: int = 0,
    colour_match: int = 0,
    sound: Sound | None = None,
) -> Path:
    """Write a story's export, unless it is there already as it would be written.

    Args:
        format: one of FORMATS.
        sound: laid under the film from its beginning, and cut off at its end.

    Returns:
        The export's folder.

    Raises:
        StoryMemError: what `film.stitch` raises; another format; a shot that is no longer stored; no space
            left (an earlier export then stays as it was); another run in this folder.
    """
    if format not in FORMATS:
        raise StoryMemError("unknown export format", value=format, remedy=f"Choose {', '.join(FORMATS)}.")
    project, rate = Project.there(story.folder), film.rate(fps)
    with project.locked():
        shots = story.shots()
        info = film.measure(shots, fps=rate, crossfade=crossfade)
        sound = None if sound is None else sound.cut(info.frames / rate)
        encoding = dict(_MOVIES[format].options) if format in _MOVIES else {}
        settings = [format, encoding, str(rate), crossfade, colour_match, sound and sound.sha256]
        made_of = digest([VERSION, seams.VERSION, settings, [shot.key for shot in shots]])
        folder = project.folder / FOLDER / format
        if _is_whole(folder, made_of):
            log.info("the export is there already (%s)", folder)
            return folder
        folder.parent.mkdir(exist_ok=True)
        temporary, replaced = unfinished(folder), unfinished(folder.with_name(f"{format}.old"))
        try:
            remove_unfinished(folder.parent)
            with room_in(project.folder):
                temporary.mkdir()
                written = partial(_film, temporary, format, info.size, rate)
                written("film", film.join(shots, crossfade, colour_match), sound)
                clips = list(_shots(shots, crossfade, colour_match, written))
                if sound is not None:
                    sound.write(temporary / SOUND)
                _timeline(temporary, project.folder.name, clips, rate, sound)
                _record(temporary, made_of, info, rate, clips)
                sync_tree(temporary)
                if folder.exists():
                    folder.rename(replaced)
                temporary.rename(folder)
                _keep_others(replaced, folder)
        finally:
            remove(temporary)
            remove(replaced)
    return folder


def film_path(folder: Path) -> Path:
    """The film of an export: a file, or the folder of its pictures."""
    names = ("film", *(f"film.{encoding.container}" for encoding in _MOVIES.values()))
    return next(path for path in map(folder.joinpath, names) if path.exists())


def _film(
    folder: Path,
    format: str,
    size: tuple[int, int],
    fps: Fraction,
    name: str,
    frames: Iterable[np.ndarray],
    sound: Sound | None = None,
) -> str:
    """Write frames under a name; what the timeline calls the file, or the folder of pictures."""
    if format == PNG:
        _write_pictures(folder / name, frames)
        return f"{name}/"
    encoding = _MOVIES[format]
    path = folder / f"{name}.{encoding.container}"
    path.parent.mkdir(exist_ok=True)
    movie.write(frames, path, size, fps, {"title": name}, encoding, sound)
    return path.relative_to(folder).as_posix()


def _write_pictures(folder: Path, frames: Iterable[np.ndarray]) -> None:
    from PIL import Image

    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(folder / f"{number:06d}.png")


def _shots(
    shots: Sequence[StoredShot], crossfade: int, colour_match: int, written: partial[str]
) -> Iterator[timeline.Clip]:
    """Write each shot as it stands in the film, before a cross-fade mixes it with others."""
    fades = [*film.fades([shot.dropped for shot in shots], crossfade), 0]
    for number, (before, shot, fade) in enumerate(zip([None, *shots[:-1]], shots, fades, strict=True), 1):
        media = written(f"shots/{number:03d}", film.shown(before, shot, colour_match))
        told = {name: shot.row[name] for name in _TOLD if name in shot.row}
        yield timeline.Clip(f"{number:03d} {shot.id}", media, shot.count - shot.dropped, fade, told)


def _timeline(
    folder: Path, name: str, clips: Sequence[timeline.Clip], fps: Fraction, sound: Sound | None
) -> None:
    heard = None if sound is None else (SOUND, Fraction(sound.samples.shape[1], sound.rate))
    timeline.write(folder / TIMELINE, name, clips, fps, heard)


def _record(
    folder: Path, made_of: str, info: film.FilmInfo, fps: Fraction, clips: Sequence[timeline.Clip]
) -> None:
    """Say what is in the export, for programs and for the next run."""
    shots: list[Mapping[str, Any]] = [
        {"file": clip.media, "frames": clip.frames, "fade": clip.fade, **clip.told} for clip in clips
    ]
    told = {"version": VERSION, "fps": float(fps), "frames": info.frames, "size": info.size, "shots": shots}
    write_json(folder / RECORD, {**told, "made_of": made_of, "files": _sizes(folder)})


def _is_whole(folder: Path, made_of: str) -> bool:
    told = read_json(folder / RECORD) or {}
    return told.get("made_of") == made_of and told["files"].items() <= _sizes(folder).items()


def _keep_others(old: Path, new: Path) -> None:
    """Move what is in an earlier export and was not written by it: files put there, under their own names,
    and such as were changed, with `.edited1` in their names."""
    written = (read_json(old / RECORD) or {}).get("files", {})
    for name, size in _sizes(old).items():
        if written.get(name) == size:
            continue
        own = new / name
        for number in count(1):
            if not own.exists():
                break
            own = (new / name).with_stem(f"{Path(name).stem}.edited{number}")
        own.parent.mkdir(parents=True, exist_ok=True)
        (old / name).replace(own)


def _sizes(folder: Path) -> dict[str, int]:
    """Each file of an export with its bytes, but for the record itself."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
