"""Trained weights in the host's layout and back. Oracles: wan_shapes (equal to the host's), peft."""

from __future__ import annotations

import copy
import math

import peft
import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file

from storymem_core.errors import StoryMemError
from storymem_core.lora import files as lora
from storymem_core.lora.settings import LoraSettings
from storymem_core.models import wan_shapes
from storymem_core.training import weight_files

SETTINGS = LoraSettings(rank=4, alpha=6, expert="high", spacing=5.0)
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2"]


def random_(module):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return module.eval()


def transformer(**sizes) -> WanTransformer3DModel:
    sizes = {"num_attention_heads": 1, "ffn_dim": 192, "num_layers": 11, "in_channels": 36} | sizes
    return random_(WanTransformer3DModel(attention_head_dim=128, out_channels=16, text_dim=4096, **sizes))


@pytest.fixture(scope="module")
def dit():
    return transformer()


@pytest.fixture(scope="module")
def vae():
    return random_(AutoencoderKLWan(base_dim=8, z_dim=16))


def shapes_of(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def assert_same(one, two):
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_dit_has_the_hosts_names_and_comes_back(dit):
    state = weight_files.dit_to_wan(dit.state_dict())
    assert shapes_of(state) == wan_shapes.diffusion_model(36, dim=128, ffn=192, blocks=11)
    assert_same(weight_files.dit_to_diffusers(state), dit.state_dict())


def test_vae_has_the_hosts_names_and_comes_back(vae):
    state = weight_files.vae_to_wan(vae.state_dict())
    assert shapes_of(state) == wan_shapes.vae(8)
    assert_same(weight_files.vae_to_diffusers(state), vae.state_dict())


def test_a_tensor_of_another_model_is_refused(dit, vae):
    for convert, state, name in (
        (weight_files.dit_to_wan, vae.state_dict(), "encoder.conv_in.weight"),
        (weight_files.vae_to_wan, dit.state_dict(), "scale_shift_table"),
        (weight_files.dit_to_wan, {"blocks.0.attn2.add_k_proj.weight": torch.zeros(1)}, "add_k_proj"),
        (weight_files.dit_to_diffusers, {"blocks.0.self_attn.q.weight.scale": torch.zeros(1)}, "scale"),
    ):
        with pytest.raises(StoryMemError, match=f"do not have .*{name}"):
            convert(state)


@pytest.fixture(scope="module")
def adapted():
    model = transformer(num_layers=2)
    config = peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=TARGETS)
    return random_(peft.get_peft_model(model, config))


def test_peft_lora_has_the_released_names(adapted):
    for state in (
        peft.get_peft_model_state_dict(adapted),
        adapted.state_dict(),
        adapted.base_model.model.state_dict(),
    ):
        exported = weight_files.peft_lora(state)
        layers = {name.rsplit(".lora_")[0] for name in exported}
        assert layers == {f"base_model.model.{layer}" for layer in wan_shapes.lora_layers(blocks=2)}
        assert len(exported) == 2 * 2 * 10
    name = "base_model.model.blocks.1.cross_attn.o.lora_B.weight"
    theirs = adapted.state_dict()["base_model.model.blocks.1.attn2.to_out.0.lora_B.default.weight"]
    assert torch.equal(exported[name], theirs)


def test_both_lora_files_mean_what_peft_means(adapted, tmp_path):
    """Base plus scale * B @ A of the files == peft's own merge, under Wan's names."""
    state = weight_files.peft_lora(peft.get_peft_model_state_dict(adapted))
    peft_file = weight_files.write(tmp_path / "a.safetensors", state, SETTINGS.metadata())
    comfyui = weight_files.comfyui_lora(state, SETTINGS)
    comfyui_file = weight_files.write(tmp_path / "b.safetensors", comfyui, SETTINGS.metadata())
    base = weight_files.dit_to_wan(
        {
            name.replace(".base_layer", ""): tensor
            for name, tensor in adapted.base_model.model.state_dict().items()
            if ".lora_" not in name
        }
    )
    merged = weight_files.dit_to_wan(copy.deepcopy(adapted).merge_and_unload().state_dict())
    for state in (lora.read(peft_file).state, load_file(comfyui_file)):
        for layer in wan_shapes.lora_layers(blocks=2):
            a, b = (state[f"diffusion_model.{layer}.lora_{part}.weight"].float() for part in "AB")
            scale = state[f"diffusion_model.{layer}.alpha"].item() / 4
            assert scale == pytest.approx(6 / math.sqrt(4))
            ours = base[f"{layer}.weight"] + scale * b @ a
            assert torch.allclose(ours, merged[f"{layer}.weight"], atol=1e-3)
            assert not torch.allclose(ours, base[f"{layer}.weight"], atol=1e-3)


def test_the_packs_loader_understands_the_metadata(adapted, tmp_path):
    state = weight_files.peft_lora(adapted.state_dict())
    report = lora.read(weight_files.write(tmp_path / "x.safetensors", state, SETTINGS.metadata())).report
    assert (report.rank, report.alpha, report.expert, report.spacing) == (4, 6, "high", 5.0)
    assert report.scale == pytest.approx(3.0)
    assert report.mode is None, "it was trained for every layout"
    one = LoraSettings(rank=4, alpha=4, spacing=1.0, expert="low", mode="mm2v", rslora=False)
    report = lora.read(weight_files.write(tmp_path / "y.safetensors", state, one.metadata())).report
    assert (report.mode, report.expert, report.scale, report.spacing) == ("mm2v", "low", 1.0, 1.0)


def test_files_are_fp16_and_the_same_each_time(dit, tmp_path):
    state = weight_files.dit_to_wan(dit.state_dict())
    one = weight_files.write(tmp_path / "1.safetensors", state, {"recipe": "tiny"})
    two = weight_files.write(tmp_path / "2.safetensors", dict(reversed(state.items())), {"recipe": "tiny"})
    assert one.read_bytes() == two.read_bytes()
    with safe_open(one, "pt") as file:
        assert file.metadata() == {"recipe": "tiny"}
        assert file.get_tensor("head.head.weight").dtype == torch.float16


def test_a_bad_weight_is_not_written(tmp_path):
    path = weight_files.write(tmp_path / "x.safetensors", {"a": torch.ones(2)})
    before = path.read_bytes()
    for bad in (float("nan"), 1e6):
        with pytest.raises(StoryMemError, match="1 tensors are no numbers in fp16, for example b"):
            weight_files.write(path, {"a": torch.ones(2), "b": torch.tensor([bad])})
    assert path.read_bytes() == before
    with pytest.raises(StoryMemError, match="no adapter"):
        weight_files.peft_lora({"a": torch.ones(1)})
