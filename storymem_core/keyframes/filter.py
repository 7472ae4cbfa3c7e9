"""What keeps spoiled frames out of the memory: a scorer, and the score from which on it lets pass."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import StoryMemError
from . import aesthetics
from .aesthetics import Scorer


@dataclass(frozen=True)
class Filter:
    """scorer: how a frame is scored.  min_score: on the scorer's own scale; frames below it are kept out."""

    scorer: Scorer
    min_score: float

    @property
    def summary(self) -> str:
        """For people and for the key of a shot: which scorer, from which score on, on which scale."""
        low, high = self.scorer.scale
        return f"{self.scorer.name}: {self.min_score:g} or more, of {low:g} to {high:g}"


def create(name: str, min_score: float = 0.0) -> Filter:
    """A filter by the scorer of this name; a min_score of 0 stands for the scorer's own threshold.

    Raises:
        StoryMemError: no scorer has this name, or its scale ends below the score.
    """
    scorer = aesthetics.get(name)
    low, high = scorer.scale
    if min_score > high:
        raise StoryMemError(
            f"{name} scores frames from {low:g} to {high:g}, so no frame would pass",
            value=min_score,
            remedy=f"Use 0 for its own threshold of {scorer.threshold:g}. The paper's 3.0 is an HPSv3 score.",
        )
    return Filter(scorer, min_score or scorer.threshold)


def passing(filter: Filter, frames: Tensor) -> tuple[Tensor, str]:
    """The frames that pass, [n, H, W, 3], and a line per frame with its score.

    Args:
        frames: float [N, H, W, 3], 0..1; unchanged.
    """
    scores = filter.scorer(frames).tolist()
    passed = [index for index, score in enumerate(scores) if score >= filter.min_score]
    lines = [
        f"frame {index}: {score:.2f}{'' if index in passed else ', kept out'}"
        for index, score in enumerate(scores)
    ]
    return frames[passed], "\n".join([filter.summary, *lines])
