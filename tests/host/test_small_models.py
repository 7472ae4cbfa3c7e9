"""Small checkpoints: of the true format, the same each time, and worth looking at."""

from __future__ import annotations

import hashlib
from pathlib import Path

import comfy.ops
import comfy.sample
import comfy.sd
import pytest
import small_wan
import torch
from comfy.latent_formats import Wan21
from comfy.ldm.wan.model import WanModel
from comfy.ldm.wan.vae import WanVAE
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from safetensors import safe_open

import nodes
from storymem_core.host import text_encoder
from storymem_core.host.lora import apply
from storymem_core.host.memory import apply_memory
from storymem_core.lora.files import read
from storymem_core.models import small_models as small
from storymem_core.models import wan_shapes

SIZE, FRAMES, LATENTS = 64, 17, 5
NEGATIVE = "blurry, low quality"
PROMPT = "A red-haired girl in a yellow raincoat walks along a rainy street at night. Medium shot."
OTHER = "The girl in the yellow raincoat sits in a warm cafe and reads a letter. Close-up, still camera."


def shapes_of(module: torch.nn.Module) -> wan_shapes.Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("channels", [16, 36])
def test_diffusion_model_shapes_are_the_hosts(channels):
    theirs = WanModel(
        model_type="t2v", dim=384, ffn_dim=640, num_heads=3, num_layers=3, in_dim=channels,
        operations=comfy.ops.disable_weight_init, device="meta",
    )  # fmt: skip
    assert wan_shapes.diffusion_model(channels, dim=384, ffn=640, blocks=3) == shapes_of(theirs)


@pytest.mark.parametrize("dim", [8, 96])
def test_vae_shapes_are_the_hosts(dim):
    with torch.device("meta"):
        theirs = WanVAE(dim=dim, z_dim=16, temperal_downsample=[False, True, True])
    assert wan_shapes.vae(dim) == shapes_of(theirs)


def test_released_size_of_the_lora():
    """facts: .613 billion parameters per expert at rank 128 (40 blocks, dim 5120, ffn 13824)."""
    shapes = wan_shapes.diffusion_model(36, dim=5120, ffn=13824, blocks=40)
    layers = wan_shapes.lora_layers(blocks=40)
    assert sum(128 * sum(shapes[f"{layer}.weight"]) for layer in layers) == pytest.approx(0.613e9, rel=1e-3)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.safetensors")
    }


def test_same_seed_same_bytes(small_models, tmp_path):
    small.make(tmp_path / "again")
    small.make(tmp_path / "other", seed=1)
    made = digests(small_models)
    assert len(made) == len(set(made.values())) == 10
    assert digests(tmp_path / "again") == made
    assert not set(digests(tmp_path / "other").values()) & set(made.values())


def test_lora_has_the_released_layout(small_models):
    path = small_models / "loras/storymem_small/Wan2.2-MM2V-A14B/backbone_low_noise.safetensors"
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
    assert len(names) == 2 * 2 * 10
    assert "base_model.model.blocks.1.cross_attn.o.lora_A.weight" in names
    assert "base_model.model.blocks.0.ffn.2.lora_B.weight" in names
    assert not any("alpha" in name for name in names)


# What the small models paint.


@pytest.fixture(scope="module")
def loaded(small_models):
    load = nodes.UNETLoader().load_unet
    experts = {
        (kind, expert): load(f"storymem_small_{kind}_{expert}_noise.safetensors", "default")[0]
        for kind in small.CHANNELS
        for expert in small.EXPERTS
    }
    (vae,) = nodes.VAELoader().load_vae("storymem_small_vae.safetensors")
    clip = text_encoder.load(small_models / "text_encoders/storymem_small_text_encoder.safetensors")
    return experts, vae, clip


def paint(loaded, *, prompt=PROMPT, seed=0, memory=None, loras=None, kind="i2v", cfg=3.5, sampler="uni_pc"):
    """A shot as a graph makes it: (model-space latent [1, 16, 5, 8, 8], frames [17, 64, 64, 3] in 0..1)."""
    experts, vae, clip = loaded
    high, low = (ModelSamplingSD3().patch(experts[kind, expert], 4.0)[0] for expert in small.EXPERTS)
    if loras is not None:
        high, low = (apply(model, lora).model for model, lora in zip((high, low), loras, strict=True))
    if memory is not None:
        latents = torch.stack([vae.encode(frame[None])[0, :, 0] for frame in memory])
        hashes = [str(index) for index in range(len(memory))]
        high, low = (apply_memory(model, latents, hashes, seed=seed, spacing=5.0) for model in (high, low))

    def condition(text):
        [[features, options]] = nodes.CLIPTextEncode().encode(clip, text)[0]
        if kind == "i2v":
            grey = vae.encode(torch.full((FRAMES, SIZE, SIZE, 3), 0.5))
            options = options | {"concat_latent_image": grey, "concat_mask": torch.ones(1, 4, LATENTS, 8, 8)}
        return [[features, options]]

    empty = torch.zeros(1, 16, LATENTS, 8, 8)
    noise = comfy.sample.prepare_noise(empty, seed)
    common = dict(steps=8, cfg=cfg, sampler_name=sampler, scheduler="simple", seed=seed, disable_pbar=True)
    common |= dict(positive=condition(prompt), negative=condition(NEGATIVE))
    latent = comfy.sample.sample(high, noise, latent_image=empty, last_step=3, **common)
    latent = comfy.sample.sample(
        low, torch.zeros_like(noise), latent_image=latent, start_step=3, disable_noise=True,
        force_full_denoise=True, **common,
    )  # fmt: skip
    frames = vae.decode(latent).reshape(-1, SIZE, SIZE, 3)
    return high.model.process_latent_in(latent), frames


