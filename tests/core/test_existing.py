"""A ComfyUI that is there already: found or refused by name, and nothing of it changed but what it lacks."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from runner import existing, packages
from runner.arguments import Arguments, parse
from runner.errors import ServerError, SetupError
from runner.existing import Existing
from runner.hosts import HOSTS
from runner.inside import look
from runner.serve import command
from runner.server import Place, with_models

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def host(tmp_path) -> Path:
    """A folder that has what every ComfyUI has, its environment among it."""
    folder = tmp_path / "ComfyUI"
    for part in existing.PARTS:
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if part in existing.FILES else path.mkdir()
    (folder / "comfyui_version.py").write_text('__version__ = "0.30.0"\n')
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    return folder


@pytest.fixture
def ran(monkeypatch) -> list[list[str]]:
    """The commands that would run; looking tells of one package that is missing."""
    told: list[list[str]] = []

    def run(command, variables):
        told.append([str(word) for word in command])
        if "-c" in told[-1]:
            told[-1].append(Path(told[-1][told[-1].index("-c") + 1]).read_text())
        return "a log line\n" + json.dumps({"unmet": ["json5>=0.9"], "installed": ["torch==2.9.0+cu128"]})

    monkeypatch.setattr(packages, "run", run)
    return told


def silent(line: str) -> None:
    pass


@pytest.fixture(autouse=True)
def with_torch(monkeypatch) -> set[Path]:
    """The Pythons that have torch: all but this one, and none that a test takes out."""
    lacking = {Path(sys.executable)}
    monkeypatch.setattr(existing, "_has_torch", lambda python: python not in lacking)
    return lacking


def test_its_own_python_is_found(host, with_torch):
    own, beside = host / "venv" / "bin" / "python", host.parent / ".venv" / "bin" / "python"
    assert existing.find(host) == Existing(host, own)
    (host / "venv").rename(host.parent / ".venv")
    assert existing.find(host).python == beside
    with_torch.clear()
    assert existing.find(host).python == Path(sys.executable), "what is beside it may be another program's"
    with_torch |= {Path(sys.executable), beside}
    with pytest.raises(SetupError, match="no virtual environment with torch"):
        existing.find(host)


def test_without_an_environment_it_runs_on_this_python_if_that_has_torch(host, monkeypatch):
    (host / "venv").rename(host / "elsewhere")
    monkeypatch.setattr(existing, "_has_torch", lambda python: True)
    assert existing.find(host).python == Path(sys.executable)
    monkeypatch.setattr(existing, "_has_torch", lambda python: False)
    with pytest.raises(SetupError, match="Activate the environment in which you start ComfyUI"):
        existing.find(host)


def test_what_is_no_comfyui_is_refused_by_name(host, tmp_path):
    (host / "main.py").unlink()
    (host / "custom_nodes").rmdir()
    with pytest.raises(SetupError, match=r"ComfyUI is no ComfyUI: it has no main\.py, custom_nodes\."):
        existing.find(host)
    with pytest.raises(SetupError, match="absent is no ComfyUI"):
        existing.find(tmp_path / "absent")


@pytest.mark.parametrize(
    "version, taken", [("0.24.1", True), ("1.0.0", True), ("0.24.0", False), ("0.3.76", False)]
)
def test_an_older_comfyui_is_refused(host, version, taken):
    (host / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    if taken:
        assert existing.find(host).host == host
    else:
        with pytest.raises(SetupError, match=rf"{version}; the pack needs 0\.24\.1 or newer"):
            existing.find(host)


def test_it_gets_a_link_and_what_it_lacks_and_keeps_its_versions(host, ran):
    before = sorted(host.rglob("*"))
    existing.find(host).prepare(silent)
    link = host / "custom_nodes" / "storymem"
    assert sorted(host.rglob("*")) == sorted([*before, link])
    assert link.resolve() == ROOT
    _, install = ran
    assert install[:4] == [str(host / "venv" / "bin" / "python"), "-m", "pip", "install"]
    assert install[-2:] == ["json5>=0.9", "torch==2.9.0+cu128\n"]  # asked for, and held


def test_a_second_time_changes_nothing(host, ran, monkeypatch):
    existing.find(host).prepare(silent)
    complete = json.dumps({"unmet": [], "installed": []})
    monkeypatch.setattr(packages, "run", lambda command, variables: complete)
    before = sorted(host.rglob("*"))
    existing.find(host).prepare(pytest.fail)
    assert sorted(host.rglob("*")) == before


def test_a_clone_in_custom_nodes_is_the_pack_and_needs_no_link(host):
    (host / "custom_nodes" / "any-name").symlink_to(ROOT)
    existing.link(host, silent)
    assert os.listdir(host / "custom_nodes") == ["any-name"]


@pytest.mark.parametrize("name", ["storymem", "another-name"])
def test_another_copy_of_the_pack_is_refused(host, name):
    (host / "custom_nodes" / name / "storymem_core").mkdir(parents=True)
    with pytest.raises(SetupError, match=f"{name} is another copy of the pack"):
        existing.link(host, silent)


def test_where_pip_would_change_a_package_it_says_so_and_how_by_hand(host, monkeypatch):
    def run(command, variables):
        if "pip" not in command:
            return json.dumps({"unmet": ["json5>=0.9"], "installed": []})
        raise SetupError("conflict")

    monkeypatch.setattr(packages, "run", run)
    with pytest.raises(SetupError, match=r"(?s)conflict.*stay as they are.*-m pip install json5>=0\.9"):
        existing.find(host).prepare(silent)


def test_unmet_requirements_are_those_that_are_absent_or_of_another_version(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("# a note\npytest\npytest<1  # old\n\nabsent\nabsent; python_version < '3'\n")
    assert look.unmet(file) == ["pytest<1", "absent"]
    assert any(line.startswith("pytest==") for line in look.installed())


def place(models: Path | None, *more: Path) -> Place:
    return Place(Path("/ComfyUI"), models, more, cpu=True)


def test_serve_keeps_what_a_person_makes_in_a_folder(tmp_path):
    (tmp_path / "models").mkdir()
    given = parse(["serve", "--folder", str(tmp_path / "mine"), "--port", "9000", "--", "--lowvram"])
    words = command(given, place(tmp_path / "models"), tmp_path)
    assert words[1:4] == ["/ComfyUI/main.py", "--port", "9000"]
    assert words[words.index("--base-directory") + 1] == str(tmp_path / "mine")
    assert words[-2:] == ["--cpu", "--lowvram"]
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "custom_nodes", "input", "models", "output", "user"
    }  # fmt: skip
    assert (tmp_path / "mine" / "custom_nodes" / "storymem").resolve() == ROOT
    assert command(given, place(tmp_path / "models"), tmp_path) == words  # the next time


def test_serve_touches_no_folder_that_is_another_comfyui(tmp_path):
    (tmp_path / "comfyui" / "models").mkdir(parents=True)
    given = parse(["serve", "--folder", str(tmp_path / "comfyui")])
    with pytest.raises(ServerError, match=r"models is not our link\. .*--comfyui"):
        command(given, place(tmp_path / "small"), tmp_path)
    assert [path.name for path in (tmp_path / "comfyui").iterdir()] == ["models"]


def test_serve_leaves_an_existing_comfyui_its_own_folders(tmp_path):
    (tmp_path / "small" / "vae").mkdir(parents=True)
    words = command(Arguments("serve"), place(None, tmp_path / "small"), tmp_path)
    assert not {word for word in words if word.endswith("-directory") or word == "--database-url"}
    assert words[-2:] == with_models([tmp_path / "small"], tmp_path)
    assert json.loads(Path(words[-1]).read_text()) == {
        "storymem_0": {"base_path": str(tmp_path / "small"), "vae": "vae"}
    }


def test_an_existing_comfyui_comes_by_option_or_by_variable(monkeypatch, tmp_path):
    assert parse(["demo", "--comfyui", "here"]).comfyui == Path("here")
    monkeypatch.setenv("COMFYUI_PATH", "there")
    assert parse(["serve"]).comfyui == Path("there")
    assert parse(["test"]).comfyui is None
    monkeypatch.setenv("COMFYUI_PATH", "")
    assert parse(["film", str(ROOT / "README.md"), "--models", str(tmp_path)]).comfyui is None


def test_the_registry_is_told_the_oldest_comfyui_that_is_tested():
    [told] = re.findall(r'requires-comfyui = ">=(.+)"', (ROOT / "pyproject.toml").read_text())
    assert told == list(HOSTS)[-1] == "0.24.1"
