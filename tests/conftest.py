"""The live ComfyUI that the server and canvas rings share: COMFYUI_PATH names its folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runner.server import Server

REPOSITORY = Path(__file__).resolve().parents[1]
PROBE_PACK = REPOSITORY / "tests" / "probe_pack"
GGUF_PACK = REPOSITORY / "tests" / "gguf_pack"


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """ComfyUI's folder."""
    return Path(os.environ["COMFYUI_PATH"])


@pytest.fixture(scope="session")
def models(comfyui: Path) -> Path:
    """A models folder with the small checkpoints."""
    # Here and below inside: the host ring, which shares this file, puts ComfyUI first on the path.
    from runner.installation import small_models

    return small_models(Path(sys.executable), comfyui, print)


@pytest.fixture(scope="session")
def server(comfyui: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the pack, the probe pack and the small checkpoints, and with folders of its own.

    Its `url`, `output`, `input`, `log` and `pid` are for the tests; `runner.client.run(server.url, graph)`
    runs a graph on it.
    """
    from runner.server import PACK, Server

    output = tmp_path_factory.mktemp("output")
    with Server(comfyui, models, output, packs={**PACK, "probe": PROBE_PACK}, cpu=True) as server:
        yield server


@pytest.fixture(scope="session")
def full_server(comfyui: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows every node and finds every file of every graph: small ones, the others empty."""
    from runner import graphs
    from runner.server import PACK, Server
    from storymem_core.models.weights import SHIPPED
    from tests import small_files
    from tests.model_files import named, with_placeholders

    files = (REPOSITORY / "workflows" / "api").glob("*.json")
    every_node = {f"{file.stem} {id}": node for file in files for id, node in graphs.load(file).items()}
    folder = with_placeholders(models, every_node, tmp_path_factory.mktemp("models"))
    small_files.fill(folder, named(every_node) - set(SHIPPED))
    packs = {**PACK, "ComfyUI-GGUF": GGUF_PACK}
    with Server(comfyui, folder, tmp_path_factory.mktemp("output"), packs=packs, cpu=True) as server:
        small_files.inputs(server.input, comfyui)
        yield server
