"""What people look at, made anew from the store: film.mp4, contact_sheet.png, shots/, keyframes/, story.json.

Names are fixed. A file is written only if something that makes it has changed (story.json knows what each was
made of, and its sha256), so a second run of the same story leaves the same bytes, and quickly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from ..disk import digest, file_sha256, read_json, replacing, write_json
from ..making import draft
from ..memory.bank import MemoryFrame
from ..sheets import contact_sheet
from ..store.outline import Outline
from ..store.project import CLIPS, FILM, PICTURES, SHEET, Project
from ..store.project import Story as StoryHandle
from ..store.stored_shot import StoredShot
from ..store.story_folder import STORY
from . import film, seams

VERSION = 1
_NUMBERED = {CLIPS: re.compile(r"\d{3,}\.mp4"), PICTURES: re.compile(r"\d{3,}_\d+\.png")}


class Output(NamedTuple):
    """One derived file."""

    name: str
    """Its path below the story's folder, with slashes."""
    made_of: str
    """Digest of all that decides its bytes, but for the graph in it."""
    write: Callable[[Path], object]


def publish(
    story: StoryHandle,
    *,
    fps: float | Fraction = film.FPS,
    crossfade: int = 0,
    colour_match: int = 0,
    name: str = "",
    graph: Mapping[str, Any] | None = None,
) -> Path:
    """(Re)write all that a run leaves for people, from the stored shots alone.

    shots/NNN.mp4 is a shot as it stands in the film, without the frames that repeat the shot before. Clips
    and pictures of an earlier, longer story go; files with other names stay.

    Args:
        story: its shots in order, each stored.
        name: the story's, in the film's metadata and on the sheet; `draft.title` of the folder if empty.
        graph: goes into film.mp4 and contact_sheet.png where they are written (see `film.stitch`). It is no
            reason to write them: a film that is there keeps the graph that made it.

    Returns:
        The path of film.mp4.

    Raises:
        StoryMemError: what `film.stitch` raises; a shot that is no longer stored; another run in this folder.
    """
    project = Project.there(story.folder)
    folder = project.folder
    name = name or draft.title(folder)
    with project.locked():
        shots = story.shots()
        outline = project.outline()
        shown = rows(shots, story, outline)
        whole = outline.whole([shot.id for shot in shots])
        info = film.measure(shots, fps=fps, crossfade=crossfade)
        before = (read_json(folder / STORY) or {}).get("files", {})
        marks = [mark(row) for row in shown]
        files = {
            output.name: _made(folder, output, before.get(output.name, {}))
            for output in _outputs(shots, film.rate(fps), crossfade, name, marks, colour_match, whole, graph)
        }
        _remove_stale(folder, files)
        told = {
            "version": VERSION,
            "name": name,
            "fps": float(film.rate(fps)),
            "crossfade": crossfade,
            "colour_match": colour_match,
            "frames": info.frames,
            "seconds": info.seconds,
            "size": info.size,
            "shots": shown,
            "seams": joins(shots, colour_match),
            "files": files,
        }
        write_json(folder / STORY, told)
    return folder / FILM


def rows(shots: Sequence[StoredShot], story: StoryHandle, outline: Outline) -> list[dict[str, Any]]:
    """story.json's shots[]: each row as it was stored, with all that made the shot and what this run found.

    `made_of` holds every setting and a digest of every model and picture; `key` is its digest. Of a reused
    shot nothing has changed, but for a stale one that stays as it is; the seconds of both are those of the
    run that made it.
    """
    told = zip_longest(shots, story.reused, story.stale)
    return [
        {
            **shot.row,
            "key": shot.key,
            "made_of": dict(shot.made_of),
            "reused": bool(reused),
            "changed": [] if reused else shot.row.get("changed", []),
            "take": shot.take,
            "stale": list(stale or ()),
            "locked": outline.of(shot.id).locked,
        }
        for shot, reused, stale in told
    ]


def mark(row: Mapping[str, Any]) -> str:
    """What the contact sheet says of a shot that is not simply as its script has it; "" of all others."""
    parts = (
        f"take {row['take']}" if row["take"] > 1 else "",
        "locked" if row["locked"] else "",
        f"stale: {', '.join(row['stale'])}" if row["stale"] else "",
    )
    return "   ·   ".join(filter(None, parts))


def joins(shots: Sequence[StoredShot], colour_match: int) -> list[dict[str, Any]]:
    """story.json's seams[]: how colour and motion jump at each join, before a cross-fade mixes the frames.

    `after_shot` counts from 1; the rest is `seams.Seam`.
    """
    triples = zip([None, *shots], shots, shots[1:], strict=False)
    return [
        {"after_shot": number, "cut": not shot.dropped, **seams.of(first, before, shot, colour_match)}
        for number, (first, before, shot) in enumerate(triples, 1)
    ]


def _outputs(
    shots: Sequence[StoredShot],
    fps: Fraction,
    crossfade: int,
    name: str,
    marks: Sequence[str] = (),
    colour_match: int = 0,
    whole: Sequence[str] = (),
    graph: Mapping[str, Any] | None = None,
) -> Iterator[Output]:
    settings = {"fps": str(fps), "crossfade": crossfade, "name": name, "film": film.ENCODING}
    keys = [shot.key for shot in shots]
    matched = [seams.VERSION, colour_match] if colour_match else []
    yield Output(
        FILM,
        digest([settings, keys, *matched]),
        partial(
            film.stitch,
            shots,
            fps=fps,
            crossfade=crossfade,
            colour_match=colour_match,
            title=name,
            graph=graph,
        ),
    )
    left_out = [] if list(whole) in ([], [shot.id for shot in shots]) else [list(whole)]
    yield Output(
        SHEET,
        digest([settings, keys, marks, contact_sheet.LOOK, *left_out]),
        partial(
            contact_sheet.write,
            shots,
            fps=fps,
            crossfade=crossfade,
            title=name,
            marks=marks,
            whole=whole,
            graph=graph,
        ),
    )
    for number, shot in enumerate(shots, 1):
        before = shots[number - 2] if matched and number > 1 and shot.dropped else None
        yield Output(
            f"{CLIPS}/{number:03d}.mp4",
            digest([str(fps), film.ENCODING, shot.key, *([before.key, *matched] if before else [])]),
            partial(film.write_clip, shot, fps=fps, before=before, colour_match=colour_match),
        )
        for place, frame in enumerate(shot.keyframes().frames, 1):
            yield Output(f"{PICTURES}/{number:03d}_{place}.png", frame.sha256, partial(_write_picture, frame))


def _write_picture(frame: MemoryFrame, path: Path) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(frame.pixels).save(temporary, format="PNG")


def _made(folder: Path, output: Output, before: Mapping[str, str]) -> dict[str, str]:
    """Write a file unless it is there already as it should be; what story.json says of it."""
    path = folder / output.name
    same = before.get("made_of") == output.made_of and path.is_file()
    if not same or file_sha256(path) != before.get("sha256"):
        output.write(path)
    return {"made_of": output.made_of, "sha256": file_sha256(path)}


def _remove_stale(folder: Path, wanted: Mapping[str, object]) -> None:
    for subfolder, pattern in _NUMBERED.items():
        for path in (folder / subfolder).glob("*"):
            if pattern.fullmatch(path.name) and f"{subfolder}/{path.name}" not in wanted:
                path.unlink()
