"""A LoRA on the host's model does what peft does to the same weights."""

from __future__ import annotations

import json

import comfy.model_management
import comfy.sd
import peft
import pytest
import small_wan
import torch
from comfy.ldm.wan.model import WanModel

import nodes
from storymem_core.errors import StoryMemError
from storymem_core.host.lora import REPORTS, apply, reports, scaled
from storymem_core.lora.files import convert, read
from storymem_core.models import wan_shapes

RELEASED = "Wan2.2-MI2V-A14B/backbone_high_noise.safetensors"
RANK = 4


def call(model):
    return small_wan.velocity(
        model, small_wan.random(1, 36, 3, 8, 8), small_wan.random(1, 12, 4096, seed=1), torch.tensor([0.7])
    )


def adapted(use_rslora: bool, alpha: float = RANK) -> peft.PeftModel:
    """peft around the host's own WanModel with the weights of `small_wan.patcher()`."""
    model = WanModel(in_dim=36, out_dim=16, operations=torch.nn, **small_wan.SHAPE)
    model.load_state_dict(small_wan.state_dict())
    config = peft.LoraConfig(
        r=RANK, lora_alpha=alpha, use_rslora=use_rslora, target_modules=list(wan_shapes.lora_layers(blocks=2))
    )
    wrapped = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.1
    return wrapped


def bare(oracle: peft.PeftModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in peft.get_peft_model_state_dict(oracle).items()}


def merged(oracle: peft.PeftModel):
    weights = {name: value.clone() for name, value in oracle.merge_and_unload().state_dict().items()}
    return comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": torch.float32})


@pytest.mark.parametrize("use_rslora", [True, False], ids=["rslora", "plain"])
def test_output_is_that_of_peft(use_rslora):
    oracle = adapted(use_rslora)
    told = {"lora_adapter_metadata": json.dumps({"r": RANK, "lora_alpha": RANK, "use_rslora": use_rslora})}
    lora = convert(bare(oracle), path="any.safetensors", metadata=told)
    model = small_wan.patcher()
    patched, matched, total = apply(model, lora)
    assert (matched, total) == (20, 20)
    theirs, ours, without = call(merged(oracle)), call(patched), call(model)
    assert (ours - theirs).abs().max() <= 1e-5
    assert (without - theirs).abs().max() > 0.01


def test_strength_and_stacking():
    lora = convert(bare(adapted(True)), path=RELEASED)
    model = small_wan.patcher()
    base, half, whole = call(model), apply(model, lora, 0.5).model, apply(model, lora).model
    twice = apply(half, lora, 0.5).model
    assert torch.allclose(call(twice), call(whole), atol=1e-5)
    assert (call(half) - call(whole)).abs().max() > 0.01
    assert torch.equal(call(apply(model, lora, 0.0).model), base)
    assert [entry["strength"] for entry in reports(twice)] == [0.5, 0.5]


def test_another_strength_is_that_of_loading_it_so():
    lora = convert(bare(adapted(True)), path=RELEASED)
    model = small_wan.patcher()
    loaded = apply(model, lora, 0.8).model
    half = scaled(loaded.clone(), 0.5)
    assert reports(half) == reports(apply(model, lora, 0.4).model)
    assert torch.equal(call(half), call(apply(model, lora, 0.4).model))
    assert [entry["strength"] for entry in reports(loaded)] == [0.8]
    assert torch.equal(call(loaded), call(apply(model, lora, 0.8).model)), "the caller's model is as it was"


def test_another_strength_leaves_the_hosts_own_loras_alone():
    plain = bare(adapted(True))
    state = {name.replace("base_model.model", "diffusion_model"): plain[name] for name in plain}
    theirs, _ = comfy.sd.load_lora_for_models(small_wan.patcher(), None, state, 0.7, 0.0)
    ours = scaled(apply(theirs, convert(plain, path=RELEASED)).model, 0.5)
    strengths = {tuple(patch[0] for patch in patches) for patches in ours.patches.values()}
    assert strengths == {(0.7, 0.5)}
    with pytest.raises(StoryMemError, match="a model with an M2V LoRA"):
        scaled(theirs, 0.5)


def test_nothing_of_the_caller_changes():
    state = bare(adapted(True))
    before = {name: value.clone() for name, value in state.items()}
    model = small_wan.patcher()
    base = call(model)
    call(apply(model, convert(state, path=RELEASED)).model)
    assert torch.equal(call(model), base)
    assert REPORTS not in model.model_options
    assert model.patches == {}
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_the_report_travels_with_the_model():
    patched = apply(small_wan.patcher(), convert(bare(adapted(True)), path=RELEASED), 0.8).model
    (entry,) = reports(patched.clone())
    assert entry == {
        "file": RELEASED, "layout": "peft", "rank": 4, "alpha": 4.0, "scale": 2.0,
        "mode": "mi2v", "expert": "high", "spacing": None,
        "why": "rslora with alpha = r, as StoryMem's released files are, told by its name",
        "strength": 0.8, "matched": 20, "total": 20,
    }  # fmt: skip
    assert json.loads(json.dumps(entry)) == entry
    assert patched.attachments == {}


