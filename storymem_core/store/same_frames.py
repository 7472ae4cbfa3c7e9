"""Frames that are stored already, though the shot is to be remembered in another way now.

A shot's key is made of what makes its frames and of what makes the memory after it. Where only the latter has
changed, a stored copy has the very frames that the models would make again. They are taken from it, and only
the keyframes are chosen anew: seconds instead of minutes or hours, and no model is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..memory.bank import MemoryBank
from .project import Project
from .stored_shot import StoredShot, differences

CHOOSING = frozenset(
    {
        # These look at a shot's finished frames. What they chose from earlier shots is in the memory seen.
        "embedder",
        "embedder's threshold",
        "filter",
        "keyframe limit",
        "added keyframes",
    }
)
"""Names of what chooses a shot's keyframes."""

STAYING = frozenset(
    {
        # Which frames are to stay for later shots. A model is given pictures, and nothing of these.
        "memory sink",
        "memory capacity",
        "memory pins",
        "memory set aside",
    }
)
"""Names of what decides which frames the memory keeps."""

SEEING = frozenset(
    {
        # All of the bank, with frames that the shot may not see; how those are fitted that are not cropped.
        "memory",
        "memory fit",
        # Which of the bank's references the shot sees: those of these names.
        "memory names",
        "references",
    }
)
"""Names of what decides which pictures a shot sees. A change of these counts if other pictures are seen, so
the pictures themselves are compared."""

log = logging.getLogger(__name__)


def pictures(seen: MemoryBank) -> list[tuple[str, tuple[int, ...], str]]:
    """All that a model is given of a memory, oldest first: pixels (by hash and shape), and how they fit."""
    return [(frame.sha256, frame.pixels.shape, frame.fit) for frame in seen.frames]


def stored(
    project: Project,
    made_of: Mapping[str, Any],
    seen: MemoryBank,
    given: Callable[[MemoryBank], object] = pictures,
) -> StoredShot | None:
    """The newest stored copy of a shot that has the frames which would be made for it now, or None.

    Args:
        made_of: all that would make the shot now; that itself is not stored.
        seen: what the shot sees of the memory.
        given: what of that is given to whatever makes the frames.

    Returns:
        A copy under another key, each of its files checked.
    """
    for copy in reversed(project.copies()):
        changed = set(differences(copy.made_of, made_of))
        if changed and changed <= CHOOSING | STAYING | SEEING:
            whole = project.find(copy.key)
            if whole is not None and given(whole.seen()) == given(seen):
                log.info(
                    "shot %s: frames kept (%s), keyframes selected again, changed: %s",
                    copy.id, copy.key[:12], ", ".join(sorted(changed)),
                )  # fmt: skip
                return whole
    return None


def surely_kept(copy: StoredShot, changed: Sequence[str]) -> bool:
    """Whether a copy's frames stay for all that has changed, as far as that is known without the memory.

    A body of a user's own nodes may use the whole bank it is given, so of its shots nothing is known before.
    """
    return bool(changed) and "body" not in copy.made_of and set(changed) <= CHOOSING | STAYING
