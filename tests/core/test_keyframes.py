"""Keyframe selection equals a literal, slow reading of the rules, on thousands of random shots."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.keyframes.select import LOW_SCORE, OVER_LIMIT, SIMILAR, Keyframe, Rejected, select


def cosine(a, b):
    a, b = a.double(), b.double()
    return float((a * b).sum() / (a.norm() * b.norm()))


def literal(embeddings, scores, limit, threshold, step, min_score):
    """The rules, word by word. Every similarity is computed anew; `scores` is a list or None.

    Returns (kept indices, {rejected index: reason}, the threshold reached, indices whose score was needed).
    """
    asked = set()

    def good_enough(index):
        if scores is None:
            return True
        asked.add(index)
        return scores[index] >= min_score

    current = threshold
    while True:
        kept, why = [], {}
        for index in range(len(embeddings)):
            if not kept:
                # The first frame whose score is high enough.
                if good_enough(index):
                    kept.append(index)
                else:
                    why[index] = LOW_SCORE
                continue
            similarity = cosine(embeddings[kept[-1]], embeddings[index])
            if similarity >= threshold:
                why[index] = SIMILAR
            elif similarity >= current:
                why[index] = OVER_LIMIT
            elif not good_enough(index):
                why[index] = LOW_SCORE
            else:
                kept.append(index)
        if len(kept) <= limit:
            return kept, why, current, asked
        current = current - step


class Asked:
    def __init__(self, scores):
        self.scores, self.count = scores, Counter()

    def __call__(self, index):
        self.count[index] += 1
        return self.scores[index]


def compare(embeddings, scores, **settings):
    ask = None if scores is None else Asked(scores)
    result = select(embeddings, ask, **settings)
    kept, why, reached, asked = literal(embeddings, scores, **settings)
    assert [k.index for k in result.kept] == kept
    assert {r.index: r.reason for r in result.rejected} == why
    assert result.threshold == reached
    if ask:
        assert set(ask.count) == asked  # lazily: a frame that similarity rejects is not asked about
        assert set(ask.count.values()) <= {1}  # and never twice, over all the scans
        assert all(r.score == (scores[r.index] if r.index in asked else None) for r in result.rejected)
        assert all(k.score == scores[k.index] for k in result.kept)
    before = None
    for row in sorted(result.kept + result.rejected, key=lambda row: row.index):
        expected = None if before is None else cosine(embeddings[before], embeddings[row.index])
        assert row.similarity == (expected if expected is None else pytest.approx(expected, abs=1e-12))
        before = row.index if isinstance(row, Keyframe) else before
    return result


def random_shot(seed):
    """Wandering or clustered frames: walks of many step sizes, and cuts between a few views."""
    g = torch.Generator().manual_seed(seed)

    def rand(low, high):
        return low + (high - low) * float(torch.rand((), generator=g))

    n, d = int(rand(1, 22)), int(rand(2, 24))
    if seed % 2:
        shot = torch.randn(d, generator=g) + rand(0.02, 1) * torch.randn(n, d, generator=g).cumsum(0)
    else:
        centres = torch.randn(int(rand(1, 6)), d, generator=g)
        shot = centres[torch.randint(len(centres), (n,), generator=g)] + rand(0, 0.5) * torch.randn(
            n, d, generator=g
        )
    scores = None if seed % 5 == 0 else (3 + 2 * torch.randn(n, generator=g)).tolist()
    return shot * rand(0.1, 50), scores, rand(0.3, 1), int(rand(1, 6)), 10 ** rand(-2.3, -0.5)


def test_equal_to_the_literal_rules_on_thousands_of_shots():
    sweeps = []
    for seed in range(3000):
        shot, scores, threshold, limit, step = random_shot(seed)
        result = compare(shot, scores, limit=limit, threshold=threshold, step=step, min_score=3.0)
        sweeps.append(round((threshold - result.threshold) / step))
    # The inputs must press: none, some and very many lowered thresholds.
    assert sum(s == 0 for s in sweeps) > 500 and sum(s > 1 for s in sweeps) > 500 and max(sweeps) > 100


@settings(max_examples=200, deadline=None)
@given(
    angles=st.lists(st.integers(0, 23), min_size=1, max_size=20),
    scores=st.lists(st.sampled_from([2.9, 3.0, 3.1, math.inf, -math.inf]), min_size=20, max_size=20),
    limit=st.integers(1, 4),
    step=st.sampled_from([0.001, 0.01, 0.1, 3.0]),
)
def test_equal_to_the_literal_rules_with_repeated_views_and_scores_at_the_minimum(
    angles, scores, limit, step
):
    # An odd offset keeps cosines away from exact ties, where two ways of rounding might differ.
    turns = torch.tensor([2 * math.pi * a / 24 for a in angles], dtype=torch.float64)
    shot = torch.stack([turns.cos(), turns.sin()], dim=1)
    compare(shot, scores[: len(angles)], limit=limit, threshold=0.90137, step=step, min_score=3.0)


def turned(*degrees):
    return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees])


def test_similarity_is_to_the_last_kept_frame_only():
    # 0 and 180 are kept; the second 0 is unlike its predecessor, though it equals the first.
    assert [k.index for k in select(turned(0, 10, 180, 0), None, limit=9).kept] == [0, 2, 3]


def test_frame_1_is_looked_at():
    assert [k.index for k in select(turned(0, 90, 91), None).kept] == [0, 1]


def test_the_first_kept_frame_is_the_first_that_passes_and_none_may_pass():
    shot = turned(0, 1, 2)
    assert [k.index for k in select(shot, [2.9, 3.0, 9.0].__getitem__).kept] == [1]
    nothing = select(shot, [0, 0, 0].__getitem__)
    assert nothing.kept == () and {r.reason for r in nothing.rejected} == {LOW_SCORE}
    assert nothing.threshold == 0.9


def test_exact_ties_a_cosine_at_the_threshold_is_too_similar_and_a_score_at_the_minimum_is_enough():
    shot = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert len(select(shot, lambda _: 3.0, threshold=0.0).kept) == 1
    assert len(select(shot, lambda _: 3.0, threshold=0.01).kept) == 2


def test_the_limit_lowers_the_threshold_until_few_are_kept():
    result = select(turned(0, 30, 60, 90, 120), None, limit=3)
    assert [k.index for k in result.kept] == [0, 2, 4]
    assert result.threshold == pytest.approx(0.86, abs=1e-9)  # just below cos 30 degrees = .866
    assert [(r.index, r.reason) for r in result.rejected] == [(1, OVER_LIMIT), (3, OVER_LIMIT)]
    assert result.rejected[0] == Rejected(
        1, OVER_LIMIT, None, pytest.approx(math.cos(math.radians(30)), abs=1e-6)
    )


def test_even_opposite_frames_end_the_scans():
    result = select(turned(*[0, 180] * 20), None, limit=1, step=0.001)
    assert [k.index for k in result.kept] == [0] and result.threshold <= -1


def test_no_frames_no_keyframes():
    assert tuple(select(torch.zeros(0, 8), None)) == ((), (), 0.9)


def test_the_embeddings_are_not_changed_and_their_length_does_not_matter():
    shot = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    before = shot.clone()
    first = select(shot, None)
    assert torch.equal(shot, before)
    assert [k.index for k in select(shot * 1000, None).kept] == [k.index for k in first.kept]


@pytest.mark.parametrize(
    "embeddings, settings, message",
    [
        (torch.tensor([[1.0, 0.0], [0.0, 0.0]]), {}, r"frames \[1\]"),
        (torch.tensor([[1.0, 0.0], [math.nan, 0.0]]), {}, r"frames \[1\]"),
        (torch.tensor([[math.inf, 0.0]]), {}, r"frames \[0\]"),
        (torch.ones(3), {}, "one row per frame"),
        (torch.ones(2, 2), {"limit": 0}, "limit"),
        (torch.ones(2, 2), {"threshold": math.nan}, "threshold"),
        (torch.ones(2, 2), {"threshold": 1.5}, "threshold"),
        (torch.ones(2, 2), {"step": 0.0}, "step"),
        (torch.ones(2, 2), {"step": -0.01}, "step"),
        (torch.ones(2, 2), {"step": math.nan}, "step"),
        (torch.ones(2, 2), {"min_score": math.nan}, "min_score"),
    ],
)
def test_what_makes_no_sense_is_refused(embeddings, settings, message):
    with pytest.raises(StoryMemError, match=message):
        select(embeddings, None, **settings)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(StoryMemError, match="frame 0"):
        select(turned(0), lambda _: math.nan)
