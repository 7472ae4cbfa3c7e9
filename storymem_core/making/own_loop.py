"""The loop around a body of the user's own: what each of its shots is given, and how its frames are kept.

The host copies the body for every shot (loop_body.py). Before a copy stands `begin`, which knows from the
store alone whether the shot has to be made (where its frames are stored under another key, it stores them
under the shot's own, and the body need not run); behind it `keep`, which stores the body's frames and moves
the memory on. Nothing is handed from shot to shot but the story's folder and keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..conditioning.start import check_start
from ..errors import StoryMemError, at_node
from ..film import film
from ..frames.counts import next_start
from ..frames.pixels import as_images, quantise
from ..host import files
from ..keyframes import embedders
from ..keyframes.embedders import Embedder
from ..keyframes.filter import Filter
from ..keyframes.remember import as_bank, remember
from ..memory import story_edits
from ..memory.bank import MemoryBank
from ..memory.references import as_text, of_shots, seen_by
from ..script.plan import ShotPlan, plan
from ..script.script import Script, dumps, take_seed
from ..store import same_frames
from ..store.project import Project, StoredMemory, StoredShot, Story, output_folder
from ..store.stored_shot import differences
from ..store.takes import (
    Standing,
    check_kept_in_script,
    check_locked,
    check_locked_gave,
    chosen_anew,
    kept_frames,
    standing,
)
from .going_on import asked, check_ids, check_size_of, earlier, last_shot
from .loop_body import CLOSE
from .shot import Choice
from .shot_images import Given
from .shot_record import digest, of_the_story, told_of

RECIPE = 1
"""Version of the way a body's shot is kept. It enters every key."""

MOST_INTERPOLATED = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Loop:
    """What a loop's Open hands to its Close: a story to be made, and no models.

    Attributes:
        story: what there is of it before the script's first shot.
        bank: the memory before that shot.
        start: the given frames that it goes on from, uint8 [overlap, H, W, 3]; None without.
        memory_edits: see story_edits, with the ids of shots.
    """

    story: Story
    shots: tuple[ShotPlan, ...]
    overlap: int
    choice: Choice
    bank: MemoryBank
    start: np.ndarray | None
    memory_edits: str = ""


@dataclass(frozen=True)
class Making:
    """How a loop's Close makes shots.

    Attributes:
        body: the digest of the nodes between.
        numbered: they use the shot's number in the film, so that with another number it is another shot.
        interpolation: each frame becomes so many there.
    """

    body: str
    numbered: bool = False
    interpolation: int = 1


class Begun(NamedTuple):
    """The next shot of a story, before it is made."""

    number: int
    """1-based, in the film."""
    plan: ShotPlan
    """`dropped` counts the body's frames, `frames` those that the model is to make."""
    memory: MemoryBank
    """Before it, whole."""
    images: Given
    made_of: dict[str, Any]
    standing: Standing | None
    """The stored copy that stands for it; None where it has to be made."""
    chosen_anew: bool = False
    """That copy has just been stored, with the frames of another one and keyframes of its own."""

    @property
    def key(self) -> str:
        return Project.key(self.made_of)

    @property
    def seen(self) -> MemoryBank:
        """What it sees of the memory."""
        return seen_by(self.memory, self.plan.references)

    def added_to(self, story: Story) -> Story:
        """The story with this shot, which may not be stored yet."""
        if self.standing is None:
            return story.added(self.key)
        return story.added(self.standing.shot.key, not self.chosen_anew, self.standing.stale, self.memory)


