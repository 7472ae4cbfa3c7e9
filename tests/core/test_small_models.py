"""The command that makes the small checkpoints needs no ComfyUI, and another process makes the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from storymem_core.models.small_models import make

REPOSITORY = Path(__file__).resolve().parents[2]


def test_command_writes_what_make_writes(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "storymem_core.models.small_models", tmp_path / "theirs", "--seed", "5"],
        cwd=REPOSITORY, env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = make(tmp_path / "ours", seed=5)
    theirs = [Path(line) for line in run.stdout.splitlines()]
    names = [path.relative_to(tmp_path / "ours") for path in ours]
    assert [path.relative_to(tmp_path / "theirs") for path in theirs] == names
    assert len(names) == 10
    for one, two in zip(ours, theirs, strict=True):
        assert one.read_bytes() == two.read_bytes(), one
