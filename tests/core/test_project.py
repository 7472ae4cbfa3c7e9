from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from stories import NOTHING, Told, contents, make, noise, remembered, tell

from storymem_core.errors import StoryMemError
from storymem_core.memory import bank as memory
from storymem_core.memory.bank import MemoryBank
from storymem_core.store.project import Project, StoredMemory, Story

TOLD = Told("a", noise(1))


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "story")


def bank(count: int, size=(32, 16)) -> MemoryBank:
    frames = noise(99, count, size)
    return MemoryBank(tuple(remembered(frame, "x", place) for place, frame in enumerate(frames)))


# Keys


def test_key_is_the_digest_of_sorted_ascii_json():
    # A literal: the key of a stored shot must not change between versions or machines.
    made_of = {"seed": 1, "prompt": "猫", "memory": ["b", "a"], "shift": 4.0, "filter": None}
    assert Project.key(made_of) == "a511ddc982c40043aeb37f754c5708a477ebe66001a4a4cda47fa598bd9e27af"
    assert Project.key(dict(reversed(made_of.items()))) == Project.key(made_of)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2, "memory": ["a", "b"]},
        {"seed": 1, "memory": ["b", "a"]},
        {"seed": "1", "memory": ["a", "b"]},
        {"seed": 1, "memory": ["a"]},
        {"seed": 1},
        {"seed": 1, "memory": ["a", "b"], "more": None},
    ],
)
def test_any_difference_is_another_key(other):
    assert Project.key(other) != Project.key({"seed": 1, "memory": ["a", "b"]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_a_key_of_nan_is_refused(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        Project.key({"shift": value})


# Storing and finding


def test_a_shot_comes_back_as_it_was_stored(project):
    told = TOLD._replace(dropped=1, extra={"positions": (-5.0, 0.0), "Ü": "猫\ud800"})
    seen, given = bank(4), bank(2)
    key = project.key(told.made_of)
    stored = project.store(key, told.made_of, told.row, told.frames, seen, given)
    for shot in (stored, project.find(key), Project.open(project.folder).stored(key)):
        assert (shot.key, shot.id, shot.dropped, shot.count, shot.size) == (key, "a", 1, 5, (32, 16))
        assert shot.row == {**told.row, "positions": [-5.0, 0.0]}
        assert shot.made_of == {**told.made_of, "positions": [-5.0, 0.0]}
        assert np.array_equal(np.stack(list(shot.frames())), told.frames)
        assert np.array_equal(shot.last(2), told.frames[-2:])
        assert np.array_equal(shot.pick([0, 3]), told.frames[[0, 3]])
        assert (shot.seen(), shot.keyframes()) == (seen, given)


def test_frames_are_streamed_not_loaded(project):
    frames = make(project, TOLD).frames()
    assert np.array_equal(next(frames), TOLD.frames[0])
    assert np.array_equal(next(frames), TOLD.frames[1])
    frames.close()


def test_what_is_handed_in_is_left_alone(project):
    frames, made_of, row = TOLD.frames.copy(), TOLD.made_of, TOLD.row
    frames.setflags(write=False)
    seen, given = bank(3), bank(2)
    before = [json.dumps(made_of), json.dumps(row), seen, given]
    stored = project.store(project.key(made_of), made_of, row, frames, seen, given)
    stored.row["prompt"] = "changed by a caller"
    stored.made_of["seed"] = -1
    assert [json.dumps(made_of), json.dumps(row), seen, given] == before
    assert np.array_equal(frames, TOLD.frames)
    assert project.stored(stored.key).row["prompt"] == TOLD.prompt


def test_what_was_never_stored_is_none(project, caplog):
    assert project.find(project.key({"seed": 1})) is None
    assert not caplog.records
    with pytest.raises(StoryMemError, match="stored shot of this story is missing or damaged") as error:
        project.stored(project.key({"seed": 1}))
    assert project.key({"seed": 1}) in str(error.value)


def test_a_wrong_key_is_a_mistake_of_the_caller(project):
    with pytest.raises(ValueError, match="under the key of what made it"):
        project.store("0" * 64, TOLD.made_of, TOLD.row, TOLD.frames, NOTHING, NOTHING)


def test_what_is_stored_stays_though_it_is_stored_again(project):
    first = make(project, TOLD)
    again = project.store(first.key, TOLD.made_of, TOLD.row, TOLD.frames[::-1], NOTHING, NOTHING)
    assert np.array_equal(np.stack(list(again.frames())), TOLD.frames)


def test_rows_must_be_json(project):
    made_of = TOLD.made_of
    with pytest.raises(ValueError, match="JSON compliant"):
        project.store(project.key(made_of), made_of, {"score": float("nan")}, TOLD.frames, NOTHING, NOTHING)
    assert [path.name for path in (project.folder / "store").iterdir()] == ["project.json"]


@pytest.mark.parametrize("n", [0, 6, -1])
def test_more_last_frames_than_there_are(project, n):
    with pytest.raises(StoryMemError, match="shot 'a' has 5 frames") as error:
        make(project, TOLD).last(n)
    assert f"got {n}" in str(error.value)


# Memory after a shot


def test_memory_after_a_shot_is_the_bank_moved_on(tmp_path):
    shots = [Told(name, noise(number)) for number, name in enumerate("abcdef")]
    story = tell(tmp_path / "story", shots, keep=(0, 2, -1))
    expected = NOTHING
    for told, key in zip(shots, story.keys, strict=True):
        handle = StoredMemory(story.folder, key)
        given = [remembered(told.frames[index], told.id, index) for index in (0, 2, 4)]
        expected = memory.update(expected, given, 0.9).bank
        assert handle.load() == expected
    assert len(expected.frames) == 10  # the window has moved


def test_what_is_pinned_stays_on_the_way_past_shots_that_saw_another_memory(tmp_path):
    """Of a story whose later shots are kept, though their memory has changed."""
    shots = [Told(name, noise(number)) for number, name in enumerate("abcdefgh")]
    story = tell(tmp_path / "story", shots, keep=(0, 2, -1))
    story = story._replace(stale=((), (), *[("memory",)] * 6))

    def left(edits=""):
        return [(frame.origin.shot, frame.origin.frame) for frame in story.memory(edits).load().frames]

    assert ("b", 2) not in left()
    for edits in ("pin 2:2", "pin b:2"):
        assert left(edits)[:4] == [*left()[:3], ("b", 2)] and len(left(edits)) == 10


def test_the_first_shot_names_the_embedder(project):
    given = MemoryBank(bank(1).frames, embedder="clip")
    stored = project.store(project.key(TOLD.made_of), TOLD.made_of, TOLD.row, TOLD.frames, NOTHING, given)
    assert stored.memory_after() == given


# Damage


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


FILES = [
    "frames.mkv", "keyframes/001.png", "keyframes/bank.json", "keyframes/embeddings.safetensors",
    "memory/001.png", "memory/002.png", "memory/bank.json", "memory/embeddings.safetensors", "shot.json",
]  # fmt: skip


def cut_short(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def longer(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def gone(path: Path, other: Path) -> None:
    path.unlink()


FIRST, OTHER = Told("a", noise(1)), Told("b", noise(2), prompt="another")


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory) -> Path:
    """A story with two stored shots that have files of the same names: to be copied, not changed."""
    project = Project.open(tmp_path_factory.mktemp("whole") / "story")
    make(project, FIRST, bank(2))
    make(project, OTHER, MemoryBank(bank(3).frames[1:]))
    return project.folder


@pytest.mark.parametrize("harm", [cut_short, longer, empty, flip, swap, gone])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_shot_is_never_read_and_made_again(two_shots, tmp_path, caplog, name, harm):
    project = Project.open(shutil.copytree(two_shots, tmp_path / "story"))
    stored, twin = (project.stored(project.key(told.made_of)) for told in (FIRST, OTHER))
    assert files_of(stored.folder) == FILES
    harm(stored.folder / name, twin.folder / name)
    with caplog.at_level(logging.WARNING):
        assert project.find(stored.key) is None
    assert f"{name} " in caplog.text and "will be made again" in caplog.text
    if harm in (cut_short, empty) and name != "shot.json":
        assert "bytes instead of" in caplog.text
    assert project.changes("a", FIRST.made_of) in (("stored copy",), None)
    again = make(project, FIRST, bank(2))
    assert np.array_equal(np.stack(list(again.frames())), FIRST.frames)
    assert files_of(again.folder) == FILES
    assert [path.name for path in stored.folder.parent.iterdir() if path.name.startswith(".")] == []
    assert project.find(twin.key) is not None


def test_every_single_flipped_byte_of_the_record_is_noticed(project):
    stored = make(project, TOLD)
    path = stored.folder / "shot.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 4
        path.write_bytes(data)
        found = project.find(stored.key)
        # White space may change; nothing that is read may.
        assert found is None or (found.row, found.made_of) == (stored.row, stored.made_of)
    path.write_bytes(whole)
    assert project.find(stored.key) is not None


def test_a_shot_of_another_key_in_its_place(project, caplog):
    one, two = make(project, Told("a", noise(1))), make(project, Told("b", noise(2), seed=8))
    shutil.rmtree(one.folder)
    shutil.copytree(two.folder, one.folder)
    assert project.find(one.key) is None
    assert "belongs to another shot" in caplog.text


def test_a_record_of_another_version_is_not_read(project, caplog):
    stored = make(project, TOLD)
    record = json.loads((stored.folder / "shot.json").read_text())
    (stored.folder / "shot.json").write_text(json.dumps({**record, "version": 2}))
    assert project.find(stored.key) is None
    assert "of version 2, not 1" in caplog.text


# What changed


def test_changes_are_told_by_name(project):
    made_of = {"shot": "a", "prompt": "one", "memory": ["x"], "seed": 1, "models.high": "f00"}
    assert project.changes("a", made_of) is None
    told = TOLD._replace(extra=made_of)
    make(project, told)
    assert project.changes("b", made_of) is None
    made_of = told.made_of
    assert project.changes("a", {**made_of, "prompt": "two", "memory": ["x", "y"]}) == ("prompt", "memory")
    assert project.changes("a", {**made_of, "models.high": "bar"}) == ("models.high",)
    assert project.changes("a", {**made_of, "shift": 4.0}) == ("shift",)
    assert project.changes("a", {name: value for name, value in made_of.items() if name != "seed"}) == (
        "seed",
    )


def test_changes_are_against_the_newest(project):
    import os

    for age, prompt in ((200, "old"), (100, "new")):
        stored = make(project, TOLD._replace(prompt=prompt))
        os.utime(stored.folder / "shot.json", (1e9 - age, 1e9 - age))
    assert project.changes("a", {**TOLD.made_of, "prompt": "new", "seed": 8}) == ("seed",)


# The folder


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    project = Project.open(tmp_path / "series" / "first")
    assert json.loads((project.folder / "store" / "project.json").read_text()) == {"version": 1}


@pytest.mark.parametrize("in_the_way", ["story", "story/store", "story/store/project.json/x"])
def test_a_file_in_the_way(tmp_path, in_the_way):
    path = tmp_path / in_the_way
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(StoryMemError, match=r"cannot be created|does not contain a StoryMem story") as error:
        Project.open(tmp_path / "story")
    assert str(tmp_path / "story") in str(error.value)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["holiday.jpg", "film.mp4", "shots/001.mp4", "story.json"])
def test_a_folder_of_other_things_is_left_alone(tmp_path, name):
    path = tmp_path / "story" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(StoryMemError, match="not empty and does not contain a StoryMem story"):
        Project.open(tmp_path / "story")
    assert contents(tmp_path / "story") == {name: b"{}"}


@pytest.mark.parametrize("name", ["store/project.json", "story.json"])
def test_a_newer_version_is_left_alone(tmp_path, name):
    path = tmp_path / "story" / name
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 2}')
    with pytest.raises(StoryMemError, match="newer version of the pack") as error:
        Project.open(tmp_path / "story")
    assert "version 2" in str(error.value)
    assert contents(tmp_path / "story") == {name: b'{"version": 2}'}


def test_a_damaged_mark_is_written_again(project):
    mark = project.folder / "store" / "project.json"
    mark.write_bytes(b"")
    Project.open(project.folder)
    assert json.loads(mark.read_text()) == {"version": 1}


def test_own_things_beside_a_story_do_not_matter(project):
    (project.folder / "notes.txt").write_text("mine")
    Project.open(project.folder)
    (project.folder / "story.json").write_text('{"version": 1}')
    shutil.rmtree(project.folder / "store")  # how people start afresh
    Project.open(project.folder)
    assert (project.folder / "notes.txt").read_text() == "mine"


def test_hidden_files_do_not_count(tmp_path):
    (tmp_path / "story").mkdir()
    (tmp_path / "story" / ".DS_Store").write_text("")
    Project.open(tmp_path / "story")


def test_frames_must_be_quantised(project):
    with pytest.raises(StoryMemError, match="8-bit RGB"):
        frames = TOLD.frames.astype(np.float32)
        project.store(project.key(TOLD.made_of), TOLD.made_of, TOLD.row, frames, NOTHING, NOTHING)
    assert_whole(project.folder, 0)


# The lock

HOLD = """
import sys; sys.path.insert(0, {root!r})
from storymem_core.store.project import Project
with Project.open(sys.argv[1]).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other_run(project):
    command = [sys.executable, "-c", HOLD.format(root=str(ROOT)), str(project.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_two_runs_on_one_folder(project, other_run):
    with pytest.raises(StoryMemError, match="another run is writing this story") as error, project.locked():
        raise AssertionError("never entered")
    assert f"process {other_run.pid} on " in str(error.value)
    assert str(project.folder) in str(error.value)
    with pytest.raises(StoryMemError, match="another run"):
        make(project, TOLD)
    assert project.find(project.key(TOLD.made_of)) is None


def test_a_run_that_only_looked_does_not_stop_another(project, other_run):
    timer = threading.Timer(0.3, other_run.stdin.close)
    timer.start()
    make(project, TOLD)
    timer.join()


def test_the_lock_goes_with_its_process(project, other_run):
    other_run.kill()
    other_run.wait()
    make(project, TOLD)
    assert not (project.folder / ".lock.json").exists()


def test_two_handles_in_one_process(project):
    with project.locked():
        with pytest.raises(StoryMemError, match="another run"), Project.open(project.folder).locked():
            raise AssertionError("never entered")
        with project.locked():
            make(project, TOLD)
        with pytest.raises(StoryMemError, match="another run"), Project.open(project.folder).locked():
            raise AssertionError("the inner block must not end the outer one's lock")
    with Project.open(project.folder).locked():
        pass


def test_leftovers_are_cleared_under_the_lock_only(project):
    for name in (
        "store/.abc.part/memory/001.png",
        ".film.mp4.part",
        "shots/.001.mp4.part",
        "keyframes/.x.part",
    ):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    Project.open(project.folder)
    assert sum(data == b"half" for data in contents(project.folder).values()) == 4
    with project.locked():
        half = project.folder / ".half.part"
        half.write_bytes(b"being written")
        with project.locked():
            assert half.exists()  # the outer block may be writing it
        assert not any(data == b"half" for data in contents(project.folder).values())


# Killed runs and full disks


def test_killed_at_random_moments_a_run_goes_on_and_ends_as_an_unbroken_one(tmp_path):
    """SIGKILL again and again: no stored shot is ever lost or half, and in the end every byte is the same."""
    script = Path(__file__).with_name("killed_run.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "25", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["shots_lost"], told["differ"]) == (0, [])
    # The test itself: kills did fall into writing, and runs did end.
    assert told["kills"] == 25 and told["half_written"] >= 3 and told["runs"] >= 1 and told["unbroken"] > 60


FULL = """
import resource, sys
sys.path[:0] = [{root!r}, {here!r}]
import numpy as np
from stories import NOTHING, Told, make, noise, remembered
from storymem_core.errors import StoryMemError
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin
from storymem_core.store.project import Project

folder, limit, large = sys.argv[1], int(sys.argv[2]), sys.argv[3]
project = Project.open(folder)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
flat = np.zeros((2, 16, 16, 3), np.uint8)
picture = noise(5, 1, (64, 64))[0] if large == "picture" else flat[0]
embedding = np.ones(4096 if large == "embeddings" else 4)
seen = MemoryBank((MemoryFrame(picture, embedding, None, None, Origin("reference", "x")),))
frames = noise(7, 17, (64, 64)) if large == "frames" else flat
try:
    for number in range(40):
        told = Told(str(number), frames, seed=number, prompt="long" * 5000 if large == "record" else "short")
        project.store(project.key(told.made_of), told.made_of, told.row, frames, seen, NOTHING)
    print("no error")
except StoryMemError as error:
    print(error, "|", type(error.__cause__).__name__)
"""


def may_mount(folder: Path) -> bool:
    """Whether this machine lets a test have a small disk of its own."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)]
    return bool(shutil.which("mount")) and subprocess.run(command, capture_output=True).returncode == 0


def fill(folder: Path, limit: int, large: str) -> str:
    code = FULL.format(root=str(ROOT), here=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, folder, str(limit), large]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_whole(folder: Path, at_least: int) -> None:
    """Nothing half-written is left, and what was stored before can be read."""
    project = Project.open(folder)
    entries = [path.name for path in (folder / "store").iterdir() if path.name != "project.json"]
    assert not [name for name in entries if name.startswith(".")]
    assert len(entries) >= at_least and all(project.find(name) for name in entries)


@pytest.mark.parametrize(
    ("large", "cause"),
    [("frames", "OSError"), ("picture", "OSError"), ("embeddings", "SafetensorError"), ("record", "OSError")],
)
def test_a_file_that_the_disk_does_not_take(tmp_path, large, cause):
    folder = tmp_path / "story"
    make(Project.open(folder), TOLD)
    told = fill(folder, 6_000, large)
    assert told.startswith("no space is left on the disk") and str(folder) in told
    assert told.strip().endswith(cause)
    assert "finished work is kept" in told
    assert_whole(folder, 1)


def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    if not may_mount(disk):
        pytest.skip("no right to mount a small disk; the next test raises ENOSPC by hand")
    try:
        told = fill(disk / "story", 0, "frames")
        assert told.startswith("no space is left on the disk"), told
        assert_whole(disk / "story", 2)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("call", range(0, 24, 3))
def test_a_disk_that_fills_at_any_moment(project, monkeypatch, call):
    import os

    first = make(project, TOLD)
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == call + 1:
            raise OSError(28, "No space left on device")
        return real(handle)

    monkeypatch.setattr(os, "fsync", full)
    told = Told("b", noise(2), seed=8)
    with pytest.raises(StoryMemError, match="no space is left") as error:
        for number in range(4):
            make(project, told._replace(seed=number), bank(3))
    assert error.value.__cause__.errno == 28
    monkeypatch.undo()
    assert_whole(project.folder, 1)
    assert project.find(first.key)


def test_a_file_that_another_program_holds_open(project, monkeypatch):
    """What Windows says of a film that is being played."""
    first = make(project, TOLD)

    def held(*_):
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr("storymem_core.disk.os.replace", held)
    with pytest.raises(StoryMemError, match=r"open in another program.*Close it there"):
        make(project, TOLD._replace(seed=9))
    monkeypatch.undo()
    assert project.find(first.key)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_shared_folder_that_cannot_sync_folders_holds_stories_too(tmp_path, monkeypatch, code):
    fsync = os.fsync

    def of_files_only(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", of_files_only)
    project = Project.open(tmp_path / "story")
    assert make(project, TOLD).key == project.key(TOLD.made_of)


def test_other_errors_are_not_called_a_full_disk(project, monkeypatch):
    def broken(*args):
        raise RuntimeError("the encoder is broken")

    monkeypatch.setattr("storymem_core.frames.frame_file.write", broken)
    with pytest.raises(RuntimeError, match="the encoder is broken"):
        make(project, TOLD)
    assert_whole(project.folder, 0)


# Handles


def test_a_story_grows_by_values(tmp_path):
    story = Story("folder")
    longer = story.added("k1").added("k2", reused=True, stale=("memory",))
    assert story == ("folder", (), (), (), None)
    assert longer == ("folder", ("k1", "k2"), (False, True), ((), ("memory",)), None)


def test_a_story_reads_its_shots_in_order(tmp_path):
    story = tell(tmp_path / "story", [Told("a", noise(1)), Told("b", noise(2), seed=8)])
    assert [shot.id for shot in story.shots()] == ["a", "b"]
