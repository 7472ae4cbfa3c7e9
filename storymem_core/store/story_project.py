"""A story's folder in a person's hands: look into it, choose takes, keep shots as they are or lock them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import StoryMemError
from ..script.script import Script, parse
from ..script.shot_list import ALL, picked
from ..sheets import take_sheet
from .outline import Outline
from .project import Project, Story, output_folder
from .shot_states import ShotState, look, report, so_far

MOST_SHOWN = 40
"""Shots on a sheet that names none: a row of each of 100 shots would take half a GB as an image."""


class Seen(NamedTuple):
    """What a person sees of a story's folder."""

    story: Story
    """The shots that are there: the film can be stitched at any time."""
    script: Script | None
    """The script that was told last; None where there was none."""
    report: str
    sheet: np.ndarray
    """The takes, uint8 [H, W, 3]."""


def use(root: Path, name: str, action: str, shots: str, take: int) -> Seen:
    """Do something with a story's folder, and look at it.

    Args:
        root: the host's output folder.
        name: the project's.
        action: "look", or one of ACTIONS.
        shots: which shots, as `shot_list.picked` reads it; the sheet shows these, the last MOST_SHOWN if none
            is named.
        take: for the action "take".

    Raises:
        StoryMemError: what `act` and `look` raise; the folder cannot be a story's.
    """
    folder = output_folder(root, name)
    if action != "look":
        act(Project.there(folder), action, shots, take)
    # Looking makes nothing, not even the folder: before its first run a story has none.
    project = Project.there(folder) if folder.exists() else Project(folder)
    states = look(project)
    outline = project.outline()
    places, told = _places(shots.strip() or ALL, states, outline), outline.script
    places = places if shots.strip() else places[-MOST_SHOWN:]
    return Seen(
        so_far(states, Story(str(project.folder))),
        parse(told) if told else None,
        report(name, states),
        np.asarray(take_sheet.draw(states, places, name)),
    )


def act(project: Project, action: str, shots: str, take: int) -> None:
    """Do one of ACTIONS to some shots; what a run makes or leaves alone follows from it.

    Args:
        shots: which, as `shot_list.picked` reads it.
        take: for the action "take".

    Raises:
        StoryMemError: there is no such shot, it is locked, not made yet or a given clip; another run works in
            this folder.
    """
    with project.locked():
        states = look(project)
        outline = project.outline()
        places = _places(shots, states, outline)
        project.outlined(ACTIONS[action](outline, states, places, take))


def choose_take(outline: Outline, states: Sequence[ShotState], places: Sequence[int], take: int) -> Outline:
    """Another take stands for the shots; one that is not there yet is made by the next run.

    A take that is there stays as it is, and so do the later shots: whether these are made again for another
    memory is a decision of its own. To choose what is chosen already changes nothing.
    """
    for place in places:
        state = states[place]
        if outline.of(state.id).take == take:
            continue
        if state.decision.locked:
            raise StoryMemError(
                f"shot {state.number} ({state.id}) is locked",
                value=f"take {take}",
                remedy="Unlock it first: a locked shot never changes.",
            )
        if any(copy.row.get("mode") == "given" for copy in state.takes.values()):
            raise StoryMemError(
                f"shot {state.number} ({state.id}) is a given clip, which has only one take",
                value=f"take {take}",
                remedy="Choose the shots after it, or connect another clip.",
            )
        there = state.takes.get(take)
        outline = outline.decided(state.id, take=take, held=there and there.key)
        for later in states[place + 1 :]:
            if later.standing and outline.of(later.id).held is None:
                outline = outline.decided(later.id, held=later.standing.shot.key)
    return outline


def keep(outline: Outline, states: Sequence[ShotState], places: Sequence[int], _: int = 1) -> Outline:
    """The shots stay as they are, though their memory may change."""
    return _held(outline, states, places)


def lock(outline: Outline, states: Sequence[ShotState], places: Sequence[int], _: int = 1) -> Outline:
    """The shots stay as they are, whatever changes."""
    return _held(outline, states, places, locked=True)


def unlock(outline: Outline, states: Sequence[ShotState], places: Sequence[int], _: int = 1) -> Outline:
    """The shots are kept, no longer locked."""
    for place in places:
        outline = outline.decided(states[place].id, locked=False)
    return outline


def redo(outline: Outline, states: Sequence[ShotState], places: Sequence[int], _: int = 1) -> Outline:
    """The next run makes the shots again if they are stale; those that are locked stay."""
    for place in places:
        if not states[place].decision.locked:
            outline = outline.decided(states[place].id, held=None)
    return outline


Change = Callable[[Outline, Sequence[ShotState], Sequence[int], int], Outline]
ACTIONS: Mapping[str, Change] = {
    "take": choose_take,
    "keep": keep,
    "redo": redo,
    "lock": lock,
    "unlock": unlock,
}


def _places(text: str, states: Sequence[ShotState], outline: Outline) -> tuple[int, ...]:
    """The places among the states, from 0, of the shots that a text names; numbers are the whole story's.

    Raises:
        StoryMemError: what `picked` raises; all of them were left out.
    """
    ids = [state.id for state in states]
    meant = picked(text, outline.whole(ids) or ids)
    places = tuple(place for place, state in enumerate(states) if state.number - 1 in meant)
    if meant and not places:
        raise StoryMemError(
            "this shot was left out when the story was last run",
            value=text,
            remedy="Add it to `only` of Story Loop, and run that first.",
        )
    return places


def _held(outline: Outline, states: Sequence[ShotState], places: Sequence[int], **change: bool) -> Outline:
    for place in places:
        state = states[place]
        if state.standing is None:
            raise StoryMemError(
                f"shot {state.number} ({state.id}) is not made yet, so it cannot stay as it is",
                value=state.number,
                remedy="Run the story first.",
            )
        outline = outline.decided(state.id, held=state.standing.shot.key, **change)
    return outline