def opened(
    root: Path,
    *,
    script: Script,
    project: str,
    length: int,
    seed: int,
    negative_prompt: str,
    overlap: int,
    keyframes: int,
    story: Story | None = None,
    memory: MemoryBank | StoredMemory | None = None,
    embedder: Embedder | None = None,
    filter: Filter | None = None,
    start_frames: Tensor | None = None,
    memory_edits: str = "",
) -> Loop:
    """A loop over a script's shots.

    Args:
        root: the host's output folder.
        story: the story that the script goes on with; it brings its folder, memory and end.
        memory_edits: see story_edits.

    Raises:
        StoryMemError: a script or memory with which the film cannot be made, an image or reference that the
            script names and that is not there, LoRAs in the script, two things to go on from, or a project
            folder in which another run works.
    """
    bank = as_bank(memory)
    before = last_shot(story, memory=memory, start_frames=start_frames)
    shots = plan(
        script,
        seed=seed,
        length=length,
        overlap=overlap,
        t2v_first=False,
        references=len(bank.frames),
        start_given=start_frames is not None or before is not None,
    )
    choice = Choice(embedder or embedders.default(), filter, keyframes)
    known = bank if story is None or before is None else story.memory(memory_edits).load()
    known = known.embedded_by(choice.embedder.name)
    given, ids = asked(story), [shot.id for shot in shots]
    check_ids(given, ids)
    memory_edits = story_edits.for_story(memory_edits, [*(told["shot_id"] for told in given), *ids], known)
    added = [story_edits.added(memory_edits, ids, id) for id in ids]
    new = [keyframes + len(numbers) for numbers in added]
    needed = of_shots(script, story_edits.seen_by_next(known, memory_edits, {}), new)
    whole = [
        replace(
            shot,
            references=names,
            added=numbers,
            negative_prompt=negative_prompt if shot.negative_prompt is None else shot.negative_prompt,
        )
        for shot, names, numbers in zip(shots, needed, added, strict=True)
    ]
    for number, shot in enumerate(whole, 1):
        with at_node(f"StoryMemStoryLoopOpen, shot {number} ({shot.id})"):
            _check_own(shot)
    start = None
    if start_frames is not None and not shots[0].cut:
        start = quantise(next_start(start_frames, overlap).cpu()[..., :3])
    story = story or Story(str(output_folder(root, project or script.name)))
    there = Project.open(story.folder)
    with there.locked():  # told now if another run works there, not when the first shot is made
        outline = there.outline()
        check_kept_in_script(outline, {told["shot_id"] for told in given} | set(ids))
        check_locked(there, outline, ids)
        check_locked_gave(there, outline, dict(zip(ids, added, strict=True)))
        shared = {"memory_edits": memory_edits, "keyframes": keyframes}
        asked_for = (_asked(shot) | shared for shot in whole)
        there.outlined(replace(outline, script=dumps(script), shots=(*given, *asked_for)))
    return Loop(story, tuple(whole), overlap, choice, bank, start, memory_edits)


def _check_own(shot: ShotPlan) -> None:
    """Refuse what a shot wants and a body of other nodes cannot be given, and images that are not there."""
    check_start(shot.given, shot.frames, shot.end_image is not None)
    for name in (shot.start_image, shot.end_image):
        if name is not None:
            files.image(name)
    if shot.lora is not None or shot.lora_strength != 1.0:
        raise StoryMemError(
            "a loop around your own nodes uses your own models, so a shot cannot have its own LoRA",
            value="lora" if shot.lora is not None else "lora_strength",
            remedy="Remove it from the script, or make the film with Story Loop.",
        )


def _asked(shot: ShotPlan) -> dict[str, Any]:
    return {
        "shot_id": shot.id,
        "prompt": shot.prompt,
        "negative_prompt": shot.negative_prompt,
        "length": shot.frames,
        "seed": shot.seed,
        "references": as_text(shot.references),
        "start_image": digest(_image(shot.start_image)),
        "end_image": digest(_image(shot.end_image)),
    }


def check_film(loop: Loop, making: Making, fps: float, crossfade: int) -> None:
    """Refuse a rate or cross-fade with which the shots cannot be a film, and frames added to the memory that
    they will not have, before any of them is made."""
    step = making.interpolation
    planned = [(shot.id, _given_back(shot, step), _repeated(loop, shot, step)) for shot in loop.shots]
    for shot in loop.shots:
        own = range(_repeated(loop, shot, step), _given_back(shot, step))
        story_edits.check_added(shot.id, shot.added, own, loop.bank)
    film.check_plan(earlier(loop.story), planned, fps=fps, crossfade=crossfade)


def _repeated(loop: Loop, shot: ShotPlan, step: int) -> int:
    """How many of the body's frames repeat the shot before."""
    return 0 if shot.cut else (loop.overlap - 1) * step + 1


def _given_back(shot: ShotPlan, step: int) -> int:
    """How many frames of a shot the body gives."""
    return (shot.frames - 1) * step + 1


def stored_before(loop: Loop, making: Making) -> Story:
    """The story with all its first shots that are stored already: no body is needed for them."""
    story = loop.story
    while left(loop, story):
        begun = begin(loop, story, making)
        if not _stands(begun):
            break
        story = begun.added_to(story)
    return story


def left(loop: Loop, story: Story) -> Sequence[ShotPlan]:
    """The shots of the loop that the story does not have yet."""
    return loop.shots[len(story.keys) - len(loop.story.keys) :]


