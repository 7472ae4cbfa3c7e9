"""A short story for the live server, and what a run leaves: the demo's own graph, with four small shots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from runner import client, graphs
from runner.graphs import Graph
from runner.progress import Event
from runner.server import PACK, Server

REPOSITORY = Path(__file__).resolve().parents[2]
PACKS = {**PACK, "probe": REPOSITORY / "tests" / "probe_pack"}
SMALL = {"length": 5, "steps": 2, "sampler_name": "euler"}
SHOTS = (
    {"id": "wake", "prompt": "A red fox wakes in the snow.", "cut": True},
    {"id": "trot", "prompt": "The fox trots between the trees.", "cut": False},
    {"id": "lake", "prompt": "The fox looks over a frozen lake.", "cut": True},
    {"id": "swim", "prompt": "The fox swims to the other side.", "cut": False},
)
UNTRAINED = {
    "storymem_world/memory_": "storymem_small/Wan2.2-MI2V-A14B/backbone_",
    "storymem_world_": "storymem_small_",
}
"""What the demo's trained models are called -> small ones that take a fraction of the time."""
PROBES = {"high_noise_model": "probe high", "low_noise_model": "probe low"}


class Told(NamedTuple):
    """What lies in a story's folder after a run, and what the run sampled."""

    folder: Path
    story: Mapping[str, Any]
    """story.json"""
    sampled: Mapping[str, list[Mapping[str, Any]]]
    """Expert -> a line for each shot that it sampled in this run."""
    film: bytes
    """film.mp4"""

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return self.story["shots"]


def script(*shots: Mapping[str, Any]) -> str:
    """A story of these shots, two in a scene."""
    scenes = [{"shots": shots[place : place + 2]} for place in range(0, len(shots), 2)]
    return json.dumps({"story_name": "A fox goes home", "scenes": scenes})


def graph(project: str, *shots: Mapping[str, Any], **settings: Any) -> Graph:
    """The demo's graph with these shots (SHOTS if none), small settings, and a probe on each expert.

    Args:
        settings: inputs of the loop; they come before the small ones.
    """
    demo = untrained(graphs.load(REPOSITORY / "workflows" / "api" / "story_demo.json"))
    loop = graphs.only(demo, graphs.LOOP)
    inputs = demo[loop]["inputs"] | SMALL | {"project": project}
    probes = {
        probe: {
            "class_type": "ProbeSampling",
            "inputs": {"model": inputs[expert], "name": f"{project} {expert}"},
        }
        for expert, probe in PROBES.items()
    }
    wired = {expert: [probe, 0] for expert, probe in PROBES.items()}
    small = {**demo, **probes, loop: {**demo[loop], "inputs": inputs | wired | settings}}
    return graphs.with_script(small, script(*(shots or SHOTS)))


def untrained(graph: Graph) -> Graph:
    """The demo's graph on untrained models and without its hero: these tests do not look at pictures."""
    text = json.dumps(graphs.with_references(graph, ()))
    for trained, other in UNTRAINED.items():
        text = text.replace(trained, other)
    return json.loads(text)


def unprobed(graph: Graph) -> Graph:
    """The graph as it is without its probes."""
    loop = graphs.only(graph, graphs.LOOP)
    wired = {expert: graph[probe]["inputs"]["model"] for expert, probe in PROBES.items()}
    rest = {id: node for id, node in graph.items() if id not in PROBES.values()}
    return {**rest, loop: {**graph[loop], "inputs": graph[loop]["inputs"] | wired}}


def shot_by_shot(project: str, *shots: Mapping[str, Any], **settings: Any) -> Graph:
    """The same story wired by hand: a StoryMemShot for each shot, with the loop's seeds, and a stitch."""
    from storymem_core.script.script import shot_seed

    whole = graph(project, *shots, **settings)
    loop = graphs.only(whole, graphs.LOOP)
    of_the_loop = ("script", "fps", "crossfade", "t2v_shift", "t2v_boundary")
    shared = {name: value for name, value in whole[loop]["inputs"].items() if name not in of_the_loop}
    wired = {id: node for id, node in whole.items() if id != loop}
    story: dict[str, Any] = {}
    for place, told in enumerate(shots or SHOTS):
        own = {
            "prompt": told["prompt"],
            "cut": told["cut"],
            "shot_id": told["id"],
            "scene": place // 2 + 1,
            "seed": shot_seed(shared["seed"], told["id"]),
        }
        wired[f"shot {place + 1}"] = {"class_type": "StoryMemShot", "inputs": {**shared, **own, **story}}
        story = {"story": [f"shot {place + 1}", 0]}
        shared.pop("memory", None)  # later shots have the story's
    stitch = {"class_type": "StoryMemShotStitch", "inputs": {**story, "fps": 16.0, "crossfade": 0}}
    return {**wired, "stitch": stitch}


def tell(
    server: Server, project: str, graph: Graph, on_event: Callable[[Event], None] = lambda _: None
) -> Told:
    """Run a graph of this project to its end."""
    before = _sampled(server, project)
    client.run(server.url, graph, on_event)
    sampled = {expert: lines[len(before[expert]) :] for expert, lines in _sampled(server, project).items()}
    folder = server.output / project
    story = json.loads((folder / "story.json").read_text())
    return Told(folder, story, sampled, (folder / "film.mp4").read_bytes())


def shot_node(event: Event, number: int) -> Mapping[str, Any]:
    """The state that an event tells of the loop's shot of this number; nothing if it tells none."""
    nodes = event["data"]["nodes"] if event["type"] == "progress_state" else {}
    return next((node for id, node in nodes.items() if id.endswith(f".0.{number}")), {})


def pixels(path: Path) -> np.ndarray:
    """A picture, uint8 [H, W, 3]."""
    return np.asarray(Image.open(path).convert("RGB"))


def sha256(frame: np.ndarray) -> str:
    return hashlib.sha256(frame.tobytes()).hexdigest()


def decoded(path: Path) -> np.ndarray:
    """All frames of a film, uint8 [F, H, W, 3]."""
    import av

    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


def stored(told: Told, number: int) -> np.ndarray:
    """The stored frames of a shot, from 1: uint8 [F, H, W, 3]."""
    return decoded(told.folder / "store" / told.rows[number - 1]["key"] / "frames.mkv")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _sampled(server: Server, project: str) -> dict[str, list[Mapping[str, Any]]]:
    files = {expert: server.output / f"{project} {expert}.jsonl" for expert in PROBES}
    return {
        expert: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        for expert, file in files.items()
    }
