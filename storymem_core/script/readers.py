"""The three spellings of a script -> one raw story: plain dictionaries that nobody has checked yet.

A reader knows the outer shape only (scenes, parallel lists; paragraphs are for `plain`); what a field
may hold is for `script.parse`. What does not fit goes into the `Defects` that the caller gives, so that all
of it is told at once; only text that is meant to be JSON and is not is an error by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import StoryMemError
from .plain import read_plain
from .raw import Defects, RawScene, RawStory, beginning

LISTS = {
    "prompt": "video_prompts",
    "first_frame_prompt": "first_frame_prompt",
    "cut": "cut",
    "id": "id",
    "length": "length",
    "seed": "seed",
    "negative_prompt": "negative_prompt",
    "as_written": "as_written",
    "references": "references",
    "start_image": "start_image",
    "end_image": "end_image",
    "lora": "lora",
    "lora_strength": "lora_strength",
}
"""A shot's field -> the parallel list of its scene that holds it."""


def read(text: str, defects: Defects) -> RawStory:
    """Tell the spelling from the text's beginning and read it; one code fence around all of it is left aside.

    Raises:
        StoryMemError: the text is meant to be JSON and is not; names the line and column.
    """
    text = _unfenced(text)
    return _read_json(text, defects) if _MEANT_AS_JSON.match(text) else read_plain(text, defects)


def _unfenced(text: str) -> str:
    """The text inside a code fence around all of it, each line where it was; else the text itself."""
    fenced = _FENCED.fullmatch(text)
    if fenced is None or _FENCE.search(fenced["inside"]):
        return text
    return "\n" * text.count("\n", 0, fenced.start("inside")) + fenced["inside"]


_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_FENCED = re.compile(r"\s*```[\w+.-]*[ \t]*\r?\n(?P<inside>.*)\n[ \t]*```\s*", re.DOTALL)

# An object, perhaps after JSON5 comments, or a list of objects; "[cut] ..." is plain text.
_MEANT_AS_JSON = re.compile(r"(?:\s|//[^\n]*\n|/\*.*?\*/)*(?:\{|\[\s*\{)", re.DOTALL)


def _read_json(text: str, defects: Defects) -> RawStory:
    document = _load(text)
    if not isinstance(document, dict):
        defects.add("story", "an object that lists scenes", document)
        return RawStory({}, [])
    fields = dict(document)
    scenes = _take_list(fields, "scenes", "story", defects)
    return RawStory(fields, [_json_scene(scene, f"scene {n}", defects) for n, scene in enumerate(scenes, 1)])


def _json_scene(scene: object, place: str, defects: Defects) -> RawScene:
    if not isinstance(scene, dict):
        defects.add(place, "an object with video_prompts or shots", scene)
        return RawScene({}, [])
    fields = dict(scene)
    if "shots" not in fields:
        return RawScene(fields, _transpose(fields, place, defects))
    for column in LISTS.values():
        if column in fields:
            defects.add(f"{place}, {column}", "this inside each of the scene's shots", fields.pop(column))
    return RawScene(fields, _take_list(fields, "shots", place, defects))


def _transpose(fields: dict[str, Any], place: str, defects: Defects) -> list[dict[str, Any]]:
    """Take a scene's parallel lists and give a dictionary per shot."""
    prompts = _take_list(fields, "video_prompts", place, defects)
    columns = {"prompt": prompts}
    for name, column in LISTS.items():
        entries = fields.pop(column, None)
        if isinstance(entries, list) and len(entries) == len(prompts):
            columns[name] = entries
        elif isinstance(entries, list) and prompts:
            defects.add(f"{place}, {column}", f"{len(prompts)} entries, as video_prompts has", len(entries))
        elif entries is not None and prompts:
            defects.add(f"{place}, {column}", "a list with one entry per shot", entries)
    return [{name: column[i] for name, column in columns.items()} for i in range(len(prompts))]


def _take_list(fields: dict[str, Any], name: str, place: str, defects: Defects) -> list[Any]:
    value = fields.pop(name, None)
    if isinstance(value, list) and value:
        return value
    defects.add(f"{place}, {name}", "a list with at least one entry", value)
    return []


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        return _load_json5(text, f"{error.msg}, line {error.lineno}, column {error.colno}")
    except StoryMemError:
        raise
    except (RecursionError, ValueError) as error:
        _not_json(text, str(error))


def _load_json5(text: str, strict_problem: str) -> Any:
    try:
        import json5  # only here: strict JSON and plain text need the standard library alone
    except ImportError:
        _not_json(text, f"{strict_problem} (JSON5 is read when the package json5 is installed)")
    try:
        return json5.loads(text, object_pairs_hook=_unique)
    except StoryMemError:
        raise
    except (RecursionError, ValueError) as error:
        place = re.match(r"<string>:(\d+) (.*) at column (\d+)", str(error), re.DOTALL)
        _not_json(text, f"{place[2]}, line {place[1]}, column {place[3]}" if place else str(error))


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise StoryMemError(
                "the script contains this field twice", value=name, remedy="Keep one of the two."
            )
        fields[name] = value
    return fields


def _not_json(text: str, problem: str) -> NoReturn:
    raise StoryMemError(
        f"the script starts like JSON but cannot be read as JSON or JSON5: {problem}",
        value=beginning(text),
        remedy="Correct it there, or write plain text with one shot per paragraph.",
    ) from None
