"""Story scripts: text in, a frozen `Script` out, and back again.

Three spellings are read:

* **ST-Bench JSON** (StoryMem, arXiv 2512.19539): `{story_name, story_overview, scenes: [{scene_num,
  video_prompts[], first_frame_prompt[], cut[]}]}`, parallel lists with one entry per shot. Lists `id`,
  `length`, `seed` and `negative_prompt` may stand beside them (null: not given), or a scene may list
  `shots: [{prompt, cut, ...}]` instead. A cut is a boolean or the string "True" or "False"; a shot without
  one is a cut. Likewise `references` (names of reference images that the shot sees, all without it),
  `start_image` and `end_image` (files of the host's input folder), `lora` (one LoRA more: a file for both
  experts, or `{high, low, strength}`) and `lora_strength` (of the M2V LoRA, times what its loader says).
  Unknown fields of the story, of a scene and of a shot are kept. `cast: {name: {description,
  references[]}}` tells who is in the story (see `cast`); a shot with `as_written` true leaves it aside.
* **JSON5**: the same, written by hand.
* **Plain text**: a shot per paragraph (its lines are joined); a line `---` starts a new scene; a paragraph
  may start with `[cut]` (the default) or `[continue]`, also with `[continue, as written]` and with an id of
  its own, `[cut, id: harbour]`; a first line `# Title` names the story. Before the first shot a line
  `@Name: description` adds to the cast, or `@Name [reference, reference]: description`; lines below that
  begin otherwise go on with it.

A code fence around the whole script is left aside. Nothing else is repaired in silence: whatever does not fit
is a defect, and all defects are told at once. In plain text these are also marks of another form (headings,
bold labels, JSON behind words, a tag within a paragraph), which would else become shots and prompts.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import StoryMemError
from ..lora import extra_lora
from .cast import Character, described
from .fields import MAX_SEED as MAX_SEED
from .fields import other_fields, take_field
from .raw import Defects, RawStory, beginning, shown
from .readers import LISTS, read

UNTITLED = "story"
"""The name of a story that gives none."""


@dataclass(frozen=True)
class Shot:
    """One shot: what is seen, and how it joins the shot before."""

    id: str
    """The script's own, else made from the prompt and its count among equal prompts; unique."""
    prompt: str
    scene: int
    """1-based, in the order of the script."""
    cut: bool = True
    """False: the shot goes on from the last frames of the shot before."""
    seed: int | None = None
    """0 .. MAX_SEED; None: from the story's seed and the id, see `shot_seed`."""
    length: int | None = None
    """Frames, 4k+1; None: the story's."""
    negative_prompt: str | None = None
    """None: the story's."""
    as_written: bool = False
    """True: the prompt is taken as it stands, whomever of the cast it names."""
    references: tuple[str, ...] | None = None
    """Names of the reference images that the shot sees; None: the cast's, or all."""
    start_image: str | None = None
    """File that a cut begins with; None: it begins as the model likes."""
    end_image: str | None = None
    """File that the shot ends on."""
    lora: extra_lora.ExtraLora | None = None
    lora_strength: float | None = None
    """Of the M2V LoRA, times its loader's; None: 1."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other field of the shot, `first_frame_prompt` among them."""


