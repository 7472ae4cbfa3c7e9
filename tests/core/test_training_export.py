"""A training as a models folder: every file, its metadata, its size."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from storymem_core.errors import StoryMemError
from storymem_core.lora import files as lora
from storymem_core.models import text_encoder, wan_shapes, weights
from storymem_core.small_world import words
from storymem_core.training import export, text, weight_files
from storymem_core.training.export import Trained
from storymem_core.training.key_tables import DIT, to_diffusers
from storymem_core.training.recipes import RECIPES, TINY, Recipe


def zeros(shapes):
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def trained(recipe: Recipe) -> Trained:
    """What a training of the recipe's sizes would give, all zero."""
    base, rank = recipe.base, recipe.lora.rank
    shapes = wan_shapes.diffusion_model(36, dim=base.dim, ffn=base.ffn, blocks=base.blocks)
    adapters = {}
    for layer in wan_shapes.lora_layers(blocks=base.blocks):
        outputs, inputs = shapes[f"{layer}.weight"]
        name = to_diffusers(layer, DIT)
        adapters[f"{name}.lora_A.weight"] = torch.zeros(rank, inputs)
        adapters[f"{name}.lora_B.weight"] = torch.zeros(outputs, rank)
    dit = weight_files.dit_to_diffusers(zeros(shapes))
    return Trained(
        vae=weight_files.vae_to_diffusers(zeros(wan_shapes.vae(recipe.vae.base_dim))),
        base={"high": dit, "low": dit},
        lora={"high": adapters, "low": adapters},
        table=text_encoder.table(words.TEXTS, 0),
        vocabulary=words.TEXTS,
    )


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_file_is_there_within_its_limit(tmp_path, recipe):
    """No file above 15 MB, all together at most 45 MB."""
    files = export.write(tmp_path, recipe, trained(recipe))
    shipped = {path.relative_to(tmp_path).as_posix(): path.stat().st_size for path in files[:6]}
    assert set(shipped) == set(weights.SHIPPED)
    assert max(shipped.values()) <= 15e6
    assert sum(shipped.values()) <= 45e6
    assert {path.name for path in files[6:]} == {
        "memory_high_noise_comfyui.safetensors", "memory_low_noise_comfyui.safetensors"
    }  # fmt: skip
    assert shipped[weights.DIT["high"]] == pytest.approx(13.9e6, rel=0.02)


def test_files_tell_what_they_are(tmp_path):
    export.write(tmp_path, TINY, trained(TINY))
    assert text_encoder.read(tmp_path / weights.TEXT_ENCODER)[1] == words.TEXTS
    for expert in ("high", "low"):
        for names in (weights.LORA, weights.LORA_FOR_THE_HOST):
            report = lora.read(tmp_path / names[expert]).report
            assert (report.expert, report.mode, report.spacing) == (expert, None, 5.0)
        report = lora.read(tmp_path / weights.LORA[expert]).report
        assert (report.rank, report.alpha) == (TINY.lora.rank, TINY.lora.alpha)
        assert report.why.startswith("rslora, told by")
    for name in (weights.VAE, *weights.DIT.values()):
        with safe_open(tmp_path / name, "pt") as file:
            assert file.metadata() == {"recipe": "tiny"}


def stored(folder, state, prefix):
    """A checkpoint as `checkpoints.save` leaves it."""
    path = folder / "checkpoints/step_0000009.safetensors"
    path.parent.mkdir(parents=True)
    told = {"checkpoint": json.dumps({"step": 9, "identity": {}})}
    means = {f"mean/{prefix}{name}": tensor for name, tensor in state.items()}
    others = {f"weight/{prefix}{name}": -tensor for name, tensor in state.items()}
    save_file(means | others, path, told)


def test_the_export_stage_reads_what_the_others_left(tmp_path):
    made = trained(TINY)
    (tmp_path / "decoder").mkdir()
    save_file(made.vae, tmp_path / "decoder/vae.safetensors")
    with pytest.raises(StoryMemError, match=r"this has not been trained yet.*base/high"):
        export.export_models(TINY, tmp_path)
    prefixes = {"base": "transformer.", "lora": "base_model.model."}
    for stage, prefix in prefixes.items():
        for expert, value in (("high", 1.0), ("low", 2.0)):
            state = {name: tensor + value for name, tensor in getattr(made, stage)[expert].items()}
            stored(tmp_path / stage / expert, state, prefix)
    assert export.export_models(TINY, tmp_path, 1.0)
    files = {name: load_file(tmp_path / "models" / name) for name in weights.SHIPPED}
    shapes = wan_shapes.diffusion_model(36, dim=256, ffn=1024, blocks=5)
    for expert, value in (("high", 1.0), ("low", 2.0)):
        dit, memory = files[weights.DIT[expert]], files[weights.LORA[expert]]
        assert {name: tuple(tensor.shape) for name, tensor in dit.items()} == shapes
        assert len(memory) == 2 * len(wan_shapes.lora_layers(blocks=5))
        assert all((tensor == value).all() for tensor in (*dit.values(), *memory.values()))
    assert torch.equal(files[weights.TEXT_ENCODER]["words.weight"], text.table())


def test_the_shipped_weights_are_whole_and_within_the_limit():
    sizes = {name: (weights.FOLDER / name).stat().st_size for name in weights.SHIPPED}
    assert max(sizes.values()) <= 15e6
    assert sum(sizes.values()) <= 45e6
    found = {path.relative_to(weights.FOLDER).as_posix() for path in weights.FOLDER.rglob("*.safetensors")}
    assert found == set(weights.SHIPPED)
