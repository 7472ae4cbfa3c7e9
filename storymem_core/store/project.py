"""A story's folder: the one place of state on disk.

    <folder>/store/<key>/   shot.json  frames.mkv  memory/  keyframes/    what a run made, never changed again
    <folder>/store/project.json     whose folder it is, and of which version (story_folder.py)
    <folder>/store/outline.json     the shots that were asked for, the takes that were chosen (outline.py)
    <folder>/.lock          one run at a time

A shot is stored under the key of all that made it. Its folder is written under another name and renamed, so
it is there wholly or not at all, whatever kills the run; what is damaged later is noticed and made again.
Everything else in the folder is derived from the store (publish.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..disk import digest, remove, remove_unfinished, room_in, sync, sync_tree, unfinished, write_json
from ..errors import StoryMemError
from ..frames import frame_file
from ..memory import bank_folder, story_edits
from ..memory.bank import MemoryBank
from . import outline, story_folder
from .outline import Outline
from .output_folder import output_folder
from .stored_shot import (
    FRAMES,
    KEYFRAMES,
    MEMORY,
    RECORD,
    Damaged,
    StoredShot,
    differences,
    glance,
    read,
    record,
)  # fmt: skip
from .story_folder import Lock

__all__ = ["Project", "StoredMemory", "StoredShot", "Story", "output_folder"]

FILM, SHEET, CLIPS, PICTURES = "film.mp4", "contact_sheet.png", "shots", "keyframes"

log = logging.getLogger(__name__)


class Story(NamedTuple):
    """A story so far, as nodes hand it on: where it lies and its shots in order, no frames."""

    folder: str
    keys: tuple[str, ...] = ()
    reused: tuple[bool, ...] = ()
    """Per shot: it was found stored, not made by this run."""
    stale: tuple[tuple[str, ...], ...] = ()
    """Per shot: what has changed, by name, since the copy that stays was made."""
    begins: MemoryBank | None = None
    """The memory before the first shot, where that shot's copy is stale and may have seen another."""

    def added(
        self,
        key: str,
        reused: bool = False,
        stale: tuple[str, ...] = (),
        memory: MemoryBank | None = None,
    ) -> Story:
        """This story with one more shot.

        Args:
            memory: the memory before it; needed of a first shot whose copy is stale.
        """
        begins = memory if stale and not self.keys else self.begins
        return Story(self.folder, (*self.keys, key), (*self.reused, reused), (*self.stale, stale), begins)

    def shots(self) -> tuple[StoredShot, ...]:
        """All shots, checked."""
        project = Project.there(self.folder)
        return tuple(map(project.stored, self.keys))

    def memory(self, edits: str = "") -> StoredMemory:
        """The memory after the newest shot.

        A stale copy saw another memory than this story's. So the way begins at the newest copy that saw the
        story's own, and goes on by what the later ones gave.

        Args:
            edits: of the story, see `memory.story_edits`: what they keep does not slide out on that way.
        """
        own = [place for place, stale in enumerate(self.stale) if not stale]
        begin = max(own, default=0)
        later = self.keys[begin + 1 :]
        if edits and later:
            ids = [shot.id for shot in Project.there(self.folder).glanced(self.keys)]
            edits = story_edits.exact(edits, ids)
        return StoredMemory(
            self.folder, self.keys[begin], later, None if own else self.begins, edits if later else ""
        )


def shot_ids(story: Story) -> tuple[str, ...]:
    """The ids of a story's shots in order, those that were left out of it too: their places are numbers."""
    project = Project.there(story.folder)
    own = tuple(project.given(story.keys))
    return project.outline().whole(own) or own


class StoredMemory(NamedTuple):
    """The memory after a stored shot, as nodes hand it on."""

    folder: str
    key: str
    later: tuple[str, ...] = ()
    """Keys of the shots after it that move its memory on."""
    before: MemoryBank | None = None
    """The memory before the shot; None: what it saw."""
    edits: str = ""
    """What is done to the memory before each of the later shots, see `memory.story_edits.exact`."""

    def load(self) -> MemoryBank:
        """m_i = f(m_{i-1}, v_i): the bank before the shot, moved on by the keyframes that it gave."""
        project = Project.there(self.folder)
        shot = project.stored(self.key)
        bank = shot.memory_after() if self.before is None else shot.moved_on(self.before)
        for key in self.later:
            bank = project.stored(key).moved_on(story_edits.seen_by_next(bank, self.edits, {}))
        return bank


