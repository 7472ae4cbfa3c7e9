"""What the layout promises: one room imports ComfyUI, and the pack brings nothing heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = {
    "comfy",
    "comfy_api",
    "comfy_extras",
    "comfy_execution",
    "folder_paths",
    "latent_preview",
    "node_helpers",
    "nodes",
    "server",
}
BARE = (
    "errors", "frames.counts", "conditioning.positions", "script.script", "script.shot_list", "script.plan",
)  # fmt: skip


def imported(file: Path) -> set[str]:
    """Top-level names of all absolute imports of a file, those inside functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level and node.module
    }
    return {name.partition(".")[0] for name in names}


def test_only_the_adapter_imports_the_host():
    files = sorted((ROOT / "storymem_core").rglob("*.py"))
    assert len(files) > 20
    importers = {file.relative_to(ROOT).parts[1] for file in files if imported(file) & HOST}
    assert importers == {"host"}


def rooms_on(room: str) -> set[str]:
    """Rooms and single modules of the core whose files import from that room."""
    found = set()
    for file in (ROOT / "storymem_core").rglob("*.py"):
        place = file.relative_to(ROOT / "storymem_core").parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = place[:-1][: len(place) - node.level]
                names = [node.module] if node.module else [alias.name for alias in node.names]
                if any((*above, *name.split("."))[0] == room for name in names):
                    found.add(place[0])
    return found


def test_only_the_making_of_shots_stands_on_the_adapter():
    assert rooms_on("host") == {"host", "making"}


def test_the_map_names_every_room():
    core = ROOT / "storymem_core"
    rooms = {f"{path.name}/" for path in core.iterdir() if (path / "__init__.py").exists()}
    rooms |= {path.name for path in core.glob("*.py")} - {"__init__.py", "disk.py", "errors.py"}
    listed = re.findall(r"^    (\S+) ", (core / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == rooms


@pytest.mark.parametrize("module", BARE)
def test_a_plan_needs_no_package(module):
    """`run.py film --plan` reads a script before anything is installed: -S takes the packages away."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import storymem_core.{module}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_requirements_leave_torch_to_the_host():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in lines if line and not line.startswith("#")}
    assert "json5" in names
    assert not names & {"torch", "torchvision", "torchaudio", "diffusers", "peft"}
