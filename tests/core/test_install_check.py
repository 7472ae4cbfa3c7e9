"""The check that installing the pack moves no package of ComfyUI's would see one that moves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import install

TORCH = {"name": "Torch", "version": "2.9.0", "requires_dist": ["filelock", "numpy>=2"], "provides_extra": []}
NUMPY = {"name": "numpy", "version": "2.0.0", "requires_python": ">=3.10"}


def test_a_package_that_comes_in_another_version_is_named():
    assert install.moved([TORCH, NUMPY], [{"name": "json5", "version": "1"}]) == []
    assert install.moved([TORCH, NUMPY], [{"name": "torch", "version": "2.8.0"}]) == ["torch 2.9.0 -> 2.8.0"]


def test_an_environment_claims_to_have_what_it_is_told(tmp_path: Path):
    install.claim([TORCH, NUMPY], tmp_path)
    code = (
        "import importlib.metadata as m, sys; sys.path.insert(0, sys.argv[1])\n"
        "print(m.version('torch'), m.requires('torch'), m.version('numpy'))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.stdout.strip() == "2.9.0 ['filelock', 'numpy>=2'] 2.0.0", told.stderr


def test_pip_s_plan_follows_what_is_claimed(tmp_path: Path, monkeypatch):
    """pip takes a claimed package as installed: it plans nothing for what is met."""
    packages = install.packages
    python = tmp_path / "venv" / "bin" / "python"
    packages.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], {})
    [site_packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    install.claim([NUMPY], site_packages)
    assert install.planned(python, tmp_path, "--no-index", "numpy>=1") == []
