"""The registry's tools, in the environment that run.py makes for them, and what they look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]

from plain_schema import plain  # noqa: E402

from runner.installation import registry  # noqa: E402
from runner.processes import clean_variables  # noqa: E402
from runner.server import Server  # noqa: E402

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Run a tool by its name, in the repository; what it wrote is text."""
    installed = registry()
    installed.prepare(print)
    home = str(tmp_path_factory.mktemp("home"))
    # They report nothing to anybody, and leave nothing with the person who runs this.
    variables = clean_variables(HOME=home, XDG_CACHE_HOME=home, DO_NOT_TRACK="1", COMFY_NO_TELEMETRY="1")

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed.python.with_name(name), *words],
            cwd=REPOSITORY, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def object_info(full_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the real server says of all its nodes, as a file that comfy-lint reads."""
    file = tmp_path_factory.mktemp("registry") / "object_info.json"
    with urllib.request.urlopen(f"{full_server.url}/object_info") as answer:
        file.write_text(json.dumps(plain(json.load(answer))))
    return file


@pytest.fixture
def lint(tool: Tool, object_info: Path) -> Callable[[Path], list[dict[str, str]]]:
    """What comfy-lint has against a graph."""

    def findings(graph: Path) -> list[dict[str, str]]:
        done = tool("comfy-lint", "--json", "--schema-cache", os.fspath(object_info), os.fspath(graph))
        assert done.stdout, done.stderr
        [file] = json.loads(done.stdout)["files"]
        return file["diagnostics"]

    return findings
