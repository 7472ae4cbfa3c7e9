"""What there is of each shot of a story, and what of it is stale: its stored copies against what is asked.

Looking needs no models: a copy is held against the story's outline and against the shots before it. What only
the models know (another LoRA, another filter), and another memory before the first shot, shows when the story
is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..disk import read_json
from ..errors import StoryMemError
from ..frames.counts import dropped
from ..making.shot_record import ADDED, OWN
from ..memory import story_edits
from ..memory.bank import MEMORY, account
from ..script.script import take_seed
from .outline import Decision
from .project import Project, Story
from .same_frames import CHOOSING, surely_kept
from .stored_shot import StoredShot, differences
from .story_folder import STORY
from .takes import Standing

_KEYS = {"keyframes": "keyframe limit"}
"""A widget -> what a shot's key calls it; all others by their own names, with spaces."""


class ShotState(NamedTuple):
    """What there is of one shot."""

    id: str
    prompt: str
    decision: Decision
    takes: Mapping[int, StoredShot]
    """The takes that are made, each by the copy of it that fits best."""
    standing: Standing | None
    """The copy that stands for the shot in the film; None if it has to be made."""
    stays: bool
    """The next run leaves that copy as it is, stale or not."""
    number: int = 1
    """Its number in the whole story, from 1; shots that were left out of it count."""

    @property
    def told(self) -> str:
        """Its state in a few words."""
        if self.standing is None:
            return "locked, and its copy is gone or damaged" if self.decision.locked else "not made yet"
        stale = ", ".join(self.standing.stale)
        if self.decision.locked:
            return f"locked, stale: {stale}" if stale else "locked"
        if self.stays and set(self.standing.stale) & CHOOSING:
            return f"kept, stale: {stale}; the next run selects its keyframes again"
        if self.stays:
            return f"kept, stale: {stale}" if stale else "kept"
        if surely_kept(self.standing.shot, self.standing.stale):
            return f"stale: {stale}; the next run selects its keyframes again, samples only if it sees others"
        return f"stale: {stale}; the next run makes it again" if stale else "made"


def look(project: Project) -> tuple[ShotState, ...]:
    """Each shot of the story in order, as it was last asked for.

    Raises:
        StoryMemError: the record of what was decided is damaged.
    """
    outline = project.outline()
    copies = project.copies()
    before: Story | None = Story(str(project.folder))
    states = []
    shots = outline.shots or _told(project)
    ids = [asked["shot_id"] for asked in shots]
    numbered = list(outline.whole(ids) or ids)
    for asked in shots:
        own = [copy for copy in copies if copy.id == asked["shot_id"]]
        state = _state(project, asked, outline.of(asked["shot_id"]), own, before)
        states.append(state._replace(number=numbered.index(state.id) + 1))
        before = so_far([state], before) if before and state.standing else None
    return tuple(states)


def so_far(states: Iterable[ShotState], story: Story) -> Story:
    """A story goes on by the shots that are there: it can be stitched at any time."""
    for state in states:
        if state.standing is not None:
            story = story.added(state.standing.shot.key, True, state.standing.stale)
    return story


def report(name: str, states: Sequence[ShotState]) -> str:
    """A line for each shot: its take, how many there are, and its state."""
    if not states:
        return f"{name}: no shots here yet"
    made = sum(state.standing is not None for state in states)
    lines = [
        f"{state.number}. {state.id}: take {state.decision.take} ({len(state.takes)} made), {state.told}"
        for state in states
    ]
    return "\n".join([f"{name}: {made} of {len(states)} shots made", *lines])


KEPT = "kept by a chosen take or by keep; redo it in Story Project to make it again"
LOCKED = "locked; unlock it in Story Project to make it again"


def kept(decision: Decision, asked: Mapping[str, Any], copies: Iterable[StoredShot]) -> str:
    """Why the next run leaves a shot as it is whatever it would remember, for people; "" if it does not.

    Args:
        asked: the shot, as the outline keeps it.
        copies: all that are stored, by their records.
    """
    held = next((copy for copy in copies if copy.key == decision.held), None)
    if held is None or decision.locked:
        return LOCKED if decision.locked else ""
    return KEPT if set(_changed(held, asked)) <= CHOOSING else ""


def _state(
    project: Project,
    asked: Mapping[str, Any],
    decision: Decision,
    copies: Sequence[StoredShot],
    before: Story | None,
) -> ShotState:
    seen = _memory(project, asked, before) if copies else {}
    newest = project.glanced(before.keys[-1:]) if before else ()

    def judged(copy: StoredShot) -> Standing:
        return Standing(copy, (*_changed(copy, asked), *_inherited(copy, newest, seen)))

    whole = [judged(copy) for copy in copies if project.find(copy.key) is not None]
    # Of a take the newest that fits, or else the newest: the last one of each wins.
    takes = {one.shot.take: one for one in sorted(whole, key=lambda one: not one.stale)}
    held = next((one for one in whole if one.shot.key == decision.held), None)
    if held is not None and not decision.locked:
        same = [held, *(one for one in whole if one.shot.frames_of == held.shot.frames_of)]
        held = next((one for one in same if not _changed(one.shot, asked)), None) or (
            held if set(_changed(held.shot, asked)) <= CHOOSING else None
        )
    return ShotState(
        asked["shot_id"],
        str(asked.get("prompt", "")),
        decision,
        {take: one.shot for take, one in sorted(takes.items())},
        held or takes.get(decision.take),
        held is not None,
    )


def _changed(copy: StoredShot, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """What is asked for otherwise than when a copy was made, of all that needs no models to know."""
    told = {_KEYS.get(name, name.replace("_", " ")): value for name, value in asked.items()}
    if "seed" in told:
        told["seed"] = take_seed(told["seed"], copy.take)
    if "memory_edits" in asked:
        told[ADDED] = list(story_edits.added(asked["memory_edits"], (copy.id,), copy.id))
    made_of = {**OWN, **copy.made_of}
    names = [name for name in made_of if name in told]
    changed = differences({name: made_of[name] for name in names}, {name: told[name] for name in names})
    starts = copy.dropped if "cut" not in asked else dropped(asked["cut"], asked["overlap"])
    return changed if starts == copy.dropped else (*changed, "mode")


def _memory(project: Project, asked: Mapping[str, Any], before: Story | None) -> dict[str, Any]:
    """What a shot would see of those before it; nothing where that is not known."""
    if before is None or not before.keys:
        return {}
    edits = asked.get("memory_edits", "")
    if not edits:
        return account(before.memory().load())
    try:
        bank = before.memory(edits).load()
        return account(story_edits.seen_by_next(bank, edits, project.given(before.keys)))
    except StoryMemError:
        # Another take did not give the frame. A run says so; here a person can choose the old one again.
        return account(before.memory().load()) | {"memory": None}


def _inherited(copy: StoredShot, newest: Sequence[StoredShot], seen: Mapping[str, Any]) -> tuple[str, ...]:
    """What a copy has from the shots before it that is no longer so.

    Args:
        newest: of these the last one; none where that is not known.
    """
    if not newest:
        return ()
    other_start = copy.dropped and not copy.repeats(newest[-1])
    then = {name: copy.made_of[name] for name in MEMORY if name in copy.made_of}
    return (*(("start frames",) if other_start else ()), *differences(then, seen))


def _told(project: Project) -> list[Mapping[str, Any]]:
    """The shots of the last film, where they were made one by one."""
    rows = (read_json(project.folder / STORY) or {}).get("shots", [])
    return [{"shot_id": row["id"], "prompt": row["prompt"]} for row in rows]
