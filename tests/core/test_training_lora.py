"""The stage lora: adapters for both experts of a tiny base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_base import MINI, SHORT, with_vae

from storymem_core.errors import StoryMemError
from storymem_core.training import (
    base,
    checkpoints,
    journal,
    loop,
    memory_lora,
    objective,
    probe,
    weight_files,
)
from storymem_core.training.adapter import with_adapter


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "UNSEEN", 2)
    monkeypatch.setattr(probe, "SHOTS", 3)


def test_the_adapter_is_on_every_linear_layer_of_a_block_and_nothing_else_is_trained():
    model = with_adapter(base.transformer(MINI), rank=4, alpha=4)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.rsplit(".lora_", 1)[0] for name in trained} == {
        f"blocks.0.{layer}"
        for layer in (
            "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
            "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "ffn.net.0.proj", "ffn.net.2",
        )
    }  # fmt: skip
    assert model.blocks[0].ffn.net[2].scaling["default"] == 2.0  # rslora: 4 / sqrt(4)


def test_a_fresh_adapter_changes_nothing_and_is_the_same_for_a_seed():
    plain = base.transformer(MINI)
    torch.nn.init.normal_(plain.proj_out.weight)
    x, t, ids = torch.randn(1, 36, 4, 2, 2), torch.tensor([500.0]), torch.ones(1, 6)
    before = plain(x, t, ids, return_dict=False)[0]
    model = with_adapter(plain, rank=4, alpha=4, seed=3)
    assert torch.allclose(model(x, t, ids, return_dict=False)[0], before, atol=1e-6)
    again = with_adapter(base.transformer(MINI), rank=4, alpha=4, seed=3)
    name = "blocks.0.attn1.to_q.lora_A.default.weight"
    assert torch.equal(model.get_parameter(name), again.get_parameter(name))


def test_the_stage_ends_with_two_adapters_that_can_be_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    b = "blocks.0.attn1.to_v.lora_B.default.weight"
    began: dict[str, torch.Tensor] = {}
    batches: dict[str, int] = {}

    def train(stage: memory_lora.MemoryStage, *args: Any, **options: Any) -> loop.Result:
        batches[stage.span.expert] = stage.batch
        began[stage.span.expert] = stage.model.get_parameter(b).detach().clone()
        return loop.train(stage, *args, **options)

    monkeypatch.setattr(memory_lora, "train", train)
    base.train_base(MINI, with_vae(tmp_path), device="cpu")
    second = replace(SHORT, steps=3, batch=2)
    recipe = replace(MINI, lora=replace(MINI.lora, second=second))
    assert memory_lora.train_lora(recipe, tmp_path, device="cpu")
    low, high = (checkpoints.averages(tmp_path / "lora" / expert) for expert in ("low", "high"))
    assert len(weight_files.peft_lora(low)) == 20
    assert not began["low"].any() and torch.equal(began["high"], low[b])
    assert low[b].any() and not torch.equal(low[b], high[b])
    logs = [journal.read(tmp_path / "lora" / expert) for expert in ("low", "high")]
    assert [log[-1]["step"] for log in logs] == [4, 3] and batches == {"low": 3, "high": 2}
    assert {"probe_none", "probe_own", "probe_strange"} <= logs[1][-1].keys()


def test_the_stage_full_trains_every_weight_of_both_experts(tmp_path: Path):
    base.train_base(MINI, with_vae(tmp_path), device="cpu")
    assert memory_lora.train_full(MINI, tmp_path, device="cpu")
    for expert in ("low", "high"):
        before, after = (checkpoints.averages(tmp_path / stage / expert) for stage in ("base", "full"))
        assert before.keys() == after.keys()
        assert not torch.equal(before["patch_embedding.weight"], after["patch_embedding.weight"])


def test_memory_frames_differ_from_step_to_step_and_count_in_the_loss_if_asked(tmp_path: Path):
    folder = with_vae(tmp_path)
    latents = base.cached(MINI, folder, None, "cpu")
    assert latents is not None
    model = with_adapter(base.transformer(MINI), rank=4, alpha=4)
    losses = {}
    for on_memory in (False, True):
        recipe = replace(MINI, lora=replace(MINI.lora, loss_on_memory=on_memory))
        stage = memory_lora.MemoryStage(model, latents, None, recipe, objective.ranges(0.9)[0], 3)  # type: ignore[arg-type]
        seen: list[int] = []
        model.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0].shape[2] - 3))
        losses[on_memory] = [
            float(stage.loss(model, step, torch.Generator().manual_seed(step))["loss"]) for step in range(60)
        ]
    assert {*seen} == set(range(MINI.lora.memory + 1)) and 1 <= seen.count(0) <= 9
    mixes = [memory_lora.mix(MINI.lora, torch.Generator().manual_seed(step)) for step in range(60)]
    assert 2 <= sum(mix.near for mix in mixes) <= 25
    assert all(mix.on_characters == MINI.lora.on_characters > 0 for mix in mixes)
    differ = [a != pytest.approx(b, rel=1e-5) for a, b in zip(losses[False], losses[True], strict=True)]
    assert differ == [count > 0 for count in seen]


def test_the_base_comes_first(tmp_path: Path):
    with pytest.raises(StoryMemError, match="Train it first"):
        memory_lora.train_lora(MINI, with_vae(tmp_path), device="cpu")
