"""Hard use of a story's folder: files damaged at random, a disk that is full at any write; then a new run.

`damaged` and `filled` make a small story, harm it, run it as every start of the command does, and compare
each file with those of an unbroken run. The tests take a few rounds, `run.py bench damage` hundreds.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from killed_run import run, what_matters

from storymem_core.errors import StoryMemError

Told = dict[str, int]


def damaged(root: Path, rounds: int, seed: int) -> Told:
    """Damage one to three files of a finished story, `rounds` times, and run it again each time.

    Returns:
        How often all was made as it was ("remade") and how often the run refused with an error ("refused"),
        and how many damages of each kind there were.

    Raises:
        AssertionError: another film, or any other file, than the unbroken run's; an error that names no file.
    """
    chance, told = random.Random(seed), Counter[str]()
    unbroken, folder = _unbroken(root)
    whole = what_matters(unbroken)
    for _ in range(rounds):
        harms = [_damage(folder, chance) for _ in range(chance.randint(1, 3))]
        told.update(way for way, _ in harms)
        try:
            run(folder)
        except StoryMemError as error:
            assert str(folder) in str(error), error
            told["refused"] += 1
            shutil.rmtree(folder)
            shutil.copytree(unbroken, folder)
        else:
            told["remade"] += 1
            assert not _differing(folder, whole), (harms, _differing(folder, whole))
    return dict(told)


def filled(root: Path, calls: Iterator[int]) -> Told:
    """Make a story on a disk that is full at its n-th write, for each n of `calls`; then with room again.

    Returns:
        How often the run was stopped ("full"), and how many shots were found stored afterwards ("kept").

    Raises:
        AssertionError: another error, a lost shot, or another film than the unbroken run's.
    """
    told = Counter[str]()
    unbroken, folder = _unbroken(root)
    whole = what_matters(unbroken)
    for call in calls:
        shutil.rmtree(folder)
        with _full_at(call) as written:
            try:
                run(folder)
            except StoryMemError as error:
                assert "no space is left on the disk" in str(error)
                told["full"] += 1
        if len(written) <= call:  # it needs no more writes than these
            assert _differing(folder, whole) == []
            break
        kept = {path.name for path in (folder / "store").glob("[0-9a-f]*") if path.is_dir()}
        told["kept"] += len(kept)
        times = {key: (folder / "store" / key / "frames.mkv").stat().st_mtime_ns for key in kept}
        run(folder)
        assert _differing(folder, whole) == []
        for key, time in times.items():
            assert (folder / "store" / key / "frames.mkv").stat().st_mtime_ns == time, "made twice"
    return dict(told)


def _unbroken(root: Path) -> tuple[Path, Path]:
    """An unbroken run's folder, and a copy of it to be harmed; under one name, which the film tells."""
    unbroken, folder = root / "unbroken" / "story", root / "harmed" / "story"
    run(unbroken)
    shutil.copytree(unbroken, folder)
    return unbroken, folder


def _differing(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """Files that are not those of the unbroken run: byte by byte, JSON by what it says."""
    there = what_matters(folder)
    return sorted(
        name
        for name in {*there, *whole}
        if there.get(name) != whole.get(name) and not _says_the_same(name, there.get(name), whole.get(name))
    )


def _says_the_same(name: str, one: bytes | None, other: bytes | None) -> bool:
    # A file that has lost its last line's end is whole, and is not written again.
    return name.endswith(".json") and None not in (one, other) and json.loads(one) == json.loads(other)


def _damage(folder: Path, chance: random.Random) -> tuple[str, str]:
    """Damage a file; how, and which."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".lock"))
    path, other = chance.sample(files, 2)
    data = path.read_bytes()
    way = chance.choice(("emptied", "truncated", "flipped", "lengthened", "swapped", "removed"))
    if way == "emptied":
        path.write_bytes(b"")
    elif way == "truncated":
        path.write_bytes(data[: chance.randrange(max(1, len(data)))])
    elif way == "flipped" and data:
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :])
    elif way == "lengthened":
        path.write_bytes(data + chance.randbytes(chance.randint(1, 100)))
    elif way == "swapped":
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif way == "removed":
        path.unlink()
    return way, path.relative_to(folder).as_posix()


@contextmanager
def _full_at(call: int) -> Iterator[list[int]]:
    """The disk takes `call` files and folders, and nothing after them."""
    real, written = os.fsync, []

    def full(handle: int) -> None:
        written.append(handle)
        if len(written) > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    os.fsync = full
    try:
        yield written
    finally:
        os.fsync = real