def test_a_comfyui_file_acts_as_in_the_hosts_own_loader():
    plain = bare(adapted(True))
    state = {name.replace("base_model.model", "diffusion_model"): plain[name] for name in plain}
    state["diffusion_model.blocks.0.ffn.0.alpha"] = torch.tensor(2.0)
    model = small_wan.patcher()
    theirs, _ = comfy.sd.load_lora_for_models(model, None, state, 0.7, 0.0)
    assert torch.equal(call(apply(model, convert(state, path="any.safetensors"), 0.7).model), call(theirs))


def test_released_layout_does_nothing_in_the_hosts_own_loader():
    """The trap that this room is for; should the host learn the layout, look again."""
    model = small_wan.patcher()
    theirs, _ = comfy.sd.load_lora_for_models(model, None, bare(adapted(True)), 1.0, 0.0)
    assert theirs.patches == {}


def test_a_lora_that_matches_nothing_is_refused():
    state = {"base_model.model.layers.0.wq.lora_A.weight": torch.ones(4, 256),
             "base_model.model.layers.0.wq.lora_B.weight": torch.ones(256, 4)}  # fmt: skip
    says = r"matches no layer of the model \(1 layers in the file\).*WanModel"
    with pytest.raises(StoryMemError, match=says):
        apply(small_wan.patcher(), convert(state, path=RELEASED))


def test_a_lora_of_another_size_is_refused():
    state = {"base_model.model.blocks.0.ffn.0.lora_A.weight": torch.ones(4, 512),
             "base_model.model.blocks.0.ffn.0.lora_B.weight": torch.ones(256, 4)}  # fmt: skip
    with pytest.raises(
        StoryMemError, match=r"another size.*ffn.0.weight \(256, 512\) instead of \(512, 256\)"
    ):
        apply(small_wan.patcher(), convert(state, path=RELEASED))


def test_weight_decomposed_loras_act_as_in_the_hosts_own_loader():
    """DoRA: a scale for each output beside the two matrices."""
    layer, generator = "diffusion_model.blocks.0.ffn.0", torch.Generator().manual_seed(2)
    up, down = (torch.randn(shape, generator=generator) * 0.1 for shape in ((512, 4), (4, 256)))
    scale = torch.rand(512, 1, generator=generator) + 0.5

    def state(outputs=512):
        parts = {"lora_up.weight": up[:outputs], "lora_down.weight": down, "dora_scale": scale[:outputs]}
        return {f"{layer}.{name}": value for name, value in parts.items()} | {
            f"{layer}.alpha": torch.tensor(4.0)
        }

    model = small_wan.patcher()
    patched, matched, total = apply(model, convert(state(), path="dora.safetensors"))
    assert (matched, total) == (1, 1)
    host, _ = comfy.sd.load_lora_for_models(model, None, state(), 1.0, 0.0)
    assert torch.equal(call(patched), call(host)) and not torch.equal(call(patched), call(model))
    with pytest.raises(StoryMemError, match="another size"):
        apply(model, convert(state(outputs=256), path="dora.safetensors"))


def test_layers_that_the_model_lacks_are_counted(caplog):
    state = bare(adapted(True))
    state |= {name.replace("blocks.1", "blocks.7"): state[name] for name in state if "blocks.1" in name}
    patched, matched, total = apply(small_wan.patcher(), convert(state, path=RELEASED))
    assert (matched, total) == (20, 30)
    assert reports(patched)[0]["total"] == 30
    assert "10 of 30 layers" in caplog.text


def test_small_files_from_disk(small_models):
    (model,) = nodes.UNETLoader().load_unet("storymem_small_i2v_high_noise.safetensors", "default")
    lora = read(small_models / "loras/storymem_small/Wan2.2-MM2V-A14B/backbone_low_noise.safetensors")
    assert (lora.report.mode, lora.report.expert) == ("mm2v", "low")
    assert lora.report.why == "rslora, told by the file's metadata"
    assert lora.report.scale == pytest.approx(8**0.5)
    patched, matched, total = apply(model, lora)
    assert matched == total == 20
    changed, plain = (call(m.clone()).float() for m in (patched, model))
    assert (changed - plain).abs().mean() > 0.05 * plain.abs().mean()
    comfy.model_management.unload_all_models()
