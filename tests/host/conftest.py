"""The host on its CPU, in this process: COMFYUI_PATH names ComfyUI's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# ComfyUI first: the pack's own `nodes/` must not shadow the host's nodes.py.
sys.path[:0] = [os.environ["COMFYUI_PATH"], str(Path(__file__).parent)]
sys.path.append(str(REPOSITORY))

from comfy.cli_args import args  # noqa: E402

args.cpu = True
