"""The demo's models and settings: what is measured is what the demo shows. Imports no host before `start`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from runner import graphs
from runner.arguments import DEMO_GRAPH
from runner.installation import small_models
from storymem_core.models import weights

WIDGETS = ("steps", "cfg_high", "cfg_low", "sampler_name", "scheduler", "shift", "boundary")


def start() -> None:
    """Of a process: before the host's first import it must be found, and know where it runs."""
    import torch

    # In front of this project: the pack's own `nodes/` must not shadow the host's nodes.py.
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    torch.set_num_threads(1)
    from comfy.utils import set_progress_bar_enabled

    set_progress_bar_enabled(False)


def models_folder(given: Path | None, say: Callable[[str], None]) -> Path:
    """The models folder that was asked for, else the trained weights of the pack, else the random ones."""
    if given is not None:
        return given
    if all((weights.FOLDER / name).is_file() for name in weights.SHIPPED):
        return weights.FOLDER
    return small_models(Path(sys.executable), Path(os.environ["COMFYUI_PATH"]), say)


def sampling(steps: int | None) -> tuple[dict[str, Any], int]:
    """The demo's widgets that make `making.shot.Settings`, with other steps if asked, and its size."""
    graph = graphs.load(DEMO_GRAPH)
    inputs = graph[graphs.only(graph, graphs.LOOP)]["inputs"]
    widgets = {name: inputs[name] for name in WIDGETS}
    return {**widgets, **({} if steps is None else {"steps": steps})}, inputs["width"]


@cache
def models(folder: Path) -> tuple[Any, Any]:
    """`made.load`, once for a process."""
    from benchmarks.hero_shots import made

    return made.load(folder)


def say(line: str) -> None:
    """For people who wait."""
    print(line, file=sys.stderr, flush=True)
