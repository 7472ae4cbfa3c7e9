"""Which clips remember which: a target, and 1 to 5 relatives whose frames are its memory (pure).

StoryMem (arXiv 2512.19539) trains on single-shot clips, each matched with a few that belong together without
being the same. Belonging together is a cosine of the clips' mean embeddings within a band. What a memory
frame must never do is show the target's own frames: the model would learn to copy instead of to remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..keyframes import select as keyframes

MOST_RELATIVES = 5
MOST_FRAMES = 3  # of one relative, as a shot gives at most 3 keyframes when a story is made

DUPLICATE = "a near-duplicate of the target"
OVERLAP = "shows moments of the target's own video at the same time"
LEAK = "its frames are too alike to the target's"
REPEATED = "its frames are too alike to those of nearer relatives"
POOR = "none of its frames passes the aesthetic filter"
ENOUGH = f"there are {MOST_RELATIVES} nearer relatives"


class Clip(NamedTuple):
    """`length` frames of one take, at 16 a second, from frame `start` of the video."""

    id: str
    video: str
    start: int
    length: int

    def overlaps(self, other: Clip) -> bool:
        return (
            self.video == other.video
            and self.start < other.start + other.length
            and other.start < self.start + self.length
        )


@dataclass(frozen=True)
class Look:
    """What a clip looks like.

    Attributes:
        clip: whose frames these are.
        frames: numbers of the frames looked at, counted from the clip's start.
        embeddings: [K, D], rows of length 1, K >= 1.
        scores: [K], aesthetic scores.
    """

    clip: Clip
    frames: tuple[int, ...]
    embeddings: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Band:
    """low: clips that belong together have at least this cosine.  high: near-duplicates have this or more.
    same: two frames show the same view at or above it (the embedder's threshold)."""

    low: float
    high: float
    same: float


class Relative(NamedTuple):
    clip: str
    similarity: float  # cosine to the target
    frames: tuple[int, ...]  # memory frames, counted from the relative's start


class Group(NamedTuple):
    target: str
    relatives: tuple[Relative, ...]  # nearest first, never empty
    refused: dict[str, str]  # clips at or above the band's low end that are no relatives -> why


def group(looks: Sequence[Look], band: Band, min_score: float) -> tuple[Group, ...]:
    """A group for each clip that has a relative.

    A relative's memory frames are its keyframes (see `keyframes.select`) that are unlike every frame of the
    target and every memory frame of the nearer relatives.

    Args:
        looks: of all clips, ids all different.
        band: of similarity.
        min_score: a memory frame has this aesthetic score or more.
    """
    if not looks:
        return ()
    keys = [_keyframes(look, band.same, min_score) for look in looks]
    similarity = similarities(looks)
    groups = (_group(index, looks, keys, similarity[index].tolist(), band) for index in range(len(looks)))
    return tuple(found for found in groups if found.relatives)


def similarities(looks: Sequence[Look]) -> Tensor:
    """Cosines of the clips' mean embeddings, float32 [N, N]."""
    means = F.normalize(torch.stack([look.embeddings.float().mean(0) for look in looks]), dim=1)
    return means @ means.T


def sudden_change(embeddings: Tensor, low: float) -> int | None:
    """Index of the first frame of a new view within a clip, or None: what the scene cuts missed.

    The two frames before and the two after are compared each with each; where even the most alike pair is
    below `low`, the clip does not show one take. A single spoiled frame is none.

    Args:
        embeddings: [K, D] in order of time, rows of length 1.
    """
    for index in range(1, len(embeddings)):
        before, after = embeddings[max(index - 2, 0) : index], embeddings[index : index + 2]
        if float((before @ after.T).max()) < low:
            return index
    return None


def _group(
    target: int, looks: Sequence[Look], keys: Sequence[tuple[int, ...]], similarity: list[float], band: Band
) -> Group:
    relatives: list[Relative] = []
    refused: dict[str, str] = {}
    # What a further memory frame must be unlike: the target's frames, then the memory's too.
    views = looks[target].embeddings
    own = len(views)
    for index in sorted(range(len(looks)), key=lambda other: (-similarity[other], looks[other].clip.id)):
        look = looks[index]
        if index == target or similarity[index] < band.low:
            continue
        near = look.embeddings[list(keys[index])] @ views.T
        leaks = (near[:, :own] >= band.same).any(1).tolist()
        new = [key for key, row in zip(keys[index], near, strict=True) if bool((row < band.same).all())]
        reason = (
            OVERLAP if look.clip.overlaps(looks[target].clip)
            else DUPLICATE if similarity[index] >= band.high
            else POOR if not keys[index]
            else ENOUGH if len(relatives) == MOST_RELATIVES
            else LEAK if all(leaks)
            else REPEATED if not new
            else ""
        )  # fmt: skip
        if reason:
            refused[look.clip.id] = reason
            continue
        frames = tuple(look.frames[key] for key in new)
        relatives.append(Relative(look.clip.id, similarity[index], frames))
        views = torch.cat([views, look.embeddings[new]])
    return Group(looks[target].clip.id, tuple(relatives), refused)


def _keyframes(look: Look, same: float, min_score: float) -> tuple[int, ...]:
    """Rows of a look that are worth remembering."""
    selection = keyframes.select(
        look.embeddings, lambda row: float(look.scores[row]), MOST_FRAMES, same, min_score=min_score
    )
    return tuple(frame.index for frame in selection.kept)
