"""What the pack adds to ComfyUI's start: budget 0.3 s.

Fresh processes import ComfyUI and its own nodes, then load one pack as the host does: in turn an empty one
and ours. The difference of the medians is what our imports cost; the rest of the start is the same for all.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from runner.benchmark import report
from runner.packages import ROOT
from runner.processes import clean_variables

BUDGET_SECONDS = 0.3
ROUNDS = 5

EMPTY_PACK = """
from comfy_api.latest import ComfyExtension
class Empty(ComfyExtension):
    async def get_node_list(self):
        return []
async def comfy_entrypoint():
    return Empty()
"""
LOAD = """
import asyncio, sys, time
sys.path.insert(0, sys.argv[1])
from comfy.cli_args import args
args.cpu = True
import nodes
asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
began, worked = time.perf_counter(), time.process_time()
assert asyncio.run(nodes.load_custom_node(sys.argv[2]))
print("seconds", time.perf_counter() - began, time.process_time() - worked)
"""


def seconds(pack: Path) -> tuple[float, float]:
    """How long a fresh host takes to load a pack, on the clock and of the processor.

    Byte code is kept, as it is for any user.
    """
    variables = clean_variables()
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", LOAD, os.environ["COMFYUI_PATH"], str(pack)]
    done = subprocess.run(command, cwd=pack, env=variables, check=True, capture_output=True, text=True)
    clock, processor = map(float, done.stdout.split("seconds ")[-1].split())
    return clock, processor


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty")
        empty.mkdir()
        (empty / "__init__.py").write_text(EMPTY_PACK)
        packs = {"an empty pack": empty, "StoryMem": ROOT}
        for pack in packs.values():
            seconds(pack)  # writes the byte code
        rounds = [{name: seconds(pack) for name, pack in packs.items()} for _ in range(ROUNDS)]
    sides = {name: list(zip(*(taken[name] for taken in rounds), strict=True)) for name in packs}
    rows = [
        {
            "pack": name,
            "median s": statistics.median(clock),
            "least s": min(clock),
            "most s": max(clock),
            "median CPU s": statistics.median(processor),
        }
        for name, (clock, processor) in sides.items()
    ]
    bare, ours = (statistics.median(clock) for clock, _ in sides.values())
    report("import_time", rows, added_seconds=ours - bare, budget_seconds=BUDGET_SECONDS)


if __name__ == "__main__":
    main()
