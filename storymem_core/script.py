"""Story scripts: text in, a frozen `Script` out, and back again.

Three spellings are read:

* **ST-Bench JSON** (StoryMem, arXiv 2512.19539): `{story_name, story_overview, scenes: [{scene_num,
  video_prompts[], first_frame_prompt[], cut[]}]}`, parallel lists with one entry per shot. Lists `id`,
  `length`, `seed` and `negative_prompt` may stand beside them (null: not given), or a scene may list
  `shots: [{prompt, cut, ...}]` instead. A cut is a boolean or the string "True" or "False"; a shot without
  one is a cut. Unknown fields of the story, of a scene and of a shot are kept.
* **JSON5**: the same, written by hand.
* **Plain text**: a shot per paragraph (its lines are joined); a line `---` starts a new scene; a paragraph
  may start with `[cut]` (the default) or `[continue]`; a first line `# Title` names the story.

Nothing is repaired in silence: whatever does not fit is a defect, and all defects are told at once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import StoryMemError
from .frames import is_length
from .script_readers import LISTS, Defects, RawStory, beginning, read, shown

UNTITLED = "story"
"""The name of a story that gives none."""

MAX_SEED = 2**64 - 1
"""The host's largest seed."""

MAX_DEPTH = 32
"""How deep lists and objects may be nested in an unknown field."""


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
            "this script cannot be told:\n" + "".join(f"  {defect}\n" for defect in defects),
            value=beginning(text),
            remedy="Correct each of these lines; nothing is guessed.",
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
    story = {"story_name": script.name, "story_overview": script.overview, **script.extra, "scenes": scenes}
    return json.dumps(story, ensure_ascii=False, indent=2, allow_nan=False)


def shot_seed(story_seed: int, shot_id: str) -> int:
    """The seed of a shot that has none of its own, 0 .. 2**63 - 1.

    It comes from the story's seed and the shot's id alone, so inserting or moving shots changes no other
    shot's noise, and no two shots of a story share theirs.
    """
    return int.from_bytes(_sha256(f"{story_seed}\n{shot_id}").digest()[:8], "big") >> 1


# --- what a field may hold ----------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    """Whether `value` is a string that can be written as UTF-8 (JSON can spell half a surrogate pair)."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _is_seed(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEED


def _is_cut(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


_RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "story_name": ("text that is not blank", lambda v: _is_text(v) and bool(v.strip())),
    "story_overview": ("text", _is_text),
    "scene_num": ("a whole number", lambda v: type(v) is int),
    "prompt": ("text that is not blank", lambda v: _is_text(v) and bool(v.strip())),
    "cut": ("true or false", _is_cut),
    "id": (
        "1 to 64 letters, digits and . _ -",
        lambda v: v is None or (isinstance(v, str) and bool(re.fullmatch(r"\w[\w.-]{0,63}", v))),
    ),
    "seed": ("a whole number from 0 to 2**64 - 1", lambda v: v is None or _is_seed(v)),
    "length": ("a whole number of frames 4k+1, such as 77 or 81", lambda v: v is None or is_length(v)),
    "negative_prompt": ("text", lambda v: v is None or _is_text(v)),
    "first_frame_prompt": ("text", lambda v: v is None or _is_text(v)),
}
"""Field -> what is expected, in words and as a test. None: not given."""


def _take(fields: dict[str, Any], name: str, default: Any, place: str, defects: Defects) -> Any:
    """Take one field out of `fields`; a value that does not fit is a defect, and `default` stands in."""
    value = fields.pop(name, default)
    expected, fits = _RULES[name]
    if fits(value):
        return value
    defects.add(f"{place}, {name}", expected, value)
    return default


def _kept(fields: dict[str, Any], place: str, defects: Defects) -> dict[str, Any]:
    """The unknown fields, once it is sure that they can be written again as they are."""
    for name, value in fields.items():
        if problem := _unwritable([name, value]):
            defects.add(f"{place}, {shown(name)}", *problem)
    return fields


def _unwritable(value: Any, depth: int = 0) -> tuple[str, object] | None:
    """What JSON cannot write and read again the same: (expected, found); None if it can write all."""
    if depth > MAX_DEPTH:
        return f"lists and objects at most {MAX_DEPTH} deep", value
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number", value
    if isinstance(value, str) and not _is_text(value):
        return "text that UTF-8 can write", value
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return next(filter(None, (_unwritable(item, depth + 1) for item in inner)), None)


# --- raw story <-> script -----------------------------------------------------------------------------


def _build(story: RawStory, defects: Defects) -> Script:
    name = _take(story.fields, "story_name", UNTITLED, "story", defects)
    overview = _take(story.fields, "story_overview", "", "story", defects)
    extra = _kept(story.fields, "story", defects)
    scene_extra: dict[int, Mapping[str, Any]] = {}
    shots: list[Shot] = []
    claimed: dict[str, str] = {}
    for number, scene in enumerate(story.scenes, 1):
        own_number = _take(scene.fields, "scene_num", number, f"scene {number}", defects)
        kept = _kept(scene.fields, f"scene {number}", defects)
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
    return Script(name, overview, tuple(shots), extra, scene_extra)


def _shot(raw: Any, scene: int, place: str, defects: Defects) -> Shot:
    """One shot; its id is empty if it has none of its own."""
    if not isinstance(raw, dict):
        defects.add(place, "an object with a prompt", raw)
        return Shot("", "", scene)
    fields = dict(raw)

    def take(name: str, default: Any = None) -> Any:
        return _take(fields, name, default, place, defects)

    first_frame = take("first_frame_prompt")
    known = {"first_frame_prompt": first_frame} if first_frame is not None else {}
    return Shot(
        prompt=take("prompt") or "",
        cut=str(take("cut", True)).lower() == "true",
        id=take("id") or "",
        length=take("length"),
        seed=take("seed"),
        negative_prompt=take("negative_prompt"),
        scene=scene,
        extra=known | _kept(fields, place, defects),
    )


def _row(shot: Shot, own_id: str) -> dict[str, Any]:
    """A shot as an entry of `shots`, without what it leaves to the story."""
    optional = {
        "id": own_id or None,
        "length": shot.length,
        "seed": shot.seed,
        "negative_prompt": shot.negative_prompt,
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
