"""What the host's start pays for the pack: nothing heavy, nothing optional."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOAD = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from comfy.cli_args import args
args.cpu = True
import nodes
asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
before = set(sys.modules)
assert asyncio.run(nodes.load_custom_node(sys.argv[2]))
files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before}
print("loaded", *sorted(name for name, file in files.items() if "site-packages" in file))
"""


def test_no_package_is_imported_that_the_host_has_not_imported_itself():
    # In a fresh process: this one has seen other tests' imports.
    command = [sys.executable, "-c", LOAD, os.environ["COMFYUI_PATH"], str(REPOSITORY)]
    done = subprocess.run(command, cwd=REPOSITORY.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded"]
