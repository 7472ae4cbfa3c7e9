"""The server as a child: folders of its own, several at once, gone with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.errors import ServerError
from runner.server import Server, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from runner.server import Server
host, folder = map(Path, sys.argv[1:])
with Server(host, folder, folder / "output", packs={}, cpu=True) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        # A zombie has ended; only its parent has not noticed.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def child(comfyui, tmp_path):
    """A command that has started a server, and the server's process id."""
    command = [sys.executable, "-c", PARENT, str(comfyui), str(tmp_path)]
    # Its folders in ours: a killed command leaves them behind.
    folders = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=folders, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_the_server_goes_with_its_command(child, how):
    process, server = child
    assert is_alive(server)
    os.kill(process.pid, how)
    process.wait(timeout=30)
    deadline = time.monotonic() + 30
    while is_alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(server)


def test_two_servers_share_nothing(server, comfyui, models, tmp_path):
    with Server(comfyui, models, tmp_path / "output", packs={}, cpu=True) as other:
        assert other.url != server.url
        assert other.folder != server.folder
        assert os.path.samefile(server.folder / "custom_nodes" / "storymem", REPOSITORY)
        assert list((other.folder / "custom_nodes").iterdir()) == []
    assert is_alive(server.pid)
    assert not is_alive(other.pid)
    assert not other.folder.exists()
    assert (tmp_path / "output").is_dir()


def test_a_server_that_cannot_start_says_why(comfyui, tmp_path):
    absent = ("--user-directory", str(tmp_path / "absent"))
    with (
        pytest.raises(ServerError, match=r"absent.*does not exist"),
        Server(comfyui, tmp_path, tmp_path, packs={}, cpu=True, arguments=absent),
    ):
        pass


def test_a_pack_that_is_lost_is_an_error(comfyui, tmp_path):
    pack = tmp_path / "broken"
    pack.mkdir()
    (pack / "__init__.py").write_text(
        "async def comfy_entrypoint():\n    raise RuntimeError('no nodes today')\n"
    )
    with (
        pytest.raises(ServerError, match="no nodes today"),
        Server(comfyui, tmp_path, tmp_path / "output", packs={"broken": pack}, cpu=True),
    ):
        pass


def test_free_ports_differ():
    assert len({free_port() for _ in range(5)}) > 1
