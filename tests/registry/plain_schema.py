"""ComfyUI's /object_info in the words that comfy-lint 0.1 knows.

It reads inputs as the first API had them. Three kinds of the present one would look like errors: inputs that
grow, inputs that belong to a choice, and inputs that take one of several types. The server takes each as
plain inputs, by names that are told here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ANY = "*"
AUTOGROW, DYNAMIC_COMBO = "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"

Spec = list[Any]
"""[type, options], as /object_info has an input."""
Named = tuple[str, Spec, bool]
"""An input's name in an API graph, its spec, and whether a graph must have it."""


def plain(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The same nodes with plain inputs."""
    return {name: {**node, "input": _inputs(node["input"])} for name, node in object_info.items()}


def _inputs(sections: Mapping[str, Mapping[str, Spec]]) -> dict[str, dict[str, Spec]]:
    found: dict[str, dict[str, Spec]] = {"required": {}, "optional": {}}
    for section, specs in sections.items():
        for name, spec in (specs or {}).items():
            for plain_name, plain_spec, needed in _plain(name, spec, section == "required"):
                found["required" if needed else "optional"][plain_name] = plain_spec
    return found


def _plain(name: str, spec: Spec, needed: bool) -> Iterator[Named]:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if kind == AUTOGROW:
        yield from _grown(name, options["template"], needed)
    elif kind == DYNAMIC_COMBO:
        yield name, ["COMBO", {"options": [option["key"] for option in options["options"]]}], needed
        for option in options["options"]:
            for specs in option["inputs"].values():
                for below, below_spec in specs.items():
                    yield from _plain(f"{name}.{below}", below_spec, False)
    else:
        yield name, [ANY if isinstance(kind, str) and "," in kind else kind, options], needed


def _grown(name: str, template: Mapping[str, Any], needed: bool) -> Iterator[Named]:
    [spec] = [spec for specs in template["input"].values() for spec in specs.values()]
    names = template.get("names") or [f"{template['prefix']}{i}" for i in range(template["max"])]
    for number, slot in enumerate(names):
        yield f"{name}.{slot}", spec, needed and number < template["min"]
