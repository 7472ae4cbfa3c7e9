"""Which stored frames are those that a shot would get now, though its key is another."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from stories import NOTHING, contents, noise, remembered

from storymem_core.memory.bank import MemoryBank, MemoryFrame, account
from storymem_core.memory.references import seen_by
from storymem_core.store import same_frames
from storymem_core.store.project import Project, StoredShot


def picture(seed: int, name: str = "") -> MemoryFrame:
    """A frame of an earlier shot; with a name a reference."""
    return remembered(noise(seed, 1)[0], name or "before", 0, "reference" if name else "shot")


FRAMES = noise(1)
BANK = MemoryBank((picture(1, "hero"), picture(2), picture(3)), embedder="pixels")


def asked(seen=BANK, references=None, **change):
    """What makes a shot."""
    own = {} if references is None else {"references": ", ".join(references)}
    return {
        "shot": "a", "prompt": "A fox.", "seed": 7, "length": 5, "start frames": "s",
        "models.high": "h", "spacing": 5.0, "embedder": "pixels", "embedder's threshold": 0.9,
        "filter": None, "keyframe limit": 3,
        **account(seen), **own, **change,
    }  # fmt: skip


def keep(project, seen=BANK, references=None, frames=FRAMES, **change) -> StoredShot:
    made_of = asked(seen, references, **change)
    row = {"id": made_of["shot"], "dropped": 0, "references": references, "keyframes": []}
    return project.store(project.key(made_of), made_of, row, frames, seen, NOTHING)


def found(project, seen=BANK, references=None, **change) -> StoredShot | None:
    return same_frames.stored(project, asked(seen, references, **change), seen_by(seen, references))


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "story")


def pinned(bank: MemoryBank, place: int) -> MemoryBank:
    frames = [replace(frame, pinned=at == place) for at, frame in enumerate(bank.frames)]
    return replace(bank, frames=tuple(frames))


@pytest.mark.parametrize(
    "change",
    [
        {"keyframe limit": 2},
        {"embedder": "other"},
        {"embedder's threshold": 0.5},
        {"filter": "sharp"},
        {"filter": "sharp", "keyframe limit": 1},
        {"seen": replace(BANK, sink=2)},
        {"seen": replace(BANK, capacity=8)},
        {"seen": pinned(BANK, 1)},
        {"seen": replace(BANK, aside=(picture(4),))},
        {"seen": replace(BANK, frames=(picture(1, "mira"), *BANK.frames[1:]))},
        {"references": ("hero",)},
    ],
)
def test_frames_are_kept_where_only_the_memory_after_a_shot_changes(project, change):
    old = keep(project)
    before = contents(old.folder)
    assert found(project, **change).key == old.key
    assert contents(old.folder) == before


@pytest.mark.parametrize(
    "seen",
    [
        replace(BANK, frames=BANK.frames[:2]),
        replace(BANK, frames=(*BANK.frames[:2], picture(4))),
        replace(BANK, frames=BANK.frames[::-1]),
        replace(BANK, frames=(*BANK.frames[:2], replace(BANK.frames[2], fit="pad"))),
    ],
)
def test_other_pictures_make_other_frames(project, seen):
    keep(project)
    assert found(project, seen) is None


def test_pixels_in_another_shape_are_another_picture(project):
    other = replace(BANK.frames[2], pixels=BANK.frames[2].pixels.reshape(32, 16, 3))
    assert other.sha256 == BANK.frames[2].sha256
    keep(project)
    assert found(project, replace(BANK, frames=(*BANK.frames[:2], other)), **{"keyframe limit": 2}) is None


def test_a_reference_that_the_shot_does_not_see_does_not_count(project):
    old = keep(project, references=())
    assert found(project, replace(BANK, frames=BANK.frames[1:]), ()).key == old.key
    assert found(project, replace(BANK, frames=BANK.frames[1:])).key == old.key, "it sees all that there is"
    assert found(project, references=("hero",)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"shot": "b"},
        {"prompt": "A cat."},
        {"seed": 8},
        {"length": 9},
        {"start frames": "t"},
        {"models.high": "i"},
        {"spacing": 1.0},
        {"lora strength": 0.5},
        {"new": None},
    ],
)
def test_whatever_else_changes_makes_other_frames(project, change):
    keep(project)
    assert found(project, **change, **{"keyframe limit": 2}) is None


def test_a_damaged_copy_gives_no_frames(project):
    old, new = keep(project), keep(project, frames=noise(2), **{"keyframe limit": 2})
    (new.folder / "frames.mkv").write_bytes(b"")
    assert np.array_equal(found(project, filter="sharp").all_frames(), old.all_frames())
    assert found(project, **{"keyframe limit": 2}).key == old.key, "not of the copy that is to be made"
    (old.folder / "frames.mkv").write_bytes(b"")
    assert found(project, filter="sharp") is None


def test_the_log_says_that_frames_are_kept_and_why(project, caplog):
    old = keep(project)
    with caplog.at_level(logging.INFO, logger=same_frames.__name__):
        found(project, filter="sharp", **{"keyframe limit": 2})
    told = f"shot a: frames kept ({old.key[:12]}), keyframes selected again, changed: filter, keyframe limit"
    assert [record.message for record in caplog.records] == [told]


def test_a_body_of_a_users_own_may_use_all_of_the_bank(project):
    old = keep(project)
    other, fewer = replace(BANK, capacity=8), asked(**{"keyframe limit": 2})
    assert same_frames.stored(project, fewer, BANK, given=lambda bank: bank).key == old.key
    assert same_frames.stored(project, asked(other), other, given=lambda bank: bank) is None


def test_what_surely_keeps_its_frames(project):
    old, own = keep(project), keep(project, body="nodes")
    assert same_frames.surely_kept(old, ("keyframe limit", "memory pins"))
    assert not same_frames.surely_kept(old, ("keyframe limit", "memory"))
    assert not same_frames.surely_kept(old, ())
    assert not same_frames.surely_kept(own, ("keyframe limit",)), "its body may use the bank"
