"""A threshold found on a person's own pictures is that of the kept procedure."""

from __future__ import annotations

import pytest
import torch

from benchmarks.photos import SCENES, photo, view
from storymem_core.errors import StoryMemError
from storymem_core.keyframes import calibration, embedders
from storymem_core.keyframes.calibration import calibrate


@pytest.fixture(autouse=True)
def few_shots(monkeypatch):
    monkeypatch.setattr(calibration, "SHOTS", 12)


def test_the_default_embedders_threshold_is_found_again_on_four_photographs():
    """Of half the photographs and as frames of 480p, so nothing but the procedure is shared."""
    pictures = torch.stack([view(photo(path), 480, 832) for path in list(SCENES.values())[::2]])
    embedder = embedders.default()
    found = calibrate(embedder, pictures)
    assert abs(found.threshold - embedder.threshold) <= 0.1
    assert found.mistaken < 0.1


def test_an_embedder_that_sees_nothing_is_told_by_its_mistakes():
    class Blind:
        name, threshold = "blind", 0.5

        def __call__(self, frames):
            return torch.nn.functional.normalize(torch.randn(len(frames), 8, generator=seeded), dim=1)

    seeded = torch.Generator().manual_seed(0)
    assert calibrate(Blind(), torch.rand(4, 48, 64, 3)).mistaken > 0.3


def test_too_few_pictures_are_refused():
    with pytest.raises(StoryMemError, match=r"at least 4 images.*\(got 3\)"):
        calibrate(embedders.default(), torch.rand(3, 16, 16, 3))