class Project:
    """A story's folder. Reading needs no lock; what writes takes it by itself."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = Lock(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Project:
        """Open a story's folder, or make it.

        Raises:
            StoryMemError: a file is in the way, the folder holds other things than a story, a newer version
                of the pack made it, or it cannot be written to.
        """
        folder = Path(folder).absolute()
        story_folder.claim(folder)
        return cls(folder)

    @classmethod
    def there(cls, folder: str | Path) -> Project:
        """Open the folder of a story that is there already.

        Raises:
            StoryMemError: there is none; and what `open` raises.
        """
        if not (Path(folder) / "store").is_dir():
            raise StoryMemError(
                "there is no story in this folder; was it moved or renamed?",
                value=str(folder),
                remedy="Run the story first, or use the folder's current name as its project.",
            )
        return cls.open(folder)

    @staticmethod
    def key(made_of: Mapping[str, Any]) -> str:
        """sha256 (hex) of all that makes a shot: JSON's values by name, in any order; NaN is a ValueError."""
        return digest(dict(made_of))

    def find(self, key: str) -> StoredShot | None:
        """The shot stored under `key`, each of its files checked, or None if it has to be made.

        A damaged one is reported in the log and never read.
        """
        try:
            return read(self._entry(key))
        except FileNotFoundError:
            return None
        except Damaged as damage:
            log.warning("stored shot %s: %s; it will be made again", key[:12], damage)
            return None

    def stored(self, key: str) -> StoredShot:
        """The shot stored under `key`, which must be there.

        Raises:
            StoryMemError: it is not, or it is damaged.
        """
        shot = self.find(key)
        if shot is None:
            raise StoryMemError(
                "a stored shot of this story is missing or damaged",
                value=str(self._entry(key)),
                remedy="Run the story again: that shot is made again, the others are kept.",
            )
        return shot

    def store(
        self,
        key: str,
        made_of: Mapping[str, Any],
        row: Mapping[str, Any],
        frames: np.ndarray,
        seen: MemoryBank,
        keyframes: MemoryBank,
    ) -> StoredShot:
        """Keep a shot for ever, at once: when this returns, it is on the disk.

        Args:
            key: `Project.key(made_of)`.
            row: its row of story.json: id, prompt, seed, dropped, ... JSON's values only. With "fps" it says
                at what rate it was made; a film of another rate then refuses it.
            frames: uint8 [F, H, W, 3], those that repeat the shot before included.
            seen: the bank that the shot saw.
            keyframes: the frames that it gave: those that the bank took (`memory.bank.Update.kept`).

        Returns:
            The stored shot, read back. If the key is stored already, that shot stays.

        Raises:
            StoryMemError: no space left (nothing of this shot remains then, earlier ones are untouched);
                another run works in this folder.
        """
        if key != self.key(made_of):
            raise ValueError("a shot is stored under the key of what made it")
        entry = self._entry(key)
        temporary, replaced = unfinished(entry), unfinished(entry.with_name(f"{key}.damaged"))
        with self.locked():
            there = self.find(key)
            if there is not None:
                return there
            try:
                with room_in(self.folder):
                    temporary.mkdir()
                    frame_file.write(frames, temporary / FRAMES)
                    bank_folder.save(seen, temporary / MEMORY)
                    bank_folder.save(keyframes, temporary / KEYFRAMES)
                    write_json(temporary / RECORD, record(temporary, key, made_of, row, frames.shape))
                    sync_tree(temporary)
                    if entry.exists():
                        entry.rename(replaced)
                    temporary.rename(entry)
                    sync(entry.parent)
            finally:
                remove(temporary)
                remove(replaced)
        return self.stored(key)

    def copies(self) -> list[StoredShot]:
        """Every stored shot by its record, oldest first; its frames may be damaged (see `find`)."""
        found = []
        for path in self._store.glob(f"[0-9a-f]*/{RECORD}"):
            with suppress(Damaged):  # `find` tells of it, should it be needed
                found.append((path.stat().st_mtime_ns, glance(path.parent)))
        # By the record's own time first: a copied folder may have lost those of its files.
        return [shot for _, shot in sorted(found, key=lambda one: (one[1].made, one[0], one[1].key))]

    def given(self, keys: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """What stored shots gave to the memory, in order: each one's id -> the numbers of its frames."""
        shots = self.glanced(keys)
        return {shot.id: tuple(frame["frame"] for frame in shot.row["keyframes"]) for shot in shots}

    def glanced(self, keys: Sequence[str]) -> tuple[StoredShot, ...]:
        """Stored shots by their records alone, in order: cheap, but their frames and banks may be damaged.

        Raises:
            StoryMemError: one is not stored, or its record is damaged.
        """
        return tuple(map(self._glance, keys))

    def changes(self, shot_id: str, made_of: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Why a shot has to be made: the names of what differs from the newest stored shot of the same id.

        Returns:
            None if no shot of this id was ever stored: it is new. ("stored copy",) if nothing differs but the
            stored copy is missing or damaged.
        """
        copies = [copy for copy in self.copies() if copy.id == shot_id]
        return (differences(copies[-1].made_of, made_of) or ("stored copy",)) if copies else None

    def outline(self) -> Outline:
        """What the story is to be, and what was decided about its shots.

        Raises:
            StoryMemError: its file is damaged.
        """
        return outline.read(self._store / outline.OUTLINE)

    def outlined(self, told: Outline) -> None:
        """Keep what the story is to be.

        Raises:
            StoryMemError: no space left; another run works in this folder.
        """
        with self.locked():
            outline.write(self._store / outline.OUTLINE, told)

    @contextmanager
    def locked(self) -> Iterator[Project]:
        """Be the only run that writes here; the lock goes with the process, however it ends. May be nested.

        Raises:
            StoryMemError: another run has it.
        """
        with self._lock.held():
            if self._lock.count == 1:
                for folder in (self._store, self.folder, self.folder / CLIPS, self.folder / PICTURES):
                    remove_unfinished(folder)
            yield self

    def _glance(self, key: str) -> StoredShot:
        try:
            return glance(self._entry(key))
        except (FileNotFoundError, Damaged):
            return self.stored(key)  # says what is wrong with it

    @property
    def _store(self) -> Path:
        return self.folder / "store"

    def _entry(self, key: str) -> Path:
        return self._store / key
