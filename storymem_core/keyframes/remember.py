"""From a shot's frames to the memory after it: embed, select, and update the bank."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..frames.pixels import as_images, quantise
from ..memory.bank import MemoryBank, MemoryFrame, Origin, Update, update
from ..memory.frame import CROP, Picture
from ..memory.references import REFERENCE
from ..store.project import StoredMemory
from .embedders import Embedder
from .filter import Filter
from .select import Selection, select, with_added

_BATCH = 16
"""Frames that are turned into floats at once: a shot of 81 frames would otherwise cost 400 MB."""


_NOTHING = "no frame of this shot entered the memory"

log = logging.getLogger(__name__)


class Remembered(NamedTuple):
    """What a shot leaves behind."""

    bank: MemoryBank
    """The memory after the shot."""
    kept: tuple[MemoryFrame, ...]
    """The keyframes that entered it."""
    selection: Selection
    update: Update
    first: int
    """Where the selection's frame 0 stands in the shot: behind the frames that repeat the shot before."""

    @property
    def keyframes(self) -> MemoryBank:
        """The keyframes alone, as a bank like the one that they entered."""
        return replace(self.bank, frames=self.kept, aside=())

    @property
    def report(self) -> str:
        """What was kept and what was rejected and why, a line per frame."""
        lines = [f"frame {frame.origin.frame}: kept" for frame in self.kept]
        lines += [
            f"frame {frame.origin.frame}: {reason}" + ("" if similarity is None else f" ({similarity:.3f})")
            for frame, reason, similarity in self.update.rejected
        ]
        lines += [
            f"frame {self.first + rejected.index}: {rejected.reason}" for rejected in self.selection.rejected
        ]
        if not self.kept:
            lines[:0] = self.doubts or (_NOTHING,)
        return "\n".join(lines)

    @property
    def doubts(self) -> tuple[str, ...]:
        """That the filter let no frame pass, for people; empty if it did."""
        # A scan keeps the first frame that the filter lets pass: without a filter it is never empty.
        none_passed = bool(self.selection.rejected) and not self.selection.kept
        return (f"{_NOTHING}: the filter rejected them all",) if none_passed else ()


def remember(
    bank: MemoryBank,
    frames: np.ndarray,
    embedder: Embedder,
    filter: Filter | None,
    *,
    shot: str,
    limit: int = 3,
    threshold: float | None = None,
    first: int = 0,
    added: Sequence[int] = (),
) -> Remembered:
    """The memory after a shot: m_i = f(m_{i-1}, v_i) (StoryMem, arXiv 2512.19539).

    Args:
        bank: the memory that the shot saw.
        frames: the shot's frames, uint8 [F, H, W, 3].
        filter: keeps spoiled frames out; None keeps all.
        shot: the shot's id, kept with each keyframe.
        limit: most keyframes of one shot.
        threshold: cosine similarity above which two frames count as the same; None: the embedder's.
        first: index of the first frame that may be kept; those before it repeat the shot before.
        added: indices of frames that a person added: they are kept in any case, as the newest, and do not
            count for the limit.

    Raises:
        StoryMemError: the bank was filled by another embedder, or `limit` or `threshold` is out of range.
    """
    bank = bank.embedded_by(embedder.name)
    threshold = embedder.threshold if threshold is None else threshold
    own = frames[first:]
    embeddings = embed(embedder, own)
    selection = select(
        embeddings,
        None if filter is None else partial(_score, filter, own),
        limit=limit,
        threshold=threshold,
        min_score=0.0 if filter is None else filter.min_score,
    )
    chosen = [index - first for index in added]
    selection = with_added(selection, chosen)
    candidates = [
        MemoryFrame(
            pixels=own[keyframe.index],
            embedding=embeddings[keyframe.index].numpy(),
            score=keyframe.score,
            similarity=keyframe.similarity,
            origin=Origin("shot", shot, first + keyframe.index),
        )
        for keyframe in selection.kept
    ]
    wanted = [i for i, keyframe in enumerate(selection.kept) if keyframe.index in chosen]
    after = update(bank, candidates, threshold, wanted)
    remembered = Remembered(after.bank, after.kept, selection, after, first)
    for doubt in remembered.doubts:
        log.warning("shot %s: %s", shot, doubt)
    return remembered


def _score(filter: Filter, frames: np.ndarray, index: int) -> float:
    return float(filter.scorer(as_images(frames[index : index + 1]))[0])


def with_references(
    bank: MemoryBank,
    images: Iterable[Tensor],
    embedder: Embedder,
    names: Sequence[str] = (),
    fit: str = CROP,
) -> MemoryBank:
    """A bank with reference images behind what it holds (MR2V): in an empty one they are the sink.

    They are taken as they are, however alike: whoever gives two pictures of a face wants both.

    Args:
        images: [H, W, 3], 0..1, of any sizes.
        names: one per image, "" or nothing for "reference N". Images of one name are its frames 0, 1, ...
        fit: one of FITS, for images of another shape than the film's.

    Raises:
        StoryMemError: more images than the bank has room for, or another embedder's bank.
    """
    bank = bank.embedded_by(embedder.name)
    given = Counter(frame.origin.shot for frame in bank.frames if frame.origin.source == REFERENCE)
    references = []
    for image, name in zip(images, chain(names, repeat("")), strict=False):
        name = name or f"{REFERENCE} {given.total() + 1}"
        pixels = quantise(image.cpu()[..., :3])
        embedding = embed(embedder, pixels[None])[0].numpy()
        origin = Origin(REFERENCE, name, given[name])
        references.append(MemoryFrame(pixels, embedding, None, None, origin, fit=fit))
        given[name] += 1
    return replace(bank, frames=(*bank.frames, *references))


def as_bank(memory: MemoryBank | StoredMemory | None) -> MemoryBank:
    """What a memory socket brings, as a value; nothing is an empty bank."""
    if memory is None:
        return MemoryBank()
    return memory.load() if isinstance(memory, StoredMemory) else memory


def memory_pictures(memory: MemoryBank | StoredMemory | Tensor | None) -> list[Picture]:
    """What a memory socket brings that also takes an IMAGE batch [M, H, W, 3], oldest first."""
    if isinstance(memory, Tensor):
        return [Picture(pixels) for pixels in quantise(memory.cpu()[..., :3])]
    return [frame.picture for frame in as_bank(memory).frames]


def embed(embedder: Embedder, frames: np.ndarray) -> Tensor:
    """Unit embeddings of uint8 frames [F, H, W, 3], each computed once, in batches: fp32 [F, D]."""
    batches = [frames[i : i + _BATCH] for i in range(0, len(frames), _BATCH)]
    return torch.cat([embedder(as_images(batch)).cpu() for batch in batches])
