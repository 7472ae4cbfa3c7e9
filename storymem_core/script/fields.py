"""What a field of a script may hold: expected in words, and as a test; what does not fit is a defect."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..frames.counts import is_length
from ..lora import extra_lora
from .raw import Defects, shown

MAX_SEED = 2**64 - 1
"""The host's largest seed."""

MAX_DEPTH = 32
"""How deep lists and objects may be nested in an unknown field."""


def _is_text(value: object) -> bool:
    """Whether `value` is a string that can be written as UTF-8 (JSON can spell half a surrogate pair)."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _is_seed(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEED


def _is_cut(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _are_names(value: object) -> bool:
    """Whether `value` is a list of names: none twice, blank, or with a comma, by which nodes part them."""
    if not isinstance(value, list) or not all(map(_is_text, value)):
        return False
    return len(set(value)) == len(value) and all(v == v.strip() and v and "," not in v for v in value)


RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
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
    "as_written": ("true or false", lambda v: v is None or isinstance(v, bool)),
    "cast": ("an object of names with a description each", lambda v: isinstance(v, dict)),
    "name": (
        "1 to 64 characters, the first and the last a letter or digit, none of : [ ] @ between",
        lambda v: _is_text(v) and bool(re.fullmatch(r"\w(?:[^\n:：\[\]@]{0,62}\w)?", v)),
    ),
    "description": ("text that is not blank", lambda v: _is_text(v) and bool(v.strip())),
    "references": ("a list of names without commas, each once", lambda v: v is None or _are_names(v)),
    "start_image": ("the name of an image file", lambda v: v is None or (_is_text(v) and bool(v.strip()))),
    "end_image": ("the name of an image file", lambda v: v is None or (_is_text(v) and bool(v.strip()))),
    "lora": (
        "the name of a LoRA file, or {high, low, strength} with at least one file",
        lambda v: v is None or extra_lora.read(v) is not None,
    ),
    "lora_strength": ("a number from -10 to 10", lambda v: v is None or extra_lora.is_strength(v)),
}
"""Field -> what is expected, in words and as a test. None: not given."""


def take_field(fields: dict[str, Any], name: str, default: Any, place: str, defects: Defects) -> Any:
    """Take one field out of `fields`; a value that does not fit is a defect, and `default` stands in."""
    value = fields.pop(name, default)
    expected, fits = RULES[name]
    if fits(value):
        return value
    defects.add(f"{place}, {name}", expected, value)
    return default


def other_fields(fields: dict[str, Any], place: str, defects: Defects) -> dict[str, Any]:
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
