"""LoRA files of every origin, with the scale that their maker meant. Oracle: peft itself."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from storymem_core.errors import StoryMemError
from storymem_core.lora.doubts import missing, warnings
from storymem_core.lora.files import LoraReport, convert, read

RELEASED = "Wan2.2-MI2V-A14B/backbone_high_noise"


class Attention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        return self.o(torch.softmax(self.q(x) @ self.k(x).mT / 4, -1) @ self.v(x))


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.self_attn, self.cross_attn = Attention(width), Attention(width)
        self.ffn = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.self_attn(x)
        return x + self.ffn(x + self.cross_attn(x))


class WanShaped(nn.Module):
    """Linear layers named as in Wan, nothing else of it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([Block(16) for _ in range(2)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def adapted(**config) -> peft.PeftModel:
    targets = ["q", "k", "v", "o", "ffn.0", "ffn.2"]
    model = peft.get_peft_model(WanShaped(), peft.LoraConfig(target_modules=targets, **config))
    generator = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator)
    return model


def merged(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What ComfyUI's formula makes of the weights: W + alpha / r * B @ A."""
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    for name in [name.removesuffix(".lora_A.weight") for name in state if name.endswith(".lora_A.weight")]:
        a, b = state[f"{name}.lora_A.weight"].float(), state[f"{name}.lora_B.weight"].float()
        scale = state[f"{name}.alpha"].item() / a.shape[0] if f"{name}.alpha" in state else 1.0
        weights[name.removeprefix("diffusion_model.") + ".weight"] += scale * b @ a
    return weights


def assert_same_model(state: dict[str, torch.Tensor], oracle: peft.PeftModel):
    ours, plain = merged(WanShaped(), state), WanShaped().state_dict()
    theirs = oracle.merge_and_unload().state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert (ours[name] - weight).abs().max() <= 1e-5, name
        if name.endswith("weight"):
            assert (weight - plain[name]).abs().max() > 0.1, f"{name} is not adapted"


@pytest.mark.parametrize("use_rslora", [True, False], ids=["rslora", "plain"])
@pytest.mark.parametrize("alpha", [3, 4, 12])
def test_a_file_saved_by_peft_is_what_peft_means(tmp_path, use_rslora, alpha):
    oracle = adapted(r=4, lora_alpha=alpha, use_rslora=use_rslora)
    oracle.save_pretrained(tmp_path)
    lora = read(tmp_path / "adapter_model.safetensors")
    kind = "rslora" if use_rslora else "plain"
    assert lora.report.scale == pytest.approx(alpha / (2 if use_rslora else 4))
    assert (lora.report.layout, lora.report.rank, lora.report.alpha) == ("peft", 4, alpha)
    assert lora.report.why == f"{kind}, told by adapter_config.json beside the file"
    assert len(lora.state) == 3 * 2 * 10
    assert_same_model(lora.state, oracle)


def test_alpha_and_rank_per_layer(tmp_path):
    patterns = dict(rank_pattern={"self_attn.q": 2, r".*ffn\.0": 8}, alpha_pattern={"self_attn.q": 5})
    oracle = adapted(r=4, lora_alpha=6, use_rslora=True, **patterns)
    oracle.save_pretrained(tmp_path)
    lora = read(tmp_path / "adapter_model.safetensors")
    assert (lora.report.rank, lora.report.alpha, lora.report.scale) == (None, None, None)
    assert_same_model(lora.state, oracle)


def bare(oracle: peft.PeftModel) -> dict[str, torch.Tensor]:
    return dict(peft.get_peft_model_state_dict(oracle))


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("adapter", ["", "default."])
def test_the_released_layout(tmp_path, prefix, kind, adapter):
    """facts: no alpha, no metadata, r = alpha, rslora; only folder and file name tell what it is."""
    oracle = adapted(r=4, lora_alpha=4, use_rslora=True)
    plain = bare(oracle)
    state = {prefix + name.replace("weight", f"{adapter}weight"): plain[name] for name in plain}
    path = tmp_path / f"{RELEASED}.{kind}"
    path.parent.mkdir()
    save_file(state, path) if kind == "safetensors" else torch.save(state, path)
    lora = read(path)
    assert lora.report == LoraReport(
        str(path), "peft", 4, 4.0, 2.0,
        "rslora with alpha = r, as StoryMem's released files are, told by its name", "mi2v", "high",
    )  # fmt: skip
    assert_same_model(lora.state, oracle)


def test_the_released_scale():
    """facts: 128 / sqrt(128) = 11.3137, which is an alpha of 1448.155 to ComfyUI."""
    state = {"base_model.model.blocks.0.self_attn.q.lora_A.weight": torch.zeros(128, 4),
             "base_model.model.blocks.0.self_attn.q.lora_B.weight": torch.zeros(4, 128)}  # fmt: skip
    lora = convert(state, path=f"{RELEASED}.safetensors")
    assert lora.report.scale == pytest.approx(11.3137, abs=1e-4)
    alpha = lora.state["diffusion_model.blocks.0.self_attn.q.alpha"]
    assert alpha.item() == pytest.approx(1448.155, abs=1e-3)


@pytest.mark.parametrize("rslora", [True, False])
@pytest.mark.parametrize("told", ["diffusers", "peft", "flat"])
def test_metadata_tells(tmp_path, rslora, told):
    oracle = adapted(r=4, lora_alpha=10, use_rslora=rslora)
    values = {"r": 4, "lora_alpha": 10, "use_rslora": rslora}
    metadata = {
        "diffusers": {
            "lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in values.items()})
        },
        "peft": {"lora_adapter_metadata": json.dumps(values)},
        "flat": {name: json.dumps(value) for name, value in values.items()},
    }[told]
    save_file(bare(oracle), tmp_path / "mine.safetensors", metadata | {"format": "pt"})
    lora = read(tmp_path / "mine.safetensors")
    assert lora.report.why == f"{'rslora' if rslora else 'plain'}, told by the file's metadata"
    assert_same_model(lora.state, oracle)


def test_metadata_wins_over_the_released_name():
    """A plain PEFT LoRA must not get the factor because of its name."""
    told = {"lora_adapter_metadata": json.dumps({"r": 4, "lora_alpha": 4})}
    lora = convert(bare(adapted(r=4, lora_alpha=4)), path=f"{RELEASED}.safetensors", metadata=told)
    assert lora.report.scale == 1.0


def test_alpha_tensors_in_a_peft_file():
    oracle = adapted(r=4, lora_alpha=6)
    state = bare(oracle)
    names = [name for name in state if "lora_A" in name]
    state |= {name.replace("lora_A.weight", "alpha"): torch.tensor(6.0) for name in names}
    assert_same_model(convert(state, path="mine.safetensors").state, oracle)


def test_ambiguous_is_refused_unless_the_user_chooses(tmp_path):
    oracles = {kind: adapted(r=4, lora_alpha=4, use_rslora=kind == "rslora") for kind in ("rslora", "plain")}
    path = tmp_path / "mine.safetensors"
    save_file(bare(oracles["plain"]), path)
    with pytest.raises(StoryMemError, match=r'ambiguous.*mine\.safetensors.*"rslora"'):
        read(path)
    for kind, oracle in oracles.items():
        lora = read(path, scaling=kind)
        assert lora.report.why == f"{kind}, chosen by the user, alpha = r where the file tells none"
        assert_same_model(lora.state, oracle)
    unscaled = read(path, scaling="comfyui")
    assert unscaled.report.scale == 1.0
    assert not any(name.endswith("alpha") for name in unscaled.state)


def comfyui(alpha: float | None) -> dict[str, torch.Tensor]:
    peft_state = bare(adapted(r=4))
    state = {name.replace("base_model.model", "diffusion_model"): peft_state[name] for name in peft_state}
    names = [name for name in state if "lora_A" in name]
    return state | (
        {} if alpha is None else {n.replace("lora_A.weight", "alpha"): torch.tensor(alpha) for n in names}
    )


@pytest.mark.parametrize("alpha", [2.0, None])
def test_comfyui_layout_passes_unchanged(alpha):
    state = comfyui(alpha)
    lora = convert(state, path=f"{RELEASED}.safetensors")
    assert lora.report.layout == "comfyui"
    assert lora.state.keys() == state.keys()
    assert all(lora.state[name] is value for name, value in state.items())


@pytest.mark.parametrize(
    "name", ["lora_unet_blocks_0_self_attn_q.lora_down.weight", "diffusion_model.blocks.0.ffn.0.diff_b"]
)
def test_other_comfyui_names_pass_unchanged(name):
    assert convert({name: torch.ones(1)}, path="other.safetensors").state == {name: torch.ones(1)}


def test_comfyui_layout_with_a_scale_that_the_user_chooses():
    oracle = adapted(r=4, lora_alpha=4, use_rslora=True)
    oracle.load_state_dict(adapted(r=4).state_dict())
    assert_same_model(convert(comfyui(None), path="mine.safetensors", scaling="rslora").state, oracle)


def test_the_callers_tensors_stay_as_they_are():
    state = bare(adapted(r=4, lora_alpha=4))
    before = {name: (value, value.clone()) for name, value in state.items()}
    lora = convert(state, path=f"{RELEASED}.safetensors")
    assert state.keys() == before.keys()
    for name, (value, copy) in before.items():
        assert state[name] is value
        assert torch.equal(value, copy)
        assert lora.state[name.replace("base_model.model", "diffusion_model")] is value


@pytest.mark.parametrize(
    ("path", "mode", "expert"),
    [
        ("loras/Wan2.2-MI2V-A14B/backbone_high_noise.safetensors", "mi2v", "high"),
        ("loras/Wan2.2-MM2V-A14B/backbone_low_noise.pth", "mm2v", "low"),
        ("loras/storymem_mm2v_highnoise.safetensors", "mm2v", "high"),
        ("loras/StoryMem-MI2V-LOW.safetensors", "mi2v", "low"),
        ("Wan2.2-MI2V-A14B/renamed_mm2v_low.safetensors", "mm2v", "low"),
        ("slow/yellow/highlander.safetensors", None, None),
        ("loras/mi2v_and_mm2v_high_low.safetensors", None, None),
    ],
)
def test_mode_and_expert_by_name(path, mode, expert):
    report = convert(comfyui(1.0), path=path).report
    assert (report.mode, report.expert) == (mode, expert)


def test_mode_and_expert_by_metadata():
    told = {"lora_adapter_metadata": json.dumps({"mode": "mm2v", "expert": "low", "lora_alpha": 1, "r": 4})}
    report = convert(bare(adapted(r=4)), path=f"{RELEASED}.safetensors", metadata=told).report
    assert (report.mode, report.expert) == ("mm2v", "low")


def test_warnings_name_what_does_not_fit():
    report = LoraReport("f.safetensors", "peft", 128, 128.0, math.sqrt(128), "", "mi2v", "high")
    unknown = replace(report, mode=None, expert=None)
    assert warnings(asdict(report)) == warnings(asdict(report), expert="high", overlap=1) == ()
    assert warnings(asdict(unknown), expert="low", overlap=5) == ()
    assert warnings(asdict(report), expert="low", overlap=9) == (
        "f.safetensors is for the high-noise expert, not for the low-noise one",
        "f.safetensors was trained for MI2V; an overlap of 9 needs MM2V",
    )
    assert warnings(asdict(replace(report, mode="mm2v")), overlap=1) == (
        "f.safetensors was trained for MM2V; an overlap of 1 needs MI2V",
    )


def test_a_missing_lora_is_named_by_its_expert():
    assert "has loaded no LoRA on the high-noise model" in missing("high")
    assert "has loaded no LoRA on this model: unless one is merged" in missing()


# What is no LoRA.


def test_a_warning_when_the_spacing_is_not_that_of_the_training():
    report = LoraReport("f.safetensors", "peft", 4, 4.0, 2.0, "", None, None, spacing=5.0)
    assert warnings(asdict(report), spacing=5.0) == warnings(asdict(report)) == ()
    assert warnings(asdict(replace(report, spacing=None)), spacing=1.0) == ()
    assert warnings(asdict(report), spacing=1.0) == (
        "f.safetensors was trained with a spacing of 5, but 1 is set",
    )


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(StoryMemError, match=r"does not exist.*nowhere"):
        read(tmp_path / "nowhere.safetensors")
    whole, cut = tmp_path / "whole.safetensors", tmp_path / f"{RELEASED}.safetensors"
    cut.parent.mkdir()
    save_file(bare(adapted(r=4)), whole)
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(StoryMemError, match=r"damaged.*backbone_high_noise"):
        read(cut)
    torch.save(load_file(whole), tmp_path / "whole.pth")
    for size in (0, 10, 5000):
        (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:size])
        with pytest.raises(StoryMemError, match=r"damaged.*cut\.pth"):
            read(tmp_path / "cut.pth")


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


def test_pickled_code_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Malicious()}, tmp_path / "bad.pth")
    with pytest.raises(StoryMemError, match="damaged or of an unknown kind"):
        read(tmp_path / "bad.pth")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"decoder.conv.weight": torch.ones(1)}, "no LoRA weights"),
        ({}, "no LoRA weights"),
        ({"base_model.model.blocks.0.ffn.0.lora_A.weight": torch.ones(4, 4)}, "only one half of 1 layers"),
        (bare(adapted(r=4)) | {"base_model.model.blocks.0.ffn.0.lora_magnitude_vector.weight": torch.ones(4)},
         "not a LoRA weight: .*magnitude"),
    ],
)  # fmt: skip
def test_what_is_no_lora_is_refused(state, problem):
    with pytest.raises(StoryMemError, match=problem):
        convert(state, path=f"{RELEASED}.safetensors")
