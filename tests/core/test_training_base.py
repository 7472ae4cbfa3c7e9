"""The stage base: an untrained VAE and a few tiny stories, drawn, encoded and learned from, to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from PIL import Image
from safetensors.torch import save_file

from storymem_core.errors import StoryMemError
from storymem_core.models.text_encoder import features
from storymem_core.small_world.parts import MIDDLE
from storymem_core.small_world.stories import Story, sample
from storymem_core.training import (
    base,
    checkpoints,
    journal,
    layout,
    loop,
    objective,
    probe,
    story_latents,
    text,
    vae,
)
from storymem_core.training.data import Latents, Mix
from storymem_core.training.recipes import TINY, Recipe, Schedule

SHORT = Schedule(steps=4, batch=3, lr=1e-3, warmup=1, checkpoint_every=2, probe_every=2)
MINI = replace(
    TINY,
    size=16,
    length=9,
    vae=replace(TINY.vae, base_dim=4),
    base=replace(TINY.base, trunk=SHORT, expert=SHORT, dim=128, ffn=128, blocks=1, stories=5),
    lora=replace(TINY.lora, schedule=SHORT, rank=4, alpha=4),
    full=SHORT,
)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "UNSEEN", 2)
    monkeypatch.setattr(probe, "SHOTS", 3)


def with_vae(folder: Path, recipe: Recipe = MINI) -> Path:
    """A training's folder whose VAE is done, so to say."""
    state = vae.Vae(recipe.vae).vae.state_dict()
    (folder / "vae").mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "vae" / vae.FILE)
    return folder


def test_the_stage_ends_with_both_experts_and_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    began: dict[str, torch.Tensor] = {}

    def train(stage: base.BaseStage, *args: Any, **options: Any) -> loop.Result:
        began[stage.name] = stage.model.get_parameter("proj_out.weight").detach().clone()
        return loop.train(stage, *args, **options)

    monkeypatch.setattr(base, "train", train)
    assert base.train_base(MINI, with_vae(tmp_path), device="cpu")
    trunk = checkpoints.averages(tmp_path / "base" / base.TRUNK)
    assert torch.equal(began["low"], trunk["proj_out.weight"])
    assert torch.equal(began["high"], trunk["proj_out.weight"])
    for expert in ("high", "low"):
        weights = base.load_expert(MINI, tmp_path, expert).state_dict()
        assert not torch.equal(weights["proj_out.weight"], trunk["proj_out.weight"])
        with Image.open(tmp_path / "base" / expert / "samples" / "step_0000004.webp") as film:
            assert (film.size, film.n_frames) == ((4 * 16, 3 * 16), MINI.length)
    rows = journal.read(tmp_path / "base" / "trunk")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"probe_none", "probe_own", "probe_strange"} <= rows[3].keys()


def test_a_stage_that_runs_out_of_time_goes_on_with_the_same_losses(tmp_path: Path):
    whole, parts = with_vae(tmp_path / "whole"), with_vae(tmp_path / "parts")
    base.train_base(MINI, whole, device="cpu")
    base.cached(MINI, parts, None, "cpu")
    calls = 1
    while not base.train_base(MINI, parts, minutes=1e-9, device="cpu"):  # a step a call
        calls += 1
    assert calls > 6
    losses = [[row["loss"] for row in journal.read(folder / "base" / "low")] for folder in (whole, parts)]
    assert losses[0] == losses[1]


def test_the_vae_comes_first(tmp_path: Path):
    with pytest.raises(StoryMemError, match="Train the stage vae"):
        base.train_base(MINI, tmp_path)


def test_text_ids_are_read_like_the_encoders_features():
    model = base.transformer(MINI)
    plain = WanTransformer3DModel.from_config(model.config)
    plain.load_state_dict(model.state_dict())
    torch.nn.init.normal_(model.proj_out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    plain.proj_out.load_state_dict(model.proj_out.state_dict())
    ids = torch.tensor([[3, 40, 11, 1, 0, 0]])
    x, t = torch.randn(1, 36, 3, 2, 2), torch.tensor([500.0])
    told = model(x, t, ids.float(), return_dict=False)[0]
    assert torch.allclose(told, plain(x, t, features(ids, text.table()), return_dict=False)[0], atol=1e-5)
    assert told.abs().max() > 0.01


class Asked:
    """Latents that note what is asked of them."""

    def __init__(self, latents: Latents):
        self.latents = latents
        self.mixes: list[Mix] = []

    def shots(self, count: int, mix: Mix, generator: torch.Generator) -> layout.Shots:
        self.mixes.append(mix)
        return self.latents.shots(count, mix, generator)


def asked(folder: Path, name: str, steps: int) -> tuple[list[Mix], list[float]]:
    """What a part of the stage asks of its data in so many steps, and its losses."""
    latents = base.cached(MINI, with_vae(folder), None, "cpu")
    assert latents is not None and len(latents) == 5
    span, opened = objective.ranges(0.9)[0], vae.load_vae(MINI, folder)
    stage = base.BaseStage(name, base.transformer(MINI), latents, opened, MINI, span)
    stage.latents = noting = Asked(latents)  # type: ignore[assignment]
    losses = [
        float(stage.loss(stage.model, step, torch.Generator().manual_seed(step))["loss"])
        for step in range(steps)
    ]
    return noting.mixes, losses


@pytest.mark.parametrize("name", [base.TRUNK, "low"])
def test_half_of_the_shots_are_given_frames_and_none_memory(tmp_path: Path, name: str):
    [mix], [loss] = asked(tmp_path, name, 1)
    assert mix.layouts == pytest.approx({"m2v": 0.5, "mi2v": 0.375, "mm2v": 0.125})
    assert mix.memory == 0 and mix.drop_text == 0.1 and mix.on_characters == 0
    # An untrained model says 0; noise and latents are about 1 and independent.
    assert 0.5 < loss < 8


def test_a_probe_weighs_characters_alone(tmp_path: Path):
    latents = base.cached(MINI, with_vae(tmp_path), None, "cpu")
    assert latents is not None
    model = base.transformer(MINI)
    plain = probe.probe(model, latents, "low")
    # Where nothing is a character's, all weighs alike: other figures.
    bare = replace(latents, characters=torch.zeros_like(latents.characters))
    assert latents.characters.any() and probe.probe(model, bare, "low") != plain


def test_stories_are_drawn_of_the_recipes_part_of_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def told(seed: int, among: Any) -> Story:
        asked.append(among)
        return sample(seed, among)

    monkeypatch.setattr(story_latents.stories, "sample", told)
    assert base.cached(replace(MINI, scenes=MIDDLE), with_vae(tmp_path), None, "cpu") is not None
    assert asked == [MIDDLE] * MINI.base.stories
