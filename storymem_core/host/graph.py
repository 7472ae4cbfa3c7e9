"""The graph of a run, to be saved in the files that it makes: the page opens it from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy.cli_args import args


def to_save(prompt: Mapping[str, Any] | None, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the host's own Save Image and Save Video write into a file, by name.

    Args:
        prompt: the hidden input of that name: the graph in the API's format, by node.
        extra_pnginfo: the hidden input of that name: the page sends its graph in it as "workflow".

    Returns:
        `extra_pnginfo` and "prompt", as far as there are any; nothing if the host runs with
        --disable-metadata.
    """
    if args.disable_metadata:
        return {}
    sent = dict(extra_pnginfo or {})
    return {**sent, "prompt": {id: _as_queued(node) for id, node in prompt.items()}} if prompt else sent


def _as_queued(node: Mapping[str, Any]) -> dict[str, Any]:
    # The host notes fingerprints in the prompt as it runs. They may be NaN, or differ from run to run.
    return {name: value for name, value in node.items() if name != "is_changed"}
