"""A folder of a person's own videos -> groups of clips for the memory LoRA (StoryMem, arXiv 2512.19539).

Takes are found, cut into clips of one length, looked at by the embedder and the aesthetic filter that stories
are made with, and grouped. The videos are never changed or copied: a clip is a place in a file.

Under the output folder: videos/ (what is known of each video, so that a later run looks at new ones only),
clips.json, groups.json, refused.json and captions.json. The last is for people: the text of each clip, to be
edited; it starts from NAME.txt beside the video NAME.mp4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..disk import digest, read_json, write_json
from ..errors import StoryMemError
from ..keyframes import embedders, filter
from ..keyframes.embedders import Embedder
from ..keyframes.filter import Filter
from . import grouping, video_files
from .grouping import Band, Clip, Group, Look
from .looking import EVERY, Entry, entry_of

LOW = {embedders.EfficientNetLite0.name: 0.5}
"""Lower end of the band per embedder: unrelated photographs stay below it (0.41 at most were measured)."""


class Refused(NamedTuple):
    """A part of a video, or all of it (start and end None), that is no clip."""

    video: str
    start: int | None
    end: int | None
    reason: str


class Curated(NamedTuple):
    clips: tuple[Clip, ...]
    groups: tuple[Group, ...]
    refused: tuple[Refused, ...]


def curate(
    folder: str | Path,
    out: str | Path,
    *,
    length: int = 81,
    low: float | None = None,
    embedder: Embedder | None = None,
    aesthetic: Filter | None = None,
    say: Callable[[str], None] = print,
) -> Curated:
    """Find clips and groups; what was already looked at is taken from `out`.

    Args:
        folder: of videos, with folders in it.
        out: where the result is kept, see the module.
        length: frames of a clip at 16 a second: Wan makes 4 n + 1.
        low: clips with a cosine from here up to the embedder's threshold belong together; None takes what is
            known of the embedder.
        embedder, aesthetic: None for those that stories are made with.
        say: told of each video, for people.

    Raises:
        StoryMemError: no videos; none can be read; no take is long enough; no two clips belong together; the
            captions were edited and are no JSON now; the disk is full.
    """
    folder, out = Path(folder), Path(out)
    _check(length)
    captions(out)  # an edit that went wrong is told before the videos are looked at
    files = video_files.find(folder)
    embedder = embedder or embedders.default()
    aesthetic = aesthetic or filter.create("technical-quality")
    band = _band(embedder, low)

    looks: list[Look] = []
    refused: list[Refused] = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            entry = entry_of(file, name, out / "videos", embedder, aesthetic.scorer)
        except StoryMemError as error:
            if error.value != str(file):  # not about this video: the disk, the frames' numbers
                raise
            refused.append(Refused(name, None, None, error.problem))
            say(f"{name}: left out: {error.problem}")
            continue
        found, bad = clips_of(entry, length, band.low)
        looks += found
        refused += bad
        say(f"{name}: {len(entry.shots)} takes, {len(found)} clips")

    write_json(out / "refused.json", {"refused": [part._asdict() for part in refused]})
    _check_left(looks, refused, files, length, folder)
    groups = grouping.group(looks, band, aesthetic.min_score)
    _check_groups(groups, looks, band)
    result = Curated(tuple(look.clip for look in looks), groups, tuple(refused))
    settings = {"length": length, "embedder": embedder.name, "filter": aesthetic.summary, **vars(band)}
    _store(result, folder, out, settings)
    say(f"{len(looks)} clips, {len(groups)} groups")
    return result


def load(out: str | Path) -> Curated:
    """What `curate` stored.

    Raises:
        StoryMemError: nothing is stored there.
    """
    out = Path(out)
    tables = [read_json(out / f"{name}.json") for name in ("clips", "groups", "refused")]
    if None in tables:
        raise StoryMemError(
            "no curated videos are stored here",
            value=str(out),
            remedy="Run the curation with this folder first.",
        )
    clips, groups, refused = (table for table in tables if table)
    return Curated(
        tuple(Clip(**row) for row in clips["clips"]),
        tuple(
            Group(
                row["target"],
                tuple(
                    grouping.Relative(item["clip"], item["similarity"], tuple(item["frames"]))
                    for item in row["relatives"]
                ),
                row["refused"],
            )
            for row in groups["groups"]
        ),
        tuple(Refused(**row) for row in refused["refused"]),
    )


def captions(out: str | Path) -> dict[str, str]:
    """clip id -> text of captions.json, people's own edits in it; empty where nothing was curated yet.

    Raises:
        StoryMemError: the file is there and is no JSON object: it is left as it is, for there is work in it.
    """
    path = Path(out) / "captions.json"
    found = read_json(path)
    if found is None and path.exists():
        raise StoryMemError(
            "the captions of the clips are no JSON object",
            value=str(path),
            remedy="Mend the last edit (often a comma or a quote); nothing in the file was changed.",
        )
    return found or {}


def clips_of(entry: Entry, length: int, low: float) -> tuple[list[Look], list[Refused]]:
    """A video's takes cut into clips of `length` frames, one after the other; rests are not told."""
    looks: list[Look] = []
    refused: list[Refused] = []
    for shot in entry.shots:
        if shot.end - shot.start < length:
            refused.append(
                Refused(entry.video, *shot, f"a take of {shot.end - shot.start} frames is too short")
            )
        for start in range(shot.start, shot.end - length + 1, length):
            look = _look(
                entry, Clip(f"{digest([entry.video, start, length])[:16]}", entry.video, start, length)
            )
            changed = grouping.sudden_change(look.embeddings, low)
            if changed is None:
                looks.append(look)
            else:
                at = start + look.frames[changed]
                refused.append(
                    Refused(entry.video, start, start + length, f"the view changes suddenly near frame {at}")
                )
    return looks, refused


