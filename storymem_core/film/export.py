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

from ..disk import (
    digest,
    file_sha256,
    linked_or_copied,
    read_json,
    remove,
    remove_unfinished,
    room_in,
    sync_tree,
    unfinished,
    write_json,
)
from ..errors import StoryMemError
from ..store.project import Project, Story
from ..store.stored_shot import StoredShot
from . import film, movie, seams, timeline
from .sound import Sound

VERSION = 2
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
        if replaced.exists() and not folder.exists():  # a run was killed while it put the new one in place
            replaced.rename(folder)
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
                    _keep_others(folder, temporary)
                    folder.rename(replaced)
                temporary.rename(folder)
        finally:
            remove(temporary)
            remove(replaced)
    return folder


def film_path(folder: Path) -> Path:
    """The film of an export: a file, or the folder of its pictures."""
    return folder / ("film" if folder.name == PNG else f"film.{_MOVIES[folder.name].container}")


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
    files = {name: _stamp(folder / name) for name in _names(folder)}
    write_json(folder / RECORD, {**told, "made_of": made_of, "files": files})


def _is_whole(folder: Path, made_of: str) -> bool:
    told = read_json(folder / RECORD) or {}
    files = told.get("files", {})
    return told.get("made_of") == made_of and all(_is_as(folder / name, files[name]) for name in files)


def _keep_others(old: Path, new: Path) -> None:
    """Put into an export what is in an earlier one and was not written by it: files put there, under their
    own names, and such as were changed, with `.edited1` before the suffix. The earlier one stays as it is."""
    told = read_json(old / RECORD) or {}
    written = told.get("files", {}) if told.get("version") == VERSION else None
    for name in _names(old):
        if written is None and (new / name).exists():
            continue  # nobody knows who wrote it, and the new one has it
        if written and name in written and _is_as(old / name, written[name]):
            continue
        own = new / name
        for number in count(1):
            if not own.exists():
                break
            own = (new / name).with_stem(f"{Path(name).stem}.edited{number}")
        own.parent.mkdir(parents=True, exist_ok=True)
        linked_or_copied(old / name, own)


def _names(folder: Path) -> list[str]:
    """The files of an export, and links in it, but for the record itself."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file())
    return [name for path in paths if (name := path.relative_to(folder).as_posix()) != RECORD]


def _stamp(path: Path) -> dict[str, Any]:
    """What tells whether a file is as it was written."""
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": file_sha256(path)}


def _is_as(path: Path, stamp: Mapping[str, Any]) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != stamp["size"]:
        return False
    # The time alone changes when a folder is copied.
    return path.stat().st_mtime_ns == stamp["mtime_ns"] or file_sha256(path) == stamp["sha256"]
