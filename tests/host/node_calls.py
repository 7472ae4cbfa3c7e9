"""Calls of the pack's nodes as the host makes them: a locked clone of the class and nested inputs.

Every call also checks that the node left its inputs as they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import folder_paths
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import CLIP, VAE
from comfy_api.latest import _io, io
from comfy_execution.graph import DynamicPrompt
from execution import _async_map_node_over_list, get_input_data
from PIL import Image
from torch import Tensor

import nodes

PACK = str(Path(__file__).resolve().parents[2]).replace(".", "_x_")
"""The module name under which the host loads the pack."""

SIZE = {"width": 32, "height": 32, "length": 5}
SMALL: dict[str, Any] = {**SIZE, "steps": 2, "cfg_high": 1.0, "cfg_low": 2.0, "sampler_name": "euler"}
"""Widgets of a shot that takes a second."""


class Result(NamedTuple):
    """What a node gave."""

    values: tuple[Any, ...]
    ui: dict[str, Any]
    expand: dict[str, Any] | None

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]


class Pixels:
    """An embedder that costs nothing: what a frame looks like on eight by eight pixels."""

    name, threshold = "pixels", 0.98

    def __call__(self, frames: Tensor) -> Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(frames.movedim(-1, 1), 8).flatten(1) - 0.5
        return torch.nn.functional.normalize(small, dim=1)


def images(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
    """A sharp picture of its own for each frame: [count, *size, 3]."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size, mode="nearest").movedim(1, -1)


def prompts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Positive and negative conditioning of two texts."""
    texts = {"positive": "a red fox", "negative": "fog"}
    with torch.inference_mode():
        return {name: nodes.CLIPTextEncode().encode(parts["clip"], text)[0] for name, text in texts.items()}


def bank_of(*references: Tensor, **widgets: Any) -> Result:
    """The Memory Bank node with these references."""
    wired = {f"references.reference_{i}": batch for i, batch in enumerate(references)}
    return call("StoryMemMemoryBank", **wired, **{"embedder": Pixels(), **widgets})


def shown(result: Result) -> list[np.ndarray]:
    """The pictures that a node shows, each [H, W, 3]."""
    folder = Path(folder_paths.get_temp_directory())
    return [np.asarray(Image.open(folder / image["filename"])) for image in result.ui["images"]]


def call(
    node_id: str,
    links: Mapping[str, list[Any]] | None = None,
    hidden: Mapping[io.Hidden, Any] | None = None,
    **inputs: Any,
) -> Result:
    """Run a node of the pack; widgets that are not given have their defaults.

    Args:
        links: each of its inputs that is wired -> [node, slot], where the node asks for its own prompt.
        hidden: other hidden inputs than a dynprompt of this node alone and its id.
    """
    cls = nodes.NODE_CLASS_MAPPINGS[node_id]
    inputs = defaults(node_id) | inputs
    _, _, v3_data = _io.get_finalized_class_inputs(cls.INPUT_TYPES(), inputs)
    prompt = {"1": {"class_type": node_id, "inputs": {**inputs, **(links or {})}}}
    alone = {io.Hidden.dynprompt: DynamicPrompt(prompt), io.Hidden.unique_id: "1"}
    v3_data["hidden_inputs"] = {**alone, **(hidden or {})}
    wrapped = {name: [value] for name, value in inputs.items()}
    before = told(inputs)
    with torch.inference_mode():
        (out,) = asyncio.run(
            _async_map_node_over_list("prompt", "1", cls(), wrapped, cls.FUNCTION, v3_data=v3_data)
        )
    assert told(inputs) == before, "the node changed an input in place"
    ui = out.ui if isinstance(out.ui, dict) else out.ui.as_dict() if out.ui is not None else {}
    return Result(out.result or (), ui, out.expand)


def hidden_of_expanded(node_id: str, prompt: Mapping[str, Any], extra_data: Mapping[str, Any]) -> Any:
    """The hidden inputs that the host gives to a node that node "9" of a prompt has expanded to."""
    whole = DynamicPrompt(prompt)
    whole.add_ephemeral_node("9.0.0.1", {"class_type": node_id, "inputs": {}}, "9", "9")
    cls = nodes.NODE_CLASS_MAPPINGS[node_id]
    return get_input_data({}, cls, "9.0.0.1", None, whole, extra_data)[2]["hidden_inputs"]


def core(module: str) -> ModuleType:
    """A module of storymem_core as the loaded pack has it: its classes are not those of a plain import."""
    return importlib.import_module(f"{PACK}.storymem_core.{module}")


def told(value: Any) -> Any:
    """A value of the graph as something to compare: whatever a node could change in place."""
    if isinstance(value, Tensor):
        return tuple(value.shape), hashlib.sha256(value.detach().cpu().float().numpy().tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return {key: told(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [told(entry) for entry in value]
    if isinstance(value, (CLIP, VAE)):
        kinds = (int, str, dict, ModelPatcher)
        return {name: told(entry) for name, entry in vars(value).items() if isinstance(entry, kinds)}
    if isinstance(value, ModelPatcher):
        hooked = (value.patches, value.object_patches, value.wrappers, value.callbacks, value.injections)
        return told([value.model_options, *hooked]), value.patches_uuid
    return value if isinstance(value, (str, int, float, bool, type(None))) else id(value)


def defaults(node_id: str) -> dict[str, Any]:
    """Each widget's default, as the page sends it."""
    found = {}
    for name, (kind, options) in declared(node_id).items():
        if "default" in options:
            found[name] = options["default"]
        elif kind == "COMBO" and options["options"]:
            found[name] = options["options"][0]
    return found


def declared(node_id: str) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Each input of a node as the page is told of it: (type, options)."""
    inputs = nodes.NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    return {**inputs.get("required", {}), **inputs.get("optional", {})}


def run_expansion(result: Result, sources: Mapping[str, Any]) -> dict[str, Result]:
    """Run the sub-graph that a node gave: its nodes by id.

    Args:
        sources: the values behind the links that lead out of it, by node.
    """
    done: dict[str, Result] = {}

    def value(given: Any) -> Any:
        if not isinstance(given, list):
            return given
        node, slot = given
        if node in sources:
            return sources[node]
        if node not in done:
            done[node] = run(node)
        return done[node][slot]

    def run(node: str) -> Result:
        told = result.expand[node]
        return call(told["class_type"], **{name: value(given) for name, given in told["inputs"].items()})

    for node in result.expand:
        if node not in done:
            done[node] = run(node)
    return done