def assert_worth_looking_at(latent, frames):
    assert latent.isfinite().all()
    assert 0.5 < latent.std() < 2.0
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    contrast = frames.std(dim=(1, 2)).mean(dim=-1)
    assert contrast.min() > 10 / 255, "a frame is flat"
    assert (frames[1:] - frames[:-1]).abs().mean(dim=(1, 2, 3)).min() > 2 / 255, "the picture stands still"


def difference(one, two):
    return (one[1] - two[1]).abs().mean().item() * 255


@pytest.mark.parametrize(
    "change",
    [{}, {"kind": "t2v"}, {"sampler": "euler"}, {"cfg": 1.0}, {"prompt": ""}, {"prompt": "雨の夜の少女 🌧"}],
    ids=str,
)
@torch.inference_mode()
def test_frames_are_neither_flat_nor_still(loaded, change):
    latent, frames = paint(loaded, **change)
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    if change.get("prompt") != "":
        assert_worth_looking_at(latent, frames)
    assert frames.std(dim=(1, 2)).mean(dim=-1).min() > 10 / 255


@torch.inference_mode()
def test_the_model_paints_rather_than_the_noise(loaded):
    latent, _ = paint(loaded)
    noise = comfy.sample.prepare_noise(torch.zeros(1, 16, LATENTS, 8, 8), 0)
    assert torch.corrcoef(torch.stack([latent.flatten(), noise.flatten()]))[0, 1] < 0.5


@torch.inference_mode()
def test_the_vae_has_wans_range(loaded):
    """Pictures encode to about zero mean and unit spread in the model's latent space."""
    experts, vae, _ = loaded
    colours = torch.rand(24, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    pictures = torch.nn.functional.interpolate(colours, (SIZE, SIZE), mode="bilinear").movedim(1, -1)
    raw = torch.cat([vae.encode(picture[None]) for picture in pictures])
    latents = experts["i2v", "high"].model.process_latent_in(raw)
    assert 0.6 < latents.std() < 1.6
    network, form = vae.first_stage_model.float(), Wan21()
    unit = small_wan.random(1, 16, 2, 3, 3)
    assert torch.allclose(network.conv2(form.process_out(unit)), unit, atol=0.02)
    nothing = torch.zeros(1, 32, 1, 1, 1)
    assert torch.allclose(form.process_in(network.conv1(nothing)[:, :16]), torch.zeros(1), atol=0.002)


@torch.inference_mode()
def test_seed_prompt_and_memory_change_the_picture(loaded):
    plain = paint(loaded)
    seed, prompt = paint(loaded, seed=1), paint(loaded, prompt=OTHER)
    memory = paint(loaded, memory=[seed[1][3], prompt[1][9]])
    other_memory = paint(loaded, memory=[seed[1][9], prompt[1][3]])
    assert_worth_looking_at(*memory)
    assert difference(plain, paint(loaded)) == 0
    assert difference(plain, seed) > 20
    assert difference(plain, prompt) > 10
    assert difference(plain, memory) > 10
    assert difference(memory, other_memory) > 5
    assert difference(memory, paint(loaded, memory=[prompt[1][9], seed[1][3]])) > 2, "order of the memory"


@torch.inference_mode()
def test_a_story_does_not_fade(loaded, small_models):
    """Shot after shot with LoRA and with memory of the shots before."""
    folder = small_models / "loras/storymem_small/Wan2.2-MI2V-A14B"
    loras = [read(folder / f"backbone_{expert}_noise.safetensors") for expert in small.EXPERTS]
    shots = [paint(loaded)]
    for seed in range(1, 4):
        memory = [frame for _, frames in shots for frame in frames[4::8]]
        shots.append(paint(loaded, seed=seed, prompt=(PROMPT, OTHER)[seed % 2], memory=memory, loras=loras))
        assert_worth_looking_at(*shots[-1])
    memory = [shots[0][1][4]]
    with_lora = paint(loaded, memory=memory, loras=loras)
    assert difference(with_lora, paint(loaded, memory=memory)) > 5