def begin(loop: Loop, story: Story, making: Making) -> Begun:
    """The next shot of a story: what it sees, what it goes on from, and the key that it is stored under.

    Where another stored copy has the frames that the body would make, the shot is stored with them at once.

    Raises:
        StoryMemError: the shot before is not stored any more; no space left.
    """
    number, planned = len(story.keys) + 1, left(loop, story)[0]
    with _at(number, planned):
        return _begun(number, planned, loop, story, making)


def _at(number: int, planned: ShotPlan) -> AbstractContextManager[None]:
    return at_node(f"{CLOSE}, shot {number} ({planned.id})")


def _begun(number: int, planned: ShotPlan, loop: Loop, story: Story, making: Making) -> Begun:
    project = Project.there(story.folder)
    decision = project.outline().of(planned.id)
    planned = replace(planned, seed=take_seed(planned.seed, decision.take), take=decision.take)
    before = project.stored(story.keys[-1]) if story.keys else None
    known = loop.bank if before is None else story.memory(loop.memory_edits).load()
    seen = known.embedded_by(loop.choice.embedder.name)
    if loop.memory_edits:
        seen = story_edits.seen_by_next(seen, loop.memory_edits, project.given(story.keys))
    images = Given(_start(planned, before, loop, making), _image(planned.end_image))
    made_of = {
        "recipe": ["own loop", RECIPE],
        "number": number if making.numbered else None,
        **of_the_story(planned, loop.choice, seen, images),
        "body": making.body,
        "interpolation": making.interpolation,
    }
    dropped = _repeated(loop, planned, making.interpolation)
    own = range(dropped, _given_back(planned, making.interpolation))
    story_edits.check_added(planned.id, planned.added, own, seen)
    planned = replace(planned, dropped=dropped)
    found = standing(project, planned.id, made_of, decision)
    begun = Begun(number, planned, seen, images, made_of, found)
    return begun if found is not None else _with_frames_kept(begun, loop, making, project, before)


def _with_frames_kept(
    begun: Begun, loop: Loop, making: Making, project: Project, before: StoredShot | None
) -> Begun:
    """A shot that is not stored, once it is with the frames of another copy; as it was if there is none."""
    follows = None if before is None else before.frames_of
    decision = project.outline().of(begun.plan.id)
    copy = kept_frames(project, begun.plan.id, begun.made_of, decision)
    shot = begun
    if copy is not None:  # with the memory that they saw
        shot = begun._replace(made_of=chosen_anew(copy, begun.made_of), memory=copy.before())
        follows = copy.row.get("follows")
    else:
        # A body may use all of the bank that it is given, so all of it must be the same, not the pictures.
        copy = same_frames.stored(project, begun.made_of, begun.seen, given=_without_a_nameless_embedder)
    if copy is None:
        return begun
    stored = _stored(copy.all_frames(), shot, loop, making, project, before, follows, copy.frames_of)
    stale = differences(shot.made_of, begun.made_of)
    return begun._replace(standing=Standing(stored, stale), chosen_anew=True)


def _without_a_nameless_embedder(bank: MemoryBank) -> MemoryBank:
    """The bank; of an empty one no embedder has made anything yet."""
    return bank if bank.frames or bank.aside else replace(bank, embedder="")


def _start(planned: ShotPlan, before: StoredShot | None, loop: Loop, making: Making) -> np.ndarray | None:
    """What a shot starts from: an image of its own, or frames at the rate at which the model makes them."""
    if planned.cut:
        return _image(planned.start_image)
    if before is None:
        return loop.start
    # A given clip is at the film's rate, whoever made it.
    given = before.row["mode"] == "given"
    step = making.interpolation if given else int(before.row.get("interpolation", 1))
    return before.last((loop.overlap - 1) * step + 1)[::step]


def _image(name: str | None) -> np.ndarray | None:
    """An image of the host's input folder in its own size: the body scales it. uint8 [1, H, W, 3]."""
    return None if name is None else quantise(files.image(name).cpu().float())


def is_stored(story: Story, begun: Begun) -> bool:
    """Whether the shot need not be made; the log says why it is, or that it is there."""
    if _stands(begun):
        return True
    changed = Project.there(story.folder).changes(begun.plan.id, begun.made_of)
    why = "new" if changed is None else f"changed: {', '.join(changed)}"
    log.info("shot %s is made by the loop's own body: %s", begun.plan.id, why)
    return False


def _stands(begun: Begun) -> bool:
    if begun.standing is not None and not begun.chosen_anew:
        log.info("shot %s is there already (%s)", begun.plan.id, begun.standing.shot.key[:12])
    return begun.standing is not None


