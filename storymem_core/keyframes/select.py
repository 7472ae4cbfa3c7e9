"""Which frames of a shot are worth remembering (StoryMem, arXiv 2512.19539; exact rules as in the release).

The scan keeps the first frame that passes the aesthetic filter, then every later frame that looks unlike the
LAST kept one and passes too. If it keeps more than `limit`, it is repeated with a lower threshold of
similarity, so that what stays differs more and more. Unlike the release's, the scan looks at frame 1 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import StoryMemError

SMALLEST_STEP = 1e-3  # cosines end at -1, so the scans end too: after about 2,000 at most

SIMILAR = "similar to the last kept frame"
LOW_SCORE = "score below the minimum"
OVER_LIMIT = "over the limit: similar to the last kept frame at the lowered threshold"


@dataclass(frozen=True)
class Keyframe:
    index: int
    score: float | None  # None: no aesthetic filter
    similarity: float | None  # cosine to the frame kept before it; None: it is the first


@dataclass(frozen=True)
class Rejected:
    index: int
    reason: str  # SIMILAR, LOW_SCORE or OVER_LIMIT
    score: float | None  # None: never asked
    similarity: float | None  # cosine to the last frame kept before it; None: none was


class Selection(NamedTuple):
    kept: tuple[Keyframe, ...]  # in order of time, and behind them those that `with_added` put there
    rejected: tuple[Rejected, ...]
    threshold: float  # the threshold reached: the start value if the limit never pressed


def select(
    embeddings: Tensor,
    score: Callable[[int], float] | None,
    limit: int = 3,
    threshold: float = 0.9,
    step: float = 0.01,
    min_score: float = 3.0,
) -> Selection:
    """The keyframes of one shot.

    Args:
        embeddings: [N, D], one row a frame in order of time; of any length but zero. N may be 0.
        score: the aesthetic score of a frame by its index, or None for no filter. Asked lazily, at most once
            a frame, and never about a frame that similarity rejects.
        limit: at most so many are kept, 1 or more.
        threshold: a later frame is kept only if its cosine to the last kept frame is BELOW this; -1..1.
        step: how far the threshold goes down before each new scan; 0.001 or more.
        min_score: a frame is kept only if its score is at least this, on the scorer's own scale.

    Returns:
        Every frame once, kept or rejected, in order of time. None kept means that no frame passed the filter.
    """
    _check(embeddings, limit, threshold, step, min_score)
    similarity = _similarities(embeddings)
    scores: dict[int, float] = {}

    def passes(index: int) -> bool:
        if score is None:
            return True
        if index not in scores:
            scores[index] = _finite(float(score(index)), index)
        return scores[index] >= min_score

    reached = threshold
    while len(kept := _scan(similarity, passes, reached)) > limit:
        reached -= step

    last: int | None = None
    rows: list[Keyframe | Rejected] = []
    for index in range(len(similarity)):
        near = None if last is None else similarity[last][index]
        if index in kept:
            rows.append(Keyframe(index, scores.get(index), near))
            last = index
        else:
            rows.append(Rejected(index, _reason(near, threshold, reached), scores.get(index), near))
    return Selection(
        tuple(row for row in rows if isinstance(row, Keyframe)),
        tuple(row for row in rows if isinstance(row, Rejected)),
        reached,
    )


def with_added(selection: Selection, indices: Sequence[int]) -> Selection:
    """A selection with frames that a person chose: behind the others, as the newest, in the order given.

    Args:
        indices: those that are kept already, or that the shot does not have, change nothing.
    """
    rejected = {row.index: row for row in selection.rejected}
    added = {i: Keyframe(i, rejected[i].score, rejected[i].similarity) for i in indices if i in rejected}
    return selection._replace(
        kept=(*selection.kept, *added.values()),
        rejected=tuple(row for row in selection.rejected if row.index not in added),
    )


def _scan(similarity: list[list[float]], passes: Callable[[int], bool], threshold: float) -> list[int]:
    kept: list[int] = []
    for index in range(len(similarity)):
        if (not kept or similarity[kept[-1]][index] < threshold) and passes(index):
            kept.append(index)
    return kept


def _reason(near: float | None, threshold: float, reached: float) -> str:
    if near is None or near < reached:
        return LOW_SCORE
    return SIMILAR if near >= threshold else OVER_LIMIT


def _similarities(embeddings: Tensor) -> list[list[float]]:
    """Cosines of all pairs, [N][N], computed in float64: the scans only look them up."""
    rows = embeddings.detach().to("cpu", torch.float64)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    useless = (~torch.isfinite(lengths) | (lengths == 0)).flatten().nonzero().flatten().tolist()
    if useless:
        raise StoryMemError(
            "every frame's embedding must be finite and not zero",
            value=f"frames {useless}",
            remedy="Check those frames: NaN latents or a wrong embedder cause this.",
        )
    rows = rows / lengths
    return (rows @ rows.T).tolist()


def _finite(score: float, index: int) -> float:
    if math.isnan(score):
        raise StoryMemError(
            f"the aesthetic filter gave no number for frame {index}",
            value=score,
            remedy="Use another scorer.",
        )
    return score


def _check(embeddings: Tensor, limit: int, threshold: float, step: float, min_score: float) -> None:
    if embeddings.ndim != 2:
        raise StoryMemError(
            "embeddings must be [N, D], one row per frame",
            value=tuple(embeddings.shape),
            remedy="Stack them.",
        )
    if limit < 1:
        raise StoryMemError("limit must be 1 or more", value=limit, remedy="StoryMem uses at most 3.")
    if not -1 <= threshold <= 1:
        raise StoryMemError(
            "threshold is a cosine, from -1 to 1", value=threshold, remedy="Use the embedder's own threshold."
        )
    if not SMALLEST_STEP <= step < math.inf:
        raise StoryMemError(f"step must be {SMALLEST_STEP} or more", value=step, remedy="StoryMem uses 0.01.")
    if math.isnan(min_score):
        raise StoryMemError(
            "min_score must be a number", value=min_score, remedy="Use the scorer's threshold."
        )
