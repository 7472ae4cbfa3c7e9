"""A story's folder is moved, renamed, copied to another machine, used by two: it works, or is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stories import contents
from toy_story import SHOTS, run

from storymem_core.errors import StoryMemError
from storymem_core.film.publish import publish
from storymem_core.store.project import Project
from storymem_core.store.shot_states import look
from storymem_core.store.story_project import act, use

HERE = Path(__file__).resolve().parent


@pytest.fixture
def told(tmp_path):
    """A story with a second take of its second shot, as a film."""
    folder = tmp_path / "fox"
    run(folder)
    act(Project.open(folder), "take", "2", 2)
    publish(run(folder), name="fox")
    return folder


def stored(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.startswith("store/")}


# Moved or renamed


def test_a_folder_renamed_between_runs_is_the_same_story(told, tmp_path):
    before, film = stored(told), (told / "film.mp4").read_bytes()
    states = [state.told for state in look(Project.open(told))]
    moved = tmp_path / "elsewhere" / "a fox"
    moved.parent.mkdir()
    told.rename(moved)
    assert [state.told for state in look(Project.open(moved))] == states
    again = run(moved)
    assert again.reused == (True,) * 4 and again.stale[2] == ("memory",)
    age = (moved / "film.mp4").stat().st_mtime_ns
    publish(again, name="fox")
    assert (moved / "film.mp4").read_bytes() == film and (moved / "film.mp4").stat().st_mtime_ns == age
    assert stored(moved) == before and not told.exists()


def test_a_folder_moved_while_its_story_is_told_is_refused_and_not_made_anew(told, tmp_path):
    story = run(told)
    told.rename(tmp_path / "elsewhere")
    for use_of_it in (story.shots, story.memory().load, lambda: publish(story)):
        with pytest.raises(
            StoryMemError, match=r"no story in this folder; was it moved or renamed\?"
        ) as error:
            use_of_it()
        assert error.value.value == str(told)
    assert not told.exists()
    moved = story._replace(folder=str(tmp_path / "elsewhere"))
    assert len(moved.shots()) == 4  # the handle knows nothing but the place


# Another machine


def test_a_copy_on_another_machine_goes_on(told, tmp_path):
    """Without the files' times, with the locks and the half-written files of a killed run over there."""
    there = tmp_path / "there" / "fox"
    shutil.copytree(told, there, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(there.rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    (there / ".lock").touch()
    (there / ".lock.json").write_text('{"pid": 1, "host": "the other machine"}')
    (there / ".film.mp4.part").write_bytes(b"half")
    before = [(state.told, sorted(state.takes)) for state in look(Project.open(told))]
    assert [(state.told, sorted(state.takes)) for state in look(Project.open(there))] == before
    again = run(there)
    assert again.reused == (True,) * 4
    publish(again, name="fox")
    assert not {".lock.json", ".film.mp4.part"} & {path.name for path in there.iterdir()}
    told_by_each_run = (".lock", "story.json")  # what was found stored, what was made
    assert {name: data for name, data in contents(there).items() if name not in told_by_each_run} == {
        name: data for name, data in contents(told).items() if name not in told_by_each_run
    }
    act(Project.open(there), "take", "2", 1)
    assert look(Project.open(there))[1].takes.keys() == {1, 2}


@pytest.mark.parametrize("lost", ["store/outline.json", "story.json", "film.mp4", "store/project.json"])
def test_a_copy_that_is_not_whole_makes_what_it_lacks(told, lost):
    first = run(told).keys
    (told / lost).unlink()
    again = run(told)
    publish(again, name="fox")
    # Without the outline nobody knows of the second take: the first is the script's own, and is stored.
    assert again.reused == (True,) * 4
    assert (again.keys == first) == (lost != "store/outline.json")
    assert (told / "film.mp4").exists() and json.loads((told / "story.json").read_text())["version"] == 1


def test_a_damaged_outline_stops_a_run_and_the_film_stays(told):
    film = (told / "film.mp4").read_bytes()
    (told / "store" / "outline.json").write_text("{")
    with pytest.raises(StoryMemError, match="records the chosen takes and the locked shots of this story"):
        run(told)
    with pytest.raises(StoryMemError, match="is damaged"):
        use(told.parent, "fox", "look", "", 1)
    assert (told / "film.mp4").read_bytes() == film


def test_a_folder_that_only_may_be_read_is_looked_into_and_not_written_to(told, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    story = run(told)
    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, refused)
    monkeypatch.setattr("filelock.FileLock.acquire", refused)
    assert use(told.parent, "fox", "look", "", 1).story.keys == story.keys
    for writes in (lambda: publish(story), lambda: use(told.parent, "fox", "lock", "1", 1)):
        with pytest.raises(
            StoryMemError, match="cannot be created or written to: Read-only file system"
        ) as error:
            writes()
        assert error.value.value == str(told)


# Two at once

TWO = """
import sys; sys.path[:0] = [{root!r}, {here!r}]
from toy_story import run
from storymem_core.errors import StoryMemError
from storymem_core.film.publish import publish
print("ready", flush=True)
sys.stdin.readline()
try:
    publish(run(sys.argv[1]), name="fox")
    print("told")
except StoryMemError as error:
    print(error)
"""


def test_two_runs_at_once_make_one_story(told, tmp_path):
    """Each ends with the film or is refused by name; the store is whole, and the next run makes nothing."""
    folder = tmp_path / "both"
    command = [sys.executable, "-c", TWO.format(root=str(HERE.parents[1]), here=str(HERE)), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in runs] == ["ready\n"] * 2
    ends = []
    for process in runs:  # both are let go before either is waited for
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in runs:
        ends.append(process.communicate()[0].strip())
        assert process.returncode == 0
    assert "told" in ends
    for end in ends:
        assert end == "told" or (end.startswith("another run is writing this story") and str(folder) in end)
    story = run(folder)
    assert story.reused == (True,) * len(SHOTS)
    assert [path.name for path in folder.rglob("*.part")] == []
    act(Project.open(told), "take", "2", 1)
    act(Project.open(told), "redo", "all", 1)
    assert story.keys == run(told).keys  # the unbroken one