def memory_seen(loop: Loop, story: Story, begun: Begun) -> MemoryBank | StoredMemory:
    """The memory that the next shot sees, as nodes hand it on: by name where it lies on disk as it is."""
    whole = begun.plan.references is None and not loop.memory_edits
    return story.memory() if story.keys and whole else begun.seen


def given_images(begun: Begun) -> tuple[Tensor | None, Tensor | None]:
    """What the next shot starts from, [n, H, W, 3], 0..1, and the frame that it ends on; None for nothing."""
    start, end = (None if frames is None else as_images(frames) for frames in begun.images)
    return start, end


def keep(loop: Loop, story: Story, making: Making, images: Sequence[Tensor]) -> StoredShot:
    """Store the next shot of a story with its keyframes, at once.

    Args:
        images: what the body gave: one batch [F, H, W, C], 0..1, C of 3 or 4.

    Raises:
        StoryMemError: several batches; too few frames; another size than the shot before, or an odd one; no
            space left.
    """
    begun = begin(loop, story, making)
    with _at(begun.number, begun.plan):
        project = Project.there(story.folder)
        before = project.stored(story.keys[-1]) if story.keys else None
        follows = None if before is None else before.frames_of
        return _stored(_frames(images), begun, loop, making, project, before, follows)


def _stored(
    frames: np.ndarray,
    begun: Begun,
    loop: Loop,
    making: Making,
    project: Project,
    before: StoredShot | None,
    follows: str | None,
    frames_of: str | None = None,
) -> StoredShot:
    """Choose a shot's keyframes, and store it.

    Args:
        frames: uint8 [F, H, W, 3].
        before: the shot before it.
        follows: `frames_of` of the one that its frames go on from.
        frames_of: key of the stored copy for which they were made; None: the body has made them now.
    """
    _check(frames, begun.plan, making, before)
    began = time.perf_counter()
    choice = loop.choice
    after = remember(
        begun.memory, frames, choice.embedder, choice.filter,
        shot=begun.plan.id, limit=choice.limit, first=begun.plan.dropped, added=begun.plan.added,
    )  # fmt: skip
    row = {
        **told_of(replace(begun.plan, frames=len(frames)), begun.seen, after, follows, frames_of),
        "body": making.body,
        "interpolation": making.interpolation,
        "changed": list(project.changes(begun.plan.id, begun.made_of) or ()),
        "seconds": {"keyframes": round(time.perf_counter() - began, 3)},
    }
    return project.store(begun.key, begun.made_of, row, frames, begun.memory, after.keyframes)


def kept(story: Story) -> StoredMemory:
    """The memory after the newest shot of a story, once it is sure that the body gave its frames.

    Raises:
        StoryMemError: it gave none.
    """
    newest = story.keys[-1]
    if Project.there(story.folder).find(newest) is None:
        raise StoryMemError(
            "the loop body gave no frames",
            value=f"shot {len(story.keys)}",
            remedy="One of its nodes blocks the nodes after it; all of them must run.",
        ).at(CLOSE)
    return story.memory()


def _frames(images: Sequence[Tensor]) -> np.ndarray:
    if len(images) != 1:
        raise StoryMemError(
            "the loop body must output a shot's frames as one batch, not as a list",
            value=len(images),
            remedy="Put a node that turns a list into a batch before Story Loop Close.",
        )
    if images[0] is None:
        raise StoryMemError(
            "the loop body gave no frames",
            value=None,
            remedy="Its last node must output an IMAGE for every shot.",
        )
    return quantise(images[0].cpu().float()[..., :3])


def _check(frames: np.ndarray, planned: ShotPlan, making: Making, before: StoredShot | None) -> None:
    count, height, width = frames.shape[:3]
    made = (count - 1) / max(planned.frames - 1, 1)  # of each frame, where the body lets none fall
    if made in range(1, MOST_INTERPOLATED + 1) and made != making.interpolation:
        raise StoryMemError(
            f"the loop body outputs {made:.0f} frames per generated frame, "
            f"but interpolation is {making.interpolation}",
            value=count,
            remedy=f"Set interpolation to {made:.0f} in Story Loop Close, and its fps to match.",
        )
    if count <= planned.dropped:
        raise StoryMemError(
            f"the shot adds nothing to the {planned.dropped} frames that repeat the previous shot",
            value=count,
            remedy="Generate as many frames in the body as `length` of Story Loop Open says.",
        )
    if width % 2 or height % 2:
        raise StoryMemError(
            "a film's width and height must be even",
            value=f"{width}x{height}",
            remedy="Scale or crop the frames in the body.",
        )
    if before is not None:
        check_size_of(before, width, height)
