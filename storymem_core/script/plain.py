"""Plain text -> a raw story: a shot per paragraph, `---` between scenes, the cast before the first shot."""

from __future__ import annotations

import re
from typing import Any

from .raw import Defects, RawScene, RawStory


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
    entries: list[list[str]] = []
    first_shot, blank = 0, True
    for first_shot, line in enumerate(lines):  # noqa: B007
        text = line.strip()
        if text.startswith("@"):
            entries.append([text])
        elif text and (blank or _DASHES.match(line)):
            break
        elif text:
            entries[-1].append(text)
        blank = not text
    else:
        first_shot = len(lines)
    cast: dict[str, Any] = {}
    for first, *more in entries:
        _refuse_other_forms("\n".join(more), "cast", defects)
        entry = " ".join([first, *more])
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


_STRAY_TAG = r"[\[【［]\s*(?:cut|continue|as\s+written)\s*(?:[,，][^\[\]【】［］]*)?[\]】］]|^\[\s*id\s*[:：]"

# Text pasted from a chat or a document has marks of its own. Taken as words, each would be a shot, a cut or a
# part of a prompt that nobody meant.
_OTHER_FORMS = tuple(
    (re.compile(pattern, re.MULTILINE | re.IGNORECASE), expected)
    for pattern, expected in {
        r"^`": "the script alone, without ``` or words around it",
        r'^(?:\[\s*)?\{|\{\s*"[^"\n]*"\s*:': "JSON alone, without words around it, or plain text",
        r"^#(?!\d)": "# only in the first line, which names the story; a line --- starts a scene",
        r"^(?:[-=_~]{3}|[-‒–—―─━_*=~＿－ ]{2,}$)": "a line --- where a scene starts",
        r"^\*\*": "a prompt without ** before it; a tag such as [continue] comes first",
        r"\A[【［]": "[ ] around a tag, such as [continue], or a prompt without 【 before it",
        r"\A[\W_]+\Z": "words, or a line --- where a scene starts",
        _STRAY_TAG: "one tag at the start of a paragraph, such as [continue, as written]; "
        "an empty line starts a paragraph",
    }.items()
)
"""What does not stand in a prompt, and what is expected there instead."""


def _refuse_other_forms(text: str, place: str, defects: Defects) -> None:
    """Tell of the first mark of another form in some lines, with the line from there on.

    Args:
        text: lines of one paragraph, without space around them.
    """
    for pattern, expected in _OTHER_FORMS:
        if found := pattern.search(text):
            defects.add(place, expected, text[found.start() :].partition("\n")[0])
            return


def _plain_scene(text: str, place: str, defects: Defects) -> RawScene:
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]
    if not paragraphs:
        defects.add(place, "at least one shot", None)
    shots = [_plain_shot(p, f"{place}, shot {n}", defects) for n, p in enumerate(paragraphs, 1)]
    return RawScene({}, shots)


_TAG = re.compile(r"\[(?!\s*\{)([^\]]*)\]?\s*")  # not a list of objects, which is JSON
_TAG_WORD = re.compile(
    r"(?P<cut>cut)|(?P<continue>continue)|(?P<as_written>as written)|id\s*[:：]\s*(?P<id>.*)", re.IGNORECASE
)


def _plain_shot(paragraph: str, place: str, defects: Defects) -> dict[str, Any]:
    lines = "\n".join(line.strip() for line in paragraph.splitlines())
    if _CHARACTER.fullmatch(_joined(lines)):
        defects.add(place, "the cast before the first shot", _joined(lines))
    tag = _TAG.match(lines)
    prompt = lines[tag.end() if tag else 0 :]
    _refuse_other_forms(prompt, place, defects)
    return {"prompt": _joined(prompt), **(_tagged(_joined(tag[1]), place, defects) if tag else {})}


def _tagged(words: str, place: str, defects: Defects) -> dict[str, Any]:
    """The fields of a shot that its tag tells: each word once, in any order."""
    found = [_TAG_WORD.fullmatch(word.strip()) for word in re.split("[,，]", words)]
    told = {word.lastgroup: word["id"] for word in found if word}
    if len(told) < len(found) or {"cut", "continue"} <= told.keys():
        expected = "[cut] or [continue], also with other words, as in [cut, as written, id: harbour]"
        defects.add(f"{place}, cut", expected, words)
    return {"cut": "continue" not in told, "as_written": "as_written" in told, "id": told.get("id")}


def _joined(text: str) -> str:
    """The words of some lines on one line."""
    return " ".join(text.split())
