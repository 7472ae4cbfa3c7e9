"""The chain of shots: a script -> its steps; a story so far and the next shot -> the story with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import StoryMemError, at_node
from ..film import film
from ..frames.counts import dropped
from ..host.memory import input_channels
from ..keyframes import embedders
from ..keyframes.embedders import Embedder
from ..keyframes.filter import Filter
from ..keyframes.remember import as_bank
from ..lora.extra_lora import NONE, from_widgets
from ..memory import story_edits
from ..memory.bank import MemoryBank
from ..memory.references import ALL as ALL_REFERENCES
from ..memory.references import from_text, of_shots, seen_by
from ..models.wan_shapes import T2V_CHANNELS
from ..sampling import T2V
from ..script.plan import ShotPlan, mode, plan
from ..script.script import Script, dumps, take_seed
from ..script.shot_list import chosen
from ..store.project import Project, StoredMemory, Story, output_folder
from ..store.shot_states import kept
from ..store.takes import check_kept_in_script, check_locked, check_locked_gave, check_place
from . import draft as drafts
from . import shot, shot_images
from .going_on import asked as asked_before
from .going_on import check_ids, check_size_of, earlier, last_shot
from .shot import Choice, Models, Settings
from .shot_loras import with_loras
from .shot_record import digest
from .steps import Step, asked, check_images, check_loras, step


class Planned(NamedTuple):
    """A script as the loop makes it."""

    steps: tuple[Step, ...]
    doubts: tuple[str, ...]
    """What is suspicious about the LoRAs of its shots, each said once, for people."""


def loop(
    root: Path,
    *,
    script: Script,
    project: str,
    high_noise_model: Any,
    low_noise_model: Any,
    vae: Any,
    negative_prompt: str,
    length: int,
    seed: int,
    overlap: int,
    clip: Any,
    fps: float,
    crossfade: int,
    keyframes: int,
    memory: MemoryBank | StoredMemory | None = None,
    embedder: Embedder | None = None,
    filter: Filter | None = None,
    start_frames: Tensor | None = None,
    t2v_high_noise_model: Any = None,
    t2v_low_noise_model: Any = None,
    t2v_shift: float = T2V.shift,
    t2v_boundary: float = T2V.boundary,
    memory_edits: str = "",
    only: str = "",
    draft: bool = False,
    draft_steps: int = drafts.STEPS,
    story: Story | None = None,
    **settings: Any,
) -> Planned:
    """Every shot of a script as a step of the loop; all that can be known to be wrong is told here.

    Args:
        root: the host's output folder.
        fps, crossfade: of the film.
        memory_edits: see story_edits; numbers are those of the whole script, behind the shots of `story`.
        only: which of the script's are made, see shot_list; all if blank.
        draft: make the film's draft in its place, in at most `draft_steps` steps.
        story: the story that the script goes on with; it brings its folder, memory and end.
        settings: the fields of `Settings`, the same for every shot.

    Raises:
        StoryMemError: a script, size, model, VAE or memory with which the film cannot be made, an image,
            LoRA or reference that the script names and that is not there, or a project folder in which
            another run works.
    """
    t2v = (t2v_high_noise_model, t2v_low_noise_model)
    if (t2v[0] is None) != (t2v[1] is None):
        raise StoryMemError(
            "a text-to-video first shot needs both experts",
            value=f"only the {'high' if t2v[1] is None else 'low'}-noise one",
            remedy="Connect the other too, or neither.",
        )
    whole, script = script, chosen(script, only)
    settings = drafts.cheaper(settings, draft_steps) if draft else settings
    before = last_shot(story, memory=memory, start_frames=start_frames, draft=draft)
    given, ids = asked_before(story), [planned.id for planned in script.shots]
    check_ids(given, ids)
    bank = as_bank(memory) if story is None or before is None else story.memory(memory_edits).load()
    everywhere = [shot.id for shot in whole.shots]
    ids_of_story = [*(told["shot_id"] for told in given), *everywhere]
    memory_edits = story_edits.for_story(memory_edits, ids_of_story, bank)
    bank = story_edits.seen_by_next(bank, memory_edits, {})
    shots = plan(
        script,
        seed=seed,
        length=length,
        overlap=overlap,
        t2v_first=t2v[0] is not None and before is None,
        references=len(bank.frames),
        start_given=start_frames is not None or before is not None,
    )
    added = [story_edits.added(memory_edits, ids_of_story, id) for id in ids]
    needed = of_shots(script, bank, [keyframes + len(numbers) for numbers in added])
    shots = tuple(
        replace(planned, references=names, added=numbers)
        for planned, names, numbers in zip(shots, needed, added, strict=True)
    )
    if before is not None:
        check_size_of(before, settings["width"], settings["height"])
    elif not shots[0].cut:
        shot_images.first_start(start_frames, overlap)
    film.check_plan(
        earlier(story),
        [(planned.id, planned.frames, planned.dropped) for planned in shots],
        fps=fps,
        crossfade=crossfade,
    )
    choice = Choice(embedder or embedders.default(), filter, keyframes)
    first = {"shift": t2v_shift, "boundary": t2v_boundary} if shots[0].mode == "t2v" else {}
    own = [settings | (first if planned is shots[0] else {}) for planned in shots]

    def models(planned: ShotPlan) -> Models:
        pair = t2v if planned.mode == "t2v" else (high_noise_model, low_noise_model)
        return Models(*pair, vae, clip)

    for planned, widgets in zip(shots, own, strict=True):
        check_images(planned)
        shot.check(planned, models(planned), Settings(**widgets), choice, bank)
    check_loras(shots, models)
    doubts = (
        doubt
        for planned in shots
        for doubt in shot.doubts(
            models(planned), planned, settings["spacing"], sees_memory=_sees_memory(planned, shots, bank)
        )
    )
    folder = output_folder(root, project or script.name) if story is None else Path(story.folder)
    project = drafts.project_name(project or script.name, draft)
    shared = {"project": project, "overlap": overlap, "keyframes": keyframes, "memory_edits": memory_edits}
    steps = [
        step(
            planned, {**widgets, **shared}, negative_prompt,
            first=planned is shots[0], number=len(given) + everywhere.index(planned.id) + 1,
        )
        for planned, widgets in zip(shots, own, strict=True)
    ]  # fmt: skip
    opened = Project.open(folder)
    if draft:  # in a folder that is the story's, though the film may not be begun
        opened = Project.open(output_folder(root, project))
    with opened.locked():  # told now if another run works there, not when the first shot is made
        outline = opened.outline()
        check_kept_in_script(outline, {told["shot_id"] for told in given} | {one.id for one in whole.shots})
        check_locked(
            opened, outline, [planned.id for planned in shots], (settings["width"], settings["height"])
        )
        check_locked_gave(opened, outline, {planned.id: planned.added for planned in shots})
        told = [asked(one) for one in steps]
        opened.outlined(replace(outline, script=dumps(whole), shots=(*given, *told)))
        copies = opened.copies()
    marked = [
        one._replace(kept=kept(outline.of(shot["shot_id"]), shot, copies))
        for one, shot in zip(steps, told, strict=True)
    ]
    return Planned(tuple(marked), tuple(dict.fromkeys(doubts)))


def _sees_memory(planned: ShotPlan, shots: Sequence[ShotPlan], bank: MemoryBank) -> bool:
    """Whether there is memory before a shot, as far as is known before the shots are made."""
    later = planned is not shots[0]
    return planned.mode != "t2v" and (later or bool(seen_by(bank, planned.references).frames))


def add_shot(
    root: Path,
    *,
    high_noise_model: Any,
    low_noise_model: Any,
    clip: Any,
    vae: Any,
    prompt: str,
    negative_prompt: str,
    cut: bool,
    project: str,
    length: int,
    seed: int,
    overlap: int,
    keyframes: int,
    story: Story | None = None,
    memory: MemoryBank | StoredMemory | None = None,
    embedder: Embedder | None = None,
    filter: Filter | None = None,
    start_frames: Tensor | None = None,
    shot_id: str = "",
    scene: int = 1,
    memory_edits: str = "",
    start_image: Tensor | None = None,
    end_image: Tensor | None = None,
    references: str = ALL_REFERENCES,
    lora_strength: float = 1.0,
    extra_lora_high: str = NONE,
    extra_lora_low: str = NONE,
    extra_lora_strength: float = 1.0,
    **settings: Any,
) -> tuple[Story, StoredMemory]:
    """Make the next shot of a story, or find it stored.

    Args:
        root: the host's output folder.
        story: the story so far; None for its first shot, which names the `project` and may bring a memory
            and start frames of its own.
        memory_edits: see story_edits; the shots after this one see what they have done too.
        start_image, end_image: what a cut begins with and a shot ends on: [N, H, W, 3], the first is taken.
        references: names of those that the shot sees, as `references.from_text` reads them.
        lora_strength: of the M2V LoRA, times its loader's.
        extra_lora_high, extra_lora_low: one LoRA more for each expert, by its name in models/loras.
        settings: the fields of `Settings`.

    Returns:
        The story with this shot, and the memory after it: handles, no frames.

    Raises:
        StoryMemError: see `shot.make`; an earlier shot's id; no id, at the place of a locked shot of another
            prompt; another memory or start frames beside a story
            with shots, see `going_on.last_shot`; and another run works in the same folder.
    """
    number = 1 if story is None else len(story.keys) + 1
    by_place = not shot_id
    shot_id = shot_id or f"shot-{number}"
    with at_node(f"StoryMemShot, shot {number} ({shot_id})"):
        opened = Project.open(output_folder(root, project)) if story is None else Project.there(story.folder)
        story = Story(str(opened.folder)) if story is None else story
        own = Settings(**settings)
        told_before = asked_before(story)
        check_ids(told_before, [shot_id])
        # Wired from the same shot as the story, its memory is nothing new.
        same = isinstance(memory, StoredMemory) and story.keys and memory[:4] == story.memory()[:4]
        other = None if same else memory
        before = last_shot(story, memory=other, start_frames=start_frames)
        if before is not None:
            check_size_of(before, own.width, own.height)
        choice = Choice(embedder or embedders.default(), filter, keyframes)
        seen = as_bank(memory) if before is None else story.memory(memory_edits).load()
        if memory_edits:
            seen = story_edits.seen_by_next(seen, memory_edits, opened.given(story.keys))
        outline = opened.outline()
        check_locked(opened, outline, [shot_id], (own.width, own.height))
        if by_place:
            check_place(opened, outline, shot_id, prompt)
        decision = outline.of(shot_id)
        images = shot_images.given(
            before, cut=cut, overlap=overlap, size=(own.width, own.height),
            start_frames=start_frames, start_image=start_image, end_image=end_image,
        )  # fmt: skip
        planned = ShotPlan(
            id=shot_id,
            scene=scene,
            prompt=prompt,
            negative_prompt=negative_prompt,
            mode=_mode(high_noise_model, cut, overlap, start_image, end_image),
            cut=cut,
            seed=take_seed(seed, decision.take),
            frames=length,
            dropped=dropped(cut, overlap),
            take=decision.take,
            references=from_text(references),
            start_image=digest(images.start) if cut else None,
            end_image=digest(images.end),
            lora=from_widgets(extra_lora_high, extra_lora_low, extra_lora_strength),
            lora_strength=lora_strength,
            added=story_edits.added(
                memory_edits, [*(told["shot_id"] for told in told_before), shot_id], shot_id
            ),
        )
        check_locked_gave(opened, outline, {shot_id: planned.added})
        models = with_loras(Models(high_noise_model, low_noise_model, vae, clip), planned)
        with opened.locked():
            follows = None if before is None else before.frames_of
            made, reused = shot.make(opened, planned, models, own, choice, seen, images, decision, follows)
    story = story.added(made.shot.key, reused, made.stale, seen)
    return story, story.memory(memory_edits)


def glimpse(story: Story, frames: int = 4) -> list[np.ndarray]:
    """A few frames of the newest shot, evenly over what the film shows of it: uint8 [H, W, 3] each."""
    newest = Project.there(story.folder).stored(story.keys[-1])
    return [*newest.pick(sorted({round(i) for i in np.linspace(newest.dropped, newest.count - 1, frames)}))]


def told(story: Story) -> str:
    """What there is to say of the newest shot: what is suspicious, its take, whether it was made."""
    newest = Project.there(story.folder).stored(story.keys[-1])
    stale = ", ".join(story.stale[-1])
    made = "frames kept, keyframes selected again" if newest.row.get("frames_of") else "made"
    how = "found stored" if story.reused[-1] else made
    stays = [f"it stays as it is although these changed: {stale}; redo or unlock it in Story Project"]
    doubts = [f"warning: {doubt}" for doubt in newest.row.get("doubts", ())]
    return "\n".join([*doubts, f"{newest.id}: take {newest.take}, {how}", *(stays if stale else ())])


def _mode(model: Any, cut: bool, overlap: int, start_image: Tensor | None, end_image: Tensor | None) -> str:
    if input_channels(model) != T2V_CHANNELS:
        return mode(cut, overlap, start_image is not None)
    for what, value, given in (
        ("continue from the previous shot", "cut off", not cut),
        ("start with an image", "start_image", start_image is not None),
        ("end on an image", "end_image", end_image is not None),
    ):
        if given:
            raise StoryMemError(
                f"a text-to-video model cannot {what}",
                value=value,
                remedy="Connect the image-to-video pair, or make the shot a cut without images.",
            )
    return "t2v"
