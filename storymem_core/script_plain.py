"""Plain text -> a raw story: a shot per paragraph, `---` between scenes, the cast before the first shot."""

from __future__ import annotations

import re
from typing import Any

from .script_raw import Defects, RawScene, RawStory


def read_plain(text: str, defects: Defects) -> RawStory:
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
