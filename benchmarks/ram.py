"""The server's memory over a story of 100 shots, with the host's default cache and without: it stays flat.

    run.py bench ram [SHOTS]

The other side, on a server of its own: as many batches of frames of the same size, each handed from node to
node, which is what a loop that keeps its frames would cost. Resident memory is read after each shot.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from runner import graphs
from runner.arguments import DEMO_GRAPH
from runner.benchmark import report
from runner.client import run
from runner.graphs import LOOP, Graph
from runner.installation import small_models
from runner.progress import Event
from runner.server import Server

SIZE, LENGTH, STEPS = 128, 17, 4
# The first shots fill what is filled once: models, caches of grey latents, the memory of ten frames.
WARM_UP = 8
SHOTS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
if SHOTS < WARM_UP + 2:
    raise SystemExit(f"give {WARM_UP + 2} shots or more, not {SHOTS}: the first {WARM_UP + 1} do not count")


def story() -> Graph:
    """The demo's graph with a story of many short shots."""
    graph = graphs.with_script(graphs.load(DEMO_GRAPH), "\n\n".join(f"Shot {n}" for n in range(SHOTS)))
    loop = graph[graphs.only(graph, LOOP)]["inputs"]
    sized = {**loop, "width": SIZE, "height": SIZE, "length": LENGTH, "steps": STEPS}
    return {**graph, graphs.only(graph, LOOP): {"class_type": LOOP, "inputs": sized}}


def frames_handed_on() -> Graph:
    """As many batches of frames, each an output of a node."""
    size = {"width": SIZE, "height": SIZE, "batch_size": LENGTH}
    made = {f"make_{n}": {"class_type": "EmptyImage", "inputs": {**size, "color": n}} for n in range(SHOTS)}
    used = {
        f"use_{n}": {"class_type": "PreviewAny", "inputs": {"source": [f"make_{n}", 0]}} for n in range(SHOTS)
    }
    return {**made, **used}


def is_shot(node: str) -> bool:
    """Whether a node makes a shot's frames: the loop's n-th node, or the n-th batch."""
    number = node.rpartition(".")[2]
    return node.startswith("make_") or ("." in node and number.isdecimal() and int(number) <= SHOTS)


def resident_mib(pid: int) -> float:
    """A process's resident memory."""
    [kib] = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(kib) / 1024


def after_each_shot(pid: int) -> tuple[dict[str, float], Callable[[Event], None]]:
    """A listener that reads the memory whenever a shot is finished."""
    read: dict[str, float] = {}

    def listen(event: Event) -> None:
        if event["type"] == "progress_state":
            for id, node in event["data"]["nodes"].items():
                if node["state"] == "finished" and is_shot(id) and id not in read:
                    read[id] = resident_mib(pid)

    return read, listen


def main() -> None:
    host = Path(os.environ["COMFYUI_PATH"])
    models = small_models(Path(sys.executable), host, print)
    rows: list[dict[str, str | float]] = []
    growths = []
    sides: tuple[tuple[str, Graph, tuple[str, ...]], ...] = (
        ("StoryMem's loop", story(), ()),
        ("StoryMem's loop, --cache-none", story(), ("--cache-none",)),
        ("frames handed on", frames_handed_on(), ()),
    )
    for name, graph, options in sides:
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(host, models, Path(folder), cpu=True, arguments=options) as server,
        ):
            read, listen = after_each_shot(server.pid)
            run(server.url, graph, listen)
        memory = list(read.values())
        growths.append((memory[-1] - memory[WARM_UP]) / (SHOTS - 1 - WARM_UP))
        rows.append(
            {
                "side": name,
                "shots": len(memory),
                f"MiB after shot {WARM_UP + 1}": memory[WARM_UP],
                "MiB after the last": memory[-1],
                "most MiB": max(memory),
                "MiB a shot": growths[-1],
            }
        )
    frames_mib = LENGTH * SIZE * SIZE * 3 * 4 / 2**20
    report("ram", rows, growth_mib_per_shot=growths[0], one_shot_of_frames_mib=frames_mib)


if __name__ == "__main__":
    main()