@dataclass(frozen=True)
class Script:
    """A story in shots, as `parse` gives it: at least one shot, ids unique, scenes counted from 1."""

    name: str
    overview: str
    shots: tuple[Shot, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other field of the story."""
    scene_extra: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Scene -> every other field of that scene; a scene that has none is left out."""
    cast: Mapping[str, Character] = field(default_factory=dict)
    """Name -> who it is."""


def parse(text: str) -> Script:
    """Read a script in any of the three spellings.

    Raises:
        StoryMemError: names every defect with its scene, shot and field; for broken JSON its line and column.
    """
    if not isinstance(text, str):
        raise StoryMemError("a script must be text", value=type(text).__name__, remedy="Give its text.")
    defects = Defects()
    script = _build(read(text.removeprefix("\ufeff"), defects), defects)
    if defects:
        raise StoryMemError(
            "this script has errors:\n" + "".join(f"  {defect}\n" for defect in defects),
            value=beginning(text),
            remedy="Correct each of them; nothing is guessed.",
        )
    return script


def dumps(script: Script) -> str:
    """The script as ST-Bench JSON: `parse(dumps(script)) == script`.

    Made ids are left out, since `parse` makes the same again. A scene becomes parallel lists, unless one of
    its shots has a field for which they have no room; then it lists `shots`.
    """
    own_ids = _ids_to_write(script.shots)
    rows = [(shot.scene, _row(shot, own_id)) for shot, own_id in zip(script.shots, own_ids, strict=True)]
    scenes = [
        {"scene_num": scene, **script.scene_extra.get(scene, {}), **_columns([row for _, row in numbered])}
        for scene, numbered in itertools.groupby(rows, key=lambda row: row[0])
    ]
    cast = {name: _told(character) for name, character in script.cast.items()}
    story = {
        "story_name": script.name,
        "story_overview": script.overview,
        **({"cast": cast} if cast else {}),
        **script.extra,
        "scenes": scenes,
    }
    return json.dumps(story, ensure_ascii=False, indent=2, allow_nan=False)


def full_prompt(script: Script, shot: Shot) -> str:
    """What the model is told of a shot: its prompt with the looks of the cast, unless it is `as_written`."""
    return shot.prompt if shot.as_written else described(shot.prompt, script.cast)


def shot_seed(story_seed: int, shot_id: str) -> int:
    """The seed of a shot that has none of its own, 0 .. 2**63 - 1.

    It comes from the story's seed and the shot's id alone, so inserting or moving shots changes no other
    shot's noise, and no two shots of a story share theirs.
    """
    return int.from_bytes(_sha256(f"{story_seed}\n{shot_id}").digest()[:8], "big") >> 1


def take_seed(seed: int, take: int) -> int:
    """The seed of a shot's take: its own for take 1, for each other one that follows from both.

    Args:
        take: from 1.
    """
    return seed if take == 1 else shot_seed(seed, f"take {take}")


# --- raw story <-> script -----------------------------------------------------------------------------


def _build(story: RawStory, defects: Defects) -> Script:
    name = take_field(story.fields, "story_name", UNTITLED, "story", defects)
    overview = take_field(story.fields, "story_overview", "", "story", defects)
    cast = _cast(take_field(story.fields, "cast", {}, "story", defects), defects)
    extra = other_fields(story.fields, "story", defects)
    scene_extra: dict[int, Mapping[str, Any]] = {}
    shots: list[Shot] = []
    claimed: dict[str, str] = {}
    for number, scene in enumerate(story.scenes, 1):
        own_number = take_field(scene.fields, "scene_num", number, f"scene {number}", defects)
        kept = other_fields(scene.fields, f"scene {number}", defects)
        if own_number != number:
            kept["scene_num"] = own_number
        if kept:
            scene_extra[number] = kept
        for count, raw in enumerate(scene.shots, 1):
            place = f"scene {number}, shot {count}"
            shot = _shot(raw, number, place, defects)
            if shot.id in claimed:
                defects.add(f"{place}, id", f"another id than {claimed[shot.id]} has", shot.id)
            elif shot.id:
                claimed[shot.id] = place
            shots.append(shot)
    ids = _ids([shot.prompt for shot in shots], [shot.id for shot in shots])
    shots = [replace(shot, id=shot_id) for shot, shot_id in zip(shots, ids, strict=True)]
    return Script(name, overview, tuple(shots), extra, scene_extra, cast)


def _cast(raw: Mapping[str, Any], defects: Defects) -> dict[str, Character]:
    cast = {}
    for name, told in raw.items():
        place = f"cast, {shown(name)}"
        take_field({"name": name}, "name", "", place, defects)
        if not isinstance(told, dict):
            defects.add(place, "an object with a description", told)
            continue
        fields = dict(told)
        description = take_field(fields, "description", "", place, defects)
        references = take_field(fields, "references", [], place, defects)
        cast[name] = Character(description, tuple(references or ()), other_fields(fields, place, defects))
    return cast


def _told(character: Character) -> dict[str, Any]:
    references = {"references": list(character.references)} if character.references else {}
    return {"description": character.description, **references, **character.extra}


def _shot(raw: Any, scene: int, place: str, defects: Defects) -> Shot:
    """One shot; its id is empty if it has none of its own."""
    if not isinstance(raw, dict):
        defects.add(place, "an object with a prompt", raw)
        return Shot("", "", scene)
    fields = dict(raw)

    def take(name: str, default: Any = None) -> Any:
        return take_field(fields, name, default, place, defects)

    first_frame, cut = take("first_frame_prompt"), str(take("cut", True)).lower() == "true"
    references, start, lora = take("references"), take("start_image"), take("lora")
    if start is not None and not cut:
        defects.add(f"{place}, start_image", "none, since the shot continues from the previous one", start)
    known = {"first_frame_prompt": first_frame} if first_frame is not None else {}
    return Shot(
        prompt=take("prompt") or "",
        cut=cut,
        id=take("id") or "",
        length=take("length"),
        seed=take("seed"),
        negative_prompt=take("negative_prompt"),
        as_written=bool(take("as_written")),
        references=None if references is None else tuple(references),
        start_image=start,
        end_image=take("end_image"),
        lora=extra_lora.read(lora),
        lora_strength=take("lora_strength"),
        scene=scene,
        extra=known | other_fields(fields, place, defects),
    )


def _row(shot: Shot, own_id: str) -> dict[str, Any]:
    """A shot as an entry of `shots`, without what it leaves to the story."""
    optional = {
        "id": own_id or None,
        "length": shot.length,
        "seed": shot.seed,
        "negative_prompt": shot.negative_prompt,
        "as_written": shot.as_written or None,
        "references": None if shot.references is None else list(shot.references),
        "start_image": shot.start_image,
        "end_image": shot.end_image,
        "lora": None if shot.lora is None else extra_lora.write(shot.lora),
        "lora_strength": shot.lora_strength,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return {"prompt": shot.prompt, "cut": shot.cut, **given, **shot.extra}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Parallel lists for the rows of one scene, or `shots` where a row has more fields than they hold."""
    names = {name for row in rows for name in row}
    if names <= LISTS.keys():
        return {LISTS[name]: [row.get(name) for row in rows] for name in LISTS if name in names}
    return {"shots": list(rows)}


# --- ids ----------------------------------------------------------------------------------------------


def _ids(prompts: Sequence[str], own: Sequence[str]) -> list[str]:
    """Each shot's own id, or one made from its prompt and the prompt's count so far among equals."""
    taken = {shot_id for shot_id in own if shot_id}
    count: Counter[str] = Counter()
    ids = []
    for prompt, shot_id in zip(prompts, own, strict=True):
        count[prompt] += 1
        ids.append(shot_id or _made_id(prompt, count[prompt], taken))
        taken.add(ids[-1])
    return ids


def _made_id(prompt: str, count: int, taken: set[str]) -> str:
    def made(attempt: int) -> str:
        return f"shot-{_sha256(f'{count} {attempt} {prompt}').hexdigest()[:12]}"

    return next(candidate for candidate in map(made, itertools.count()) if candidate not in taken)


def _ids_to_write(shots: Sequence[Shot]) -> list[str]:
    """The ids that `_ids` would not make again by itself; the others are empty."""
    prompts, ids = [shot.prompt for shot in shots], [shot.id for shot in shots]
    made = _ids(prompts, [""] * len(shots))
    own = ["" if shot_id == again else shot_id for shot_id, again in zip(ids, made, strict=True)]
    # Two prompts may hash alike; then leaving out one id can change another, and all are written.
    return own if _ids(prompts, own) == ids else ids


def _sha256(text: str) -> Any:
    return hashlib.sha256(text.encode())
