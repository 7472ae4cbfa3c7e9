"""The three spellings of a script -> one raw story: plain dictionaries that nobody has checked yet.

A reader knows the outer shape only (scenes, parallel lists, paragraphs); what a field may hold is for
`script.parse`. What does not fit goes into the `Defects` that the caller gives, so that all of it is told at
once; only text that is meant to be JSON and is not is an error by itself.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from .errors import StoryMemError

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


class RawScene(NamedTuple):
    fields: dict[str, Any]
    """Of the scene itself."""
    shots: list[Any]
    """A dictionary per shot, if the script is sound."""


class RawStory(NamedTuple):
    fields: dict[str, Any]
    scenes: list[RawScene]


class Defects(list[str]):
    """What is wrong with a script, a line each: where, what is expected, what stands there."""

    def add(self, place: str, expected: str, got: object) -> None:
        self.append(f"{place}: expected {expected}, got {shown(got)}")


def read(text: str, defects: Defects) -> RawStory:
    """Tell the spelling from the text's beginning and read it.

    Raises:
        StoryMemError: the text is meant to be JSON and is not; names the line and column.
    """
    return _read_json(text, defects) if _MEANT_AS_JSON.match(text) else _read_plain(text, defects)


def shown(value: object) -> str:
    """A value as an error message shows it: short, whatever its size."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return "nothing" if value is None else short.repr(value)


def beginning(text: str) -> str:
    """Enough of a script to know which one it is."""
    return text if len(text) <= 60 else f"{text[:60]}..."


# An object, perhaps after JSON5 comments, or a list of objects; "[cut] ..." is plain text.
_MEANT_AS_JSON = re.compile(r"(?:\s|//[^\n]*\n|/\*.*?\*/)*(?:\{|\[\s*\{)", re.DOTALL)


def _read_plain(text: str, defects: Defects) -> RawStory:
    lines = text.strip().splitlines()
    titled = bool(lines) and lines[0].startswith("#")
    fields: dict[str, Any] = {"story_name": lines[0].lstrip("#").strip()} if titled else {}
    cast, lines = _plain_cast(lines[titled:], defects)
    if cast:
        fields["cast"] = cast
    scenes = _DASHES.split("\n".join(lines))
    if len(scenes) > 1 and not scenes[0].strip():  # a line --- before the first shot starts the first scene
        del scenes[0]
    return RawStory(fields, [_plain_scene(scene, f"scene {n}", defects) for n, scene in enumerate(scenes, 1)])


def _plain_cast(lines: list[str], defects: Defects) -> tuple[dict[str, Any], list[str]]:
    """The cast that stands before the first shot, and the lines behind it."""
    entries: list[str] = []
    first_shot, blank = 0, True
    for first_shot, line in enumerate(lines):  # noqa: B007
        text = line.strip()
        if text.startswith("@"):
            entries.append(text)
        elif text and (blank or _DASHES.match(line)):
            break
        elif text:
            entries[-1] += f" {text}"
        blank = not text
    else:
        first_shot = len(lines)
    cast: dict[str, Any] = {}
    for entry in entries:
        told = _CHARACTER.fullmatch(entry)
        if not told:
            defects.add("cast", "@Name: description, or @Name [reference, ...]: description", entry)
        elif told["name"] in cast:
            defects.add("cast", "each name once", told["name"])
        else:
            cast[told["name"]] = {"description": told["description"]}
            if told["references"] is not None:
                names = [name.strip() for name in told["references"].split(",")]
                cast[told["name"]]["references"] = names
    return cast, lines[first_shot:]


_DASHES = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)
_CHARACTER = re.compile(
    r"@\s*(?P<name>[^:：\[\]]+?)\s*(?:\[(?P<references>[^\]]*)\]\s*)?[:：]\s*(?P<description>\S.*)"
)


def _plain_scene(text: str, place: str, defects: Defects) -> RawScene:
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text) if p.strip()]
    if not paragraphs:
        defects.add(place, "at least one shot", None)
    shots = []
    for number, paragraph in enumerate(paragraphs, 1):
        if _CHARACTER.fullmatch(paragraph):
            defects.add(f"{place}, shot {number}", "the cast before the first shot", paragraph)
        tag = re.match(r"\[([^\]]*)\]?\s*", paragraph)
        told = [word.strip().lower() for word in tag[1].split(",")] if tag else []
        as_written = told[-1:] == ["as written"]
        if (told[:-1] if as_written else told) not in ([], ["cut"], ["continue"]):
            defects.add(f"{place}, shot {number}, cut", "[cut] or [continue]", ", ".join(told))
        shot = {"prompt": paragraph[tag.end() if tag else 0 :], "cut": "continue" not in told}
        shots.append({**shot, "as_written": True} if as_written else shot)
    return RawScene({}, shots)


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
            raise StoryMemError("a script gives one field twice", value=name, remedy="Keep one of the two.")
        fields[name] = value
    return fields


def _not_json(text: str, problem: str) -> NoReturn:
    raise StoryMemError(
        f"the script begins like JSON and cannot be read as JSON or JSON5: {problem}",
        value=beginning(text),
        remedy="Correct it there, or write plain text: a shot per paragraph.",
    ) from None
