"""One look at a video: its takes, and what every fourth frame looks like. Kept on disk per video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..disk import canonical, digest, replacing
from ..errors import StoryMemError
from ..keyframes.aesthetics import Scorer
from ..keyframes.embedders import BATCH, Embedder
from . import scene_cuts, video_files
from .scene_cuts import Shot

EVERY = 4
"""Frames 0, 4, 8, ... are embedded and scored: as many as there are latent frames."""

SHORT_SIDE = 240
"""Pixels: embedders shrink frames to 224, the filter to 120 rows."""

VERSION = 2
"""Of all that is found here; raise it when the same video would give something else."""


class Entry(NamedTuple):
    """video: name within its folder.  shots: takes.  embeddings [K, D], scores [K]: of frames 0, 4, ..."""

    video: str
    shots: tuple[Shot, ...]
    embeddings: Tensor
    scores: Tensor


def entry_of(file: Path, name: str, store: Path, embedder: Embedder, scorer: Scorer) -> Entry:
    """What is known of a video, from `store` if the same file was looked at before.

    Args:
        name: of the video within its folder.
        store: folder of entries.

    Raises:
        StoryMemError: the video cannot be used (`value` is its path), or the disk is full.
    """
    stat = file.stat()
    key = [VERSION, name, stat.st_size, stat.st_mtime_ns, embedder.name, scorer.name, EVERY, SHORT_SIDE]
    path = store / f"{digest(key)[:32]}.safetensors"
    found = _read(path)
    if found is None:
        found = look(file, name, embedder, scorer)
        _write(found, path)
    return found


def look(file: Path, name: str, embedder: Embedder, scorer: Scorer) -> Entry:
    """Watch a video once; few of its frames are in memory at any time."""
    thumbnails: list[np.ndarray] = []
    embeddings: list[Tensor] = []
    scores: list[Tensor] = []

    def watched() -> Iterator[np.ndarray]:
        for index, frame in enumerate(video_files.frames(file, short_side=SHORT_SIDE)):
            thumbnails.append(scene_cuts.thumbnail(frame))
            if index % EVERY == 0:
                yield frame

    sampled = watched()
    while batch := list(islice(sampled, BATCH)):
        frames = torch.from_numpy(np.stack(batch)).float() / 255
        embeddings.append(embedder(frames))
        scores.append(scorer(frames))
    if not thumbnails:
        raise StoryMemError(
            "this video holds no frames", value=str(file), remedy="Take it out of the folder."
        )
    return Entry(name, scene_cuts.shots(np.stack(thumbnails)), torch.cat(embeddings), torch.cat(scores))


def _write(entry: Entry, path: Path) -> None:
    told = {"video": entry.video, "shots": entry.shots}
    with replacing(path) as temporary:
        tensors = {"embeddings": entry.embeddings.contiguous(), "scores": entry.scores}
        save_file(tensors, temporary, {"entry": canonical(told)})


def _read(path: Path) -> Entry | None:
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["entry"])
            shots = tuple(Shot(*shot) for shot in told["shots"])
            return Entry(told["video"], shots, file.get_tensor("embeddings"), file.get_tensor("scores"))
    except (OSError, SafetensorError):
        return None  # never written, or damaged: look again
