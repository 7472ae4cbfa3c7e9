"""A clip that a person gives as a story's first shot: kept like a made one, seen by the memory, continued."""

from __future__ import annotations

import hashlib
import logging
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
from torch import Tensor

from ..conditioning.start import check_size
from ..errors import StoryMemError
from ..film import film
from ..frames.pixels import quantise
from ..host.vae import resize
from ..keyframes import embedders
from ..keyframes.embedders import Embedder
from ..keyframes.filter import Filter
from ..keyframes.remember import as_bank, remember
from ..memory.bank import MemoryBank
from ..memory.frame import CROP
from ..script.plan import ShotPlan
from ..store import same_frames
from ..store.project import Project, StoredMemory, Story, output_folder
from ..store.takes import standing
from .shot import Choice
from .shot_images import Given
from .shot_record import of_the_story, told_of

RECIPE = 1
"""Version of the way a clip is kept. It enters every key."""

_BATCH = 16
"""Frames that are resized at once: a clip of large pictures would else be in memory twice."""

log = logging.getLogger(__name__)


def add_clip(
    root: Path,
    images: Tensor,
    *,
    project: str,
    width: int,
    height: int,
    clip_fps: float,
    fps: float,
    keyframes: int,
    fit: str = CROP,
    prompt: str = "",
    shot_id: str = "clip",
    memory: MemoryBank | StoredMemory | None = None,
    embedder: Embedder | None = None,
    filter: Filter | None = None,
) -> Story:
    """A story whose first shot is a given clip.

    Args:
        root: the host's output folder.
        images: the clip, [N, H, W, C], 0..1, of any size.
        fit: how it is brought to width and height, one of `memory.frame.FITS`.
        clip_fps: its own rate; fps: the film's. Frames are left out or repeated, so that it keeps its speed.
        prompt: what it shows, for the record.
        memory: what the story remembers before it.

    Raises:
        StoryMemError: no frames, a size or rate that cannot be, a memory of another embedder, another run in
            the folder, no space left.
    """
    check_size(width, height)
    choice = Choice(embedder or embedders.default(), filter, keyframes)
    seen = as_bank(memory).embedded_by(choice.embedder.name)
    frames = _fitted(images, at_rate(len(images), clip_fps, fps), width, height, fit)
    planned = ShotPlan(shot_id, 1, prompt, None, "given", True, 0, len(frames), 0)
    made_of = {
        "recipe": ["given clip", RECIPE],
        **of_the_story(planned, choice, seen, Given()),
        "frames": hashlib.sha256(frames.tobytes()).hexdigest(),
        "fps": float(film.rate(fps)),
    }
    there = Project.open(output_folder(root, project))
    story = Story(str(there.folder))
    found = standing(there, shot_id, made_of, there.outline().of(shot_id))
    if found is not None:
        log.info("the given clip is there already (%s)", found.shot.key[:12])
        return story.added(found.shot.key, True, found.stale, seen)
    with there.locked():
        # Its frames are in its key: a copy that differs otherwise has them too. The next shot's join asks.
        kept = same_frames.stored(there, made_of, seen, given=lambda bank: None)
        after = remember(seen, frames, choice.embedder, filter, shot=shot_id, limit=keyframes)
        row = {
            **told_of(planned, seen, after, frames_of=None if kept is None else kept.frames_of),
            "fps": float(film.rate(fps)),
            "changed": list(there.changes(shot_id, made_of) or ()),
            "seconds": {},
        }
        stored = there.store(there.key(made_of), made_of, row, frames, seen, after.keyframes)
    return story.added(stored.key)


def at_rate(count: int, own: float, wanted: float) -> list[int]:
    """Of a clip at its own rate the frames that stand on the screen at another one: indices, in order.

    Raises:
        StoryMemError: there are no frames; a rate that cannot be.
    """
    if not count:
        raise StoryMemError("a clip must have at least one frame", value=0, remedy="Connect another clip.")
    step = Fraction(film.rate(own)) / film.rate(wanted)
    return [math.floor(place * step) for place in range(math.ceil(count / step))]


def _fitted(images: Tensor, places: list[int], width: int, height: int, fit: str) -> np.ndarray:
    """The frames at these places in the film's size, uint8 [len(places), height, width, 3]."""
    batches = (places[begin : begin + _BATCH] for begin in range(0, len(places), _BATCH))
    return np.concatenate(
        [
            quantise(resize(images[batch].cpu().float(), width=width, height=height, fit=fit))
            for batch in batches
        ]
    )