def _look(entry: Entry, clip: Clip) -> Look:
    rows = range(-(-clip.start // EVERY), -(-(clip.start + clip.length) // EVERY))
    return Look(
        clip,
        tuple(row * EVERY - clip.start for row in rows),
        entry.embeddings[rows.start : rows.stop],
        entry.scores[rows.start : rows.stop],
    )


def _band(embedder: Embedder, low: float | None) -> Band:
    if low is None:
        low = LOW.get(embedder.name)
    if low is None or not -1 <= low < embedder.threshold:
        raise StoryMemError(
            f"the lower end of the band must be a cosine below {embedder.threshold:g} for {embedder.name}",
            value=low,
            remedy="Give the cosine that frames of the same people and places have and others have not.",
        )
    return Band(low, embedder.threshold, embedder.threshold)


def _check(length: int) -> None:
    if length < 5 or length % 4 != 1:
        raise StoryMemError(
            "a clip must have 4 n + 1 frames, 5 or more", value=length, remedy="Wan2.2 makes 81 frames."
        )


def _check_left(
    looks: list[Look], refused: list[Refused], files: tuple[Path, ...], length: int, folder: Path
) -> None:
    if looks:
        return
    if sum(part.start is None for part in refused) == len(files):
        raise StoryMemError(
            f"none of the {len(files)} videos can be used; {refused[0].video}: {refused[0].reason}",
            value=str(folder),
            remedy="Play them in a player, export them again, and look into refused.json.",
        )
    raise StoryMemError(
        f"no take in these videos has {length} frames ({length / video_files.FPS:.3g} seconds)",
        value=str(folder),
        remedy="Give videos with longer takes, or ask for a smaller length; refused.json tells of each take.",
    )


def _check_groups(groups: tuple[Group, ...], looks: list[Look], band: Band) -> None:
    if groups:
        return
    cosines = grouping.similarities(looks).fill_diagonal_(-1)
    nearest = f"{float(cosines.max()):.2f}" if len(looks) > 1 else "no other clip"
    raise StoryMemError(
        f"no two of the {len(looks)} clips belong together without being the same "
        f"(cosine from {band.low:g} to below {band.high:g}; the nearest two have {nearest})",
        value=len(looks),
        remedy="Add videos of the same people and places from other sides, or give a smaller `low`.",
    )


def _store(result: Curated, folder: Path, out: Path, settings: dict[str, Any]) -> None:
    edited = captions(out)
    texts = {clip.id: edited.get(clip.id, _beside(folder / clip.video)) for clip in result.clips}
    write_json(out / "captions.json", edited | texts)
    write_json(
        out / "clips.json",
        {
            "folder": str(folder.absolute()),
            "settings": settings,
            "clips": [clip._asdict() for clip in result.clips],
        },
    )
    # Last: where it is, the rest is there.
    rows: Iterator[dict[str, Any]] = (
        {**group._asdict(), "relatives": [relative._asdict() for relative in group.relatives]}
        for group in result.groups
    )
    write_json(out / "groups.json", {"groups": list(rows)})


def _beside(video: Path) -> str:
    text = video.with_suffix(".txt")
    return " ".join(text.read_text("utf-8", "replace").split()) if text.is_file() else ""
