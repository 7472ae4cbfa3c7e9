"""API graphs as values: read one, fill a story's graph in, ask it for its settings. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import GraphError

Graph = Mapping[str, Mapping[str, Any]]
"""Node id -> {"class_type": str, "inputs": {name: value, or link [node id, output]}}."""

SCRIPT, BANK, LOOP = "StoryMemScript", "StoryMemMemoryBank", "StoryMemStoryLoop"
HERO = "StoryMemSmallWorldHero"
LOADERS = {"LoadImage": "image", "LoadImageMask": "image", "LoadVideo": "file", "LoadAudio": "audio"}
"""The host's nodes that read a file of the input folder, and the input that names it."""


def load(path: Path) -> Graph:
    """Read a graph in the API's format.

    Raises:
        GraphError: it is not JSON, or not an API graph.
    """
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GraphError(f"{path} is not JSON: {error}") from error
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise GraphError(f"{path} is a graph of the page. Save it by 'Export (API)' and give that file.")
    if not isinstance(graph, dict) or not graph or not all(map(_is_node, graph.values())):
        raise GraphError(f"{path} is not an API graph: node ids, each with class_type and inputs.")
    return graph


def only(graph: Graph, class_type: str) -> str:
    """The id of the one node of a class.

    Raises:
        GraphError: there is none, or more than one.
    """
    found = [id for id, node in graph.items() if node["class_type"] == class_type]
    if len(found) != 1:
        raise GraphError(f"The graph must have one {class_type} node to be filled in; it has {len(found)}.")
    return found[0]


def with_script(graph: Graph, text: str) -> Graph:
    """The graph with another script in its StoryMemScript node."""
    return _with_inputs(graph, only(graph, SCRIPT), text=text)


def script(graph: Graph) -> str:
    """The text of its StoryMemScript node.

    Raises:
        GraphError: it comes from another node, so that it is not known before the graph runs.
    """
    text = graph[only(graph, SCRIPT)]["inputs"].get("text")
    if not isinstance(text, str):
        raise GraphError(f"The text of the graph's {SCRIPT} node must stand in the node itself.")
    return text


def with_seed(graph: Graph, seed: int) -> Graph:
    """The graph with another seed of the story, and of the heroes that it draws."""
    heroes = [id for id, node in graph.items() if node["class_type"] == HERO]
    for id in (only(graph, LOOP), *heroes):
        graph = _with_inputs(graph, id, seed=seed)
    return graph


def with_project(graph: Graph, name: str) -> Graph:
    """The graph with another name for the story's folder below the server's output folder."""
    return _with_inputs(graph, only(graph, LOOP), project=name)


def with_a_folder_of_its_own(graph: Graph) -> Graph:
    """The graph with the story's own name for its folder, unless another node names that."""
    linked = isinstance(graph[only(graph, LOOP)]["inputs"].get("project"), list)
    return graph if linked else with_project(graph, "")


def with_references(graph: Graph, images: Sequence[str]) -> Graph:
    """The graph with these files of the server's input folder, and no others, as the first memory."""
    bank = only(graph, BANK)
    loaders = {
        f"storymem_reference_{i}": {"class_type": "LoadImage", "inputs": {"image": image}}
        for i, image in enumerate(images)
    }
    links = {f"references.reference_{i}": [loader, 0] for i, loader in enumerate(loaders)}
    others = {name: value for name, value in graph[bank]["inputs"].items() if not _is_reference(name)}
    return {**graph, **loaders, bank: {**graph[bank], "inputs": {**others, **links}}}


def input_files(graph: Graph) -> list[str]:
    """The files of the server's input folder that the graph's loaders name."""
    named = [
        node["inputs"].get(LOADERS[node["class_type"]])
        for node in graph.values()
        if node["class_type"] in LOADERS
    ]
    return sorted({name.removesuffix(" [input]") for name in named if isinstance(name, str)})


def plan_settings(graph: Graph) -> dict[str, Any]:
    """What a graph says of its story's plan, as the keywords of `storymem_core.script.plan.plan`.

    Raises:
        GraphError: something of it is not known before the graph runs.
    """
    id = only(graph, LOOP)
    loop = graph[id]["inputs"]
    banks = [node["inputs"] for node in graph.values() if node["class_type"] == BANK]
    return {
        **{name: _value(graph, id, name) for name in ("seed", "length", "overlap")},
        "t2v_first": "t2v_high_noise_model" in loop and "story" not in loop,
        "references": sum(_is_reference(name) for bank in banks for name in bank),
        "start_given": "start_frames" in loop or "story" in loop,
    }


def only_shots(graph: Graph) -> str:
    """Which of the script's shots its loop makes, as `storymem_core.script.shot_list.chosen` reads it.

    Raises:
        GraphError: that is not known before the graph runs.
    """
    return _value(graph, only(graph, LOOP), "only", "")


def scripts(graph: Graph) -> list[str]:
    """The texts of all its StoryMemScript nodes that are known before it runs."""
    texts = (node["inputs"].get("text") for node in graph.values() if node["class_type"] == SCRIPT)
    return [text for text in texts if isinstance(text, str)]


def _value(graph: Graph, id: str, name: str, default: Any = None) -> Any:
    """A widget's value, also where one of the host's primitive nodes gives it.

    Raises:
        GraphError: another node gives it, so that it is not known before the graph runs.
    """
    value = graph[id]["inputs"].get(name, default)
    if not isinstance(value, list):
        return value
    source = graph.get(str(value[0]), {})
    if str(source.get("class_type")).startswith("Primitive") and "value" in source["inputs"]:
        return _value(graph, str(value[0]), "value")
    raise GraphError(
        f"{name} of the graph's {graph[id]['class_type']} node comes from another node, "
        f"{source.get('class_type', value[0])}. Write it into the node itself to see the plan."
    )


def _with_inputs(graph: Graph, id: str, **inputs: object) -> Graph:
    return {**graph, id: {**graph[id], "inputs": {**graph[id]["inputs"], **inputs}}}


def _is_node(node: object) -> bool:
    has = {"class_type": str, "inputs": dict}
    return isinstance(node, dict) and all(isinstance(node.get(name), kind) for name, kind in has.items())


def _is_reference(name: str) -> bool:
    return name.startswith("references.")
