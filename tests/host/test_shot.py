"""A shot's key: all that makes the shot counts, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from node_calls import Pixels

from storymem_core.keyframes.filter import Filter
from storymem_core.lora.extra_lora import ExtraLora
from storymem_core.making.shot import Choice, Models, Settings, ingredients
from storymem_core.making.shot_images import Given
from storymem_core.making.shot_record import OWN
from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin
from storymem_core.script.plan import ShotPlan
from storymem_core.store.project import Project


def frames(seed: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


def remembered(seed: int) -> MemoryFrame:
    return MemoryFrame(frames(seed)[0], np.ones(4), None, None, Origin("shot", "before", 0))


class Scorer:
    name, threshold, scale = "scorer", 0.5, (0.0, 1.0)


PLAN = ShotPlan("a", 1, "A fox.", "fog", "mi2v", cut=False, seed=1, frames=5, dropped=1)
SETTINGS = Settings(32, 32, 4, 3.5, 3.5, "euler", "simple", 4.0, 0.9, 5.0)
CHOICE = Choice(Pixels(), Filter(Scorer(), 0.5), 3)
SEEN = MemoryBank((remembered(1), remembered(2)))


class OtherEmbedder(Pixels):
    name = "other"


class OtherThreshold(Pixels):
    threshold = 0.5


def other(value: object) -> object:
    return f"{value} changed" if isinstance(value, str) else value * 2


CHANGES = {
    **{
        name: {"plan": replace(PLAN, **{name: other(getattr(PLAN, name))})}
        for name in ("id", "prompt", "negative_prompt", "mode", "seed", "frames")
    },
    **{
        field.name: {"settings": replace(SETTINGS, **{field.name: other(getattr(SETTINGS, field.name))})}
        for field in fields(Settings)
    },
    "no negative prompt": {"plan": replace(PLAN, negative_prompt=None)},
    "limit": {"choice": replace(CHOICE, limit=2)},
    "embedder": {"choice": replace(CHOICE, embedder=OtherEmbedder())},
    "embedder's threshold": {"choice": replace(CHOICE, embedder=OtherThreshold())},
    "filter": {"choice": replace(CHOICE, filter=Filter(Scorer(), 0.6))},
    "no filter": {"choice": replace(CHOICE, filter=None)},
    "memory": {"memory": MemoryBank((remembered(1), remembered(3)))},
    "memory in another order": {"memory": MemoryBank((remembered(2), remembered(1)))},
    "less memory": {"memory": MemoryBank((remembered(1),))},
    "sink": {"memory": replace(SEEN, sink=2)},
    "capacity": {"memory": replace(SEEN, capacity=9)},
    "a pinned frame": {"memory": MemoryBank((remembered(1), replace(remembered(2), pinned=True)))},
    "a frame set aside": {"memory": replace(SEEN, aside=(remembered(3),))},
    "a picture that is padded": {"memory": MemoryBank((remembered(1), replace(remembered(2), fit="pad")))},
    "start frames": {"images": Given(frames(5))},
    "no start frames": {"images": Given()},
    "a start image": {"plan": replace(PLAN, cut=True)},
    "an end image": {"images": Given(frames(4), frames(5))},
    "references": {"plan": replace(PLAN, references=())},
    "lora strength": {"plan": replace(PLAN, lora_strength=0.5)},
    "an extra LoRA": {"plan": replace(PLAN, lora=ExtraLora("style.safetensors", None))},
}


@pytest.fixture(scope="module")
def models(parts):
    return Models(parts["high_noise_model"], parts["low_noise_model"], parts["vae"], parts["clip"])


def key(models: Models, **change: object) -> str:
    given = {"plan": PLAN, "settings": SETTINGS, "choice": CHOICE, "memory": SEEN, "images": Given(frames(4))}
    with torch.inference_mode():
        return Project.key(ingredients(models=models, **(given | change)))


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_makes_another_shot(models, name):
    assert key(models, **CHANGES[name]) != key(models)


def test_each_model_counts(models):
    swapped = (
        replace(models, high=models.low),
        replace(models, low=models.high),
        replace(models, high=models.low, low=models.high),
    )
    assert len({key(changed) for changed in (models, *swapped)}) == 4


def test_what_does_not_make_the_shot_does_not_count(models):
    assert key(models) == key(models)
    assert key(models, plan=replace(PLAN, scene=2)) == key(models)
    assert key(models, choice=replace(CHOICE, embedder=Pixels())) == key(models)


def test_a_shot_with_nothing_of_its_own_has_the_key_that_it_had_before(models):
    """Stored shots of earlier versions are found again."""
    with torch.inference_mode():
        told = ingredients(PLAN, models, SETTINGS, CHOICE, SEEN, Given(frames(4)))
    assert not told.keys() & OWN.keys()
