"""What a story is to be: its script and shots as last asked for, and what a person decided about them.

It lies beside the stored shots, sealed by its own digest: a decision is never guessed from a damaged file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..disk import digest, read_json, write_json
from ..errors import StoryMemError
from ..script.script import parse

OUTLINE = "outline.json"
VERSION = 1


@dataclass(frozen=True)
class Decision:
    """What a person decided about one shot."""

    take: int = 1
    """From 1. Each take has a seed of its own (`script.take_seed`)."""
    held: str | None = None
    """Key of the stored copy that stays though what it remembers may have changed; None: one that fits."""
    locked: bool = False
    """The held copy stays whatever changes."""


FIRST_TAKE = Decision()
"""Of a shot about which nothing was decided."""


@dataclass(frozen=True)
class Outline:
    """A value: each change gives a new one."""

    script: str = ""
    """The whole script as JSON (`script.dumps`); empty where shots were made one by one."""
    shots: tuple[Mapping[str, Any], ...] = ()
    """The film's shots in order, each as the inputs of its Story Shot: shot_id, prompt, seed, ..."""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """By the shot's id; a shot that the script no longer has keeps its own."""

    def of(self, shot_id: str) -> Decision:
        """What was decided about a shot: its first take, and nothing held, where nothing was."""
        return self.decisions.get(shot_id, FIRST_TAKE)

    def whole(self, shot_ids: Collection[str]) -> tuple[str, ...]:
        """The ids by whose places a story's shots have their numbers: the shots that it goes on from, then
        all of the script, those that were left out too.

        Args:
            shot_ids: shots of the story; nothing is given back where one of them is none of the outline.
        """
        script = self._script_ids()
        before = [asked["shot_id"] for asked in self.shots if asked["shot_id"] not in script]
        everywhere = (*before, *script)
        return everywhere if set(shot_ids) <= set(everywhere) else ()

    def before(self, shot_ids: Collection[str]) -> tuple[Mapping[str, Any], ...]:
        """The outline's shots, up to the end of the part in which these are.

        Of two loops in a row the second one's script is here with the first one's shots before it, also when
        the first is run again: what comes behind its own shots is not its business.
        """
        script = self._script_ids()
        earlier = tuple(asked for asked in self.shots if asked["shot_id"] not in script)
        return earlier if earlier and not script.keys() & set(shot_ids) else self.shots

    def _script_ids(self) -> Mapping[str, None]:
        return dict.fromkeys(shot.id for shot in parse(self.script).shots) if self.script else {}

    def decided(self, shot_id: str, **change: Any) -> Outline:
        """This outline after another decision about a shot; `change` is of the fields of `Decision`."""
        decisions = {**self.decisions, shot_id: replace(self.of(shot_id), **change)}
        return replace(self, decisions={id: made for id, made in decisions.items() if made != FIRST_TAKE})


def read(path: Path) -> Outline:
    """The outline that `write` left; an empty one where there is no file.

    Raises:
        StoryMemError: the file is damaged, or of a newer version of the pack.
    """
    if not path.exists():
        return Outline()
    told = read_json(path) or {}
    seal = told.pop("seal", None)
    version = told.get("version")
    if isinstance(version, int) and version > VERSION:
        raise StoryMemError(
            f"this story's {OUTLINE} was written by a newer version of the pack (it has version {version}, "
            f"this pack knows {VERSION})",
            value=str(path),
            remedy="Update the pack.",
        )
    if version != VERSION or digest(told) != seal:
        raise StoryMemError(
            f"{OUTLINE}, which records the chosen takes and the locked shots of this story, is damaged",
            value=str(path),
            remedy="Restore it from a copy, or delete it: each shot then uses take 1, and none is locked.",
        )
    decisions = {id: Decision(**made) for id, made in told["decisions"].items()}
    return Outline(told["script"], tuple(told["shots"]), decisions)


def write(path: Path, outline: Outline) -> None:
    """Replace the file, wholly or not at all; one that says the same stays. Under the project's lock."""
    told = {
        "version": VERSION,
        "script": outline.script,
        "shots": [dict(shot) for shot in outline.shots],
        "decisions": {id: asdict(outline.decisions[id]) for id in sorted(outline.decisions)},
    }
    sealed = {**told, "seal": digest(told)}
    if read_json(path) != sealed:
        write_json(path, sealed)
