"""Which stored copy stands for a shot, and what of it is no longer as it would be made today.

A shot is stored once for each set of things that made it. Of these copies stands the one that fits, unless a
person decided otherwise: a kept one stays though its memory has changed, a locked one stays in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from ..errors import StoryMemError
from ..memory.bank import MEMORY
from .outline import Decision, Outline
from .project import Project
from .same_frames import CHOOSING
from .stored_shot import StoredShot, differences

INHERITED = (*MEMORY, "start frames")
"""What a shot has from those before it. A change of these alone makes it stale, not another shot."""

log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """A stored copy that stands for a shot."""

    shot: StoredShot
    stale: tuple[str, ...] = ()
    """What has changed since it was made, by name."""


def standing(
    project: Project, shot_id: str, made_of: Mapping[str, Any], decision: Decision
) -> Standing | None:
    """The stored copy of a shot that is used for it, or None if the shot has to be made.

    Args:
        made_of: all that would make the shot now (`shot.ingredients`).

    Raises:
        StoryMemError: the shot is locked, and its copy is no longer there or damaged.
    """
    held = held_copy(project, shot_id, decision)
    for copy in () if held is None else chain((held,), _with_frames_of(project, held)):
        stale = differences(copy.made_of, made_of)
        if decision.locked or set(stale) <= set(INHERITED):
            if stale:
                log.info("shot %s stays as it is, although these changed: %s", shot_id, ", ".join(stale))
            return Standing(copy, stale)
    if held is not None and _keyframes_alone(held, made_of):
        return None  # see `kept_frames`: a copy that fits has other frames
    found = project.find(project.key(made_of))
    return None if found is None else Standing(found)


def kept_frames(
    project: Project, shot_id: str, made_of: Mapping[str, Any], decision: Decision
) -> StoredShot | None:
    """The copy that a person keeps, where its frames stay and only its keyframes are to be chosen anew.

    Args:
        made_of: as for `standing`, which has found none.
    """
    held = held_copy(project, shot_id, decision)
    if held is None or not _keyframes_alone(held, made_of):
        return None
    log.info("shot %s is kept (%s), keyframes selected again", shot_id, held.key[:12])
    return held


def _keyframes_alone(held: StoredShot, made_of: Mapping[str, Any]) -> bool:
    changed = set(differences(held.made_of, made_of))
    # Another embedder cannot compare its frames with those of the memory that the copy saw.
    return changed <= {*INHERITED, *CHOOSING} - {"embedder"}


def chosen_anew(held: StoredShot, made_of: Mapping[str, Any]) -> dict[str, Any]:
    """All that makes a kept shot, with keyframes as they would be chosen now.

    Args:
        made_of: all that would make the shot now.
    """
    inherited = {name: value for name, value in held.made_of.items() if name in INHERITED}
    return {name: value for name, value in made_of.items() if name not in INHERITED} | inherited


def _with_frames_of(project: Project, held: StoredShot) -> Iterator[StoredShot]:
    """Other copies with the frames of a held one, checked, newest first: their keyframes were chosen anew."""
    for copy in reversed(project.copies()):
        if copy.frames_of == held.frames_of and copy.key != held.key:
            found = project.find(copy.key)
            if found is not None:
                yield found


def held_copy(project: Project, shot_id: str, decision: Decision) -> StoredShot | None:
    """The copy that a person holds on to, each of its files checked; None if there is none, or no longer.

    Raises:
        StoryMemError: the shot is locked, and its copy is no longer there or damaged.
    """
    if decision.held is None:
        return None
    held = project.find(decision.held)
    if held is None and decision.locked:
        raise StoryMemError(
            f"shot {shot_id!r} is locked, and its stored copy is gone or damaged",
            value=decision.held,
            remedy="Restore the copy, or unlock the shot in Story Project so that it is made again.",
        )
    return held


def check_locked(
    project: Project, outline: Outline, shot_ids: Iterable[str], size: tuple[int, int] | None = None
) -> None:
    """Refuse shots that are locked and cannot stand in a film of this size, before any of it is made.

    Args:
        size: width and height; None where they are not known yet.

    Raises:
        StoryMemError: one has another size, or its copy is gone or damaged.
    """
    for shot_id in shot_ids:
        decision = outline.of(shot_id)
        held = held_copy(project, shot_id, decision) if decision.locked else None
        if held is not None and size is not None and held.size != size:
            raise StoryMemError(
                f"shot {shot_id!r} is locked at the size {held.size[0]}x{held.size[1]}, "
                "and all shots of a film must have the same size",
                value=f"{size[0]}x{size[1]}",
                remedy="Unlock it in Story Project, or make the film at that size.",
            )


def check_locked_gave(project: Project, outline: Outline, added: Mapping[str, Collection[int]]) -> None:
    """Refuse frames that a person adds to the memory from a locked shot that did not give them.

    Args:
        added: each shot's id -> the numbers of those frames.

    Raises:
        StoryMemError: it is so; or a locked copy is gone or damaged.
    """
    for shot_id, numbers in added.items():
        decision = outline.of(shot_id)
        held = held_copy(project, shot_id, decision) if numbers and decision.locked else None
        if held is None:
            continue
        given = {frame["frame"] for frame in held.row["keyframes"]}
        for number in numbers:
            if number not in given:
                raise StoryMemError(
                    f"a memory edit adds a frame of shot {shot_id!r}, which is locked with its keyframes",
                    value=f"add {shot_id}:{number}",
                    remedy="Unlock the shot in Story Project, or delete the edit.",
                )


def check_place(project: Project, outline: Outline, shot_id: str, prompt: str) -> None:
    """Refuse a shot that has its id from its place alone, where a locked shot of another prompt has that id.

    Raises:
        StoryMemError: it is so; or the locked copy is gone or damaged.
    """
    decision = outline.of(shot_id)
    held = held_copy(project, shot_id, decision) if decision.locked else None
    if held is not None and held.row.get("prompt", prompt) != prompt:
        raise StoryMemError(
            f"this shot is {shot_id!r} by position, but so is a locked shot with another prompt, "
            f"{held.row['prompt']!r}",
            value=prompt,
            remedy=f"Give this shot a shot_id: {shot_id} if it is the locked one, a new name if it is not "
            f"(then {shot_id} goes into the shot_id of the locked one). Or unlock it in Story Project.",
        )


def check_kept_in_script(outline: Outline, shot_ids: Collection[str]) -> None:
    """Refuse a script from which a locked shot is gone: it may have been edited, and would be made again.

    Args:
        shot_ids: of the whole script.

    Raises:
        StoryMemError: a locked shot that was asked for last is not among them.
    """
    for asked in outline.before(shot_ids):
        if outline.of(asked["shot_id"]).locked and asked["shot_id"] not in shot_ids:
            raise StoryMemError(
                f"shot {asked['shot_id']!r} is locked, but the script no longer contains it",
                value=asked["prompt"],
                remedy="Without its own id, a shot with another prompt is another shot: bring the prompt "
                f"back, or give the shot this id in the script ([cut, id: {asked['shot_id']}] or "
                f"[continue, id: {asked['shot_id']}] before its prompt; in JSON its field id), or unlock it "
                "in Story Project.",
            )
