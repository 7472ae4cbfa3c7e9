"""The core by itself: the repository's root and this folder's helpers on the path, no ComfyUI."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

# `run.py bench laws` asks for it, by pytest's --hypothesis-profile=thorough.
settings.register_profile(
    "thorough",
    max_examples=int(os.environ.get("STORYMEM_EXAMPLES", "10000")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
