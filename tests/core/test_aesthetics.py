"""The default filter ranks every spoiled frame below its clean one, passes all clean ones, drawings too."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import calibrate_filter
from benchmarks.photos import SCENES, photo, view
from storymem_core.errors import StoryMemError
from storymem_core.keyframes import aesthetics
from storymem_core.keyframes.aesthetics import TechnicalQuality
from storymem_core.keyframes.filter import create

RESULT = Path(calibrate_filter.__file__).parent / "results" / "calibrate_filter.json"


@pytest.fixture(scope="module")
def found():
    return calibrate_filter.scores()


def test_every_clean_photo_and_drawing_passes_at_every_size(found):
    assert len(found["clean"]) == 24 * 3
    assert [name for name, score, _ in found["clean"] if score < TechnicalQuality.threshold] == []


def test_every_spoiled_frame_is_below_its_clean_one(found):
    assert len(found) == 19
    assert [
        (way, name)
        for way, told in found.items()
        for name, score, clean in told
        if way != "clean" and score >= clean
    ] == []


@pytest.mark.parametrize(
    "way",
    ["black", "nearly black", "white", "grey", "noise, uniform", "noise, normal", "noise, faint", "blur 4%"],
)
def test_what_nobody_would_remember_never_passes(found, way):
    assert max(score for _, score, _ in found[way]) < TechnicalQuality.threshold


def test_scenes_that_are_blurred_smeared_or_blown_out_do_not_pass_at_the_sizes_of_films(found):
    films = {f"{name} {size}" for name in SCENES for size in ("240x416", "480x832")}
    for way in ("blur 1%", "blur 2%", "smear 5% sideways", "smear 5% up", "smear 10% aslant", "blown out"):
        passed = [name for name, score, _ in found[way] if name in films and score >= 0.5]
        assert len(passed) <= len(films) // 8, (way, passed)


def test_the_threshold_in_the_code_is_the_one_found(found):
    assert calibrate_filter.chosen([score for _, score, _ in found["clean"]]) == TechnicalQuality.threshold
    kept = json.loads(RESULT.read_text())
    assert kept["threshold"] == kept["threshold_in_the_code"] == TechnicalQuality.threshold
    assert kept["not_below_clean"] == []


def test_scores_lie_on_the_scale_and_fall_as_a_blur_grows():
    frame = view(photo(SCENES["coffee"]), 240, 416)
    frames = torch.stack([frame, *(calibrate_filter.blurred(frame, sigma) for sigma in (0.5, 1, 2, 4, 8))])
    scores = TechnicalQuality()(frames)
    assert (scores.diff() < 0).all() and scores.min() >= 0 and scores.max() <= 1


def test_a_frame_scores_the_same_alone_and_in_a_batch_and_is_left_as_it_was():
    frames = torch.stack([view(photo(path), 64, 64) for path in SCENES.values()])
    before = frames.clone()
    together = TechnicalQuality()(frames)
    assert torch.equal(together, torch.cat([TechnicalQuality()(frame[None]) for frame in frames]))
    assert torch.equal(frames, before) and together.dtype == torch.float32 and together.shape == (8,)
    torch.testing.assert_close(TechnicalQuality()(frames.double()), together)


def test_every_choice_keeps_the_protocol():
    for name in aesthetics.NAMES:
        scorer = aesthetics.get(name)
        low, high = scorer.scale
        assert scorer.name == name and low <= scorer.threshold <= high
    with pytest.raises(StoryMemError, match="technical-quality"):
        aesthetics.get("beauty")


def test_a_score_that_no_frame_can_reach_is_refused():
    assert create("technical-quality", 1.0).min_score == aesthetics.HIGHEST == 1.0
    assert create("technical-quality").min_score == aesthetics.get().threshold
    with pytest.raises(StoryMemError, match="technical-quality scores frames from 0 to 1, so") as error:
        create("technical-quality", 3.0)
    assert error.value.value == 3.0


@pytest.mark.parametrize(
    "frames, message",
    [
        (torch.full((2, 32, 32, 3), float("nan")), r"NaN.*frames \[0, 1\]"),
        (torch.zeros(32, 32, 3), "at least one frame"),
        (torch.zeros(0, 32, 32, 3), "at least one frame"),
        (torch.zeros(1, 32, 32, 4), "at least one frame"),
        (torch.zeros(1, 32, 32, 3, dtype=torch.uint8), "floats"),
        (torch.zeros(1, 8, 32, 3), "16 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(frames, message):
    with pytest.raises(StoryMemError, match=message):
        TechnicalQuality()(frames)
