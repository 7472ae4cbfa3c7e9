"""Exported weights in ComfyUI's own loaders, without this pack: the same numbers as diffusers, in fp32."""

from __future__ import annotations

import comfy.model_management
import comfy.sd
import comfy.utils
import peft
import pytest
import torch
from comfy.latent_formats import Wan21
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from storymem_core.lora.settings import LoraSettings
from storymem_core.training import weight_files

FP32 = {"dtype": torch.float32}
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2"]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rounded(module):
    """Random weights that fp16 holds exactly, so that only the arithmetic can differ."""
    with torch.no_grad():
        for index, (name, weight) in enumerate(module.named_parameters()):
            scale = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            centre = 1.0 if "norm" in name and not name.endswith("bias") else 0.0
            weight.copy_((centre + scale * normal(*weight.shape, seed=index)).half())
    return module.eval()


@pytest.fixture(scope="module")
def dit():
    return rounded(
        WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=128, in_channels=36, out_channels=16, text_dim=4096,
            ffn_dim=320, num_layers=2,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def vae():
    return rounded(AutoencoderKLWan(base_dim=16, z_dim=16))


def velocities(dit, patcher, x, t, text):
    """The same call of both: diffusers', the host's."""
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    theirs = dit(x, t, text, return_dict=False)[0]
    return theirs, patcher.model.diffusion_model(x, t, context=text)


@torch.inference_mode()
def test_the_hosts_unet_loader_gives_diffusers_numbers(dit, tmp_path):
    path = weight_files.write(tmp_path / "dit.safetensors", weight_files.dit_to_wan(dit.state_dict()))
    patcher = comfy.sd.load_diffusion_model(str(path), model_options=FP32)
    assert patcher.model.diffusion_model.patch_embedding.in_channels == 36
    x, t, text = normal(2, 36, 5, 8, 6), torch.tensor([937.0, 12.0]), normal(2, 48, 4096, seed=1)
    theirs, ours = velocities(dit, patcher, x, t, text)
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-4 * theirs.std()


def frames(count, seed=0):
    """Smooth pictures [count, 64, 48, 3] in 0..1."""
    coarse = torch.rand(1, 3, count, 4, 3, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (count, 64, 48), mode="trilinear")[0].movedim(0, -1)


@pytest.mark.parametrize("count", [1, 5, 17])
@torch.inference_mode()
def test_the_hosts_vae_loader_gives_diffusers_numbers(vae, tmp_path, count):
    """Clips longer than a chunk of 1 + 4 frames too."""
    path = weight_files.write(tmp_path / "vae.safetensors", weight_files.vae_to_wan(vae.state_dict()))
    state, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    ours = comfy.sd.VAE(sd=state, metadata=metadata, dtype=torch.float32)
    pictures = frames(count)
    latents = ours.encode(pictures)
    theirs = vae.encode(pictures.movedim(-1, 0)[None] * 2 - 1).latent_dist.mode()
    assert latents.shape == (1, 16, (count - 1) // 4 + 1, 8, 6)
    assert (latents - theirs).abs().max() < 1e-4 * theirs.std()
    decoded = vae.decode(theirs).sample.clamp(-1, 1)[0].movedim(0, -1) / 2 + 0.5
    back = ours.decode(theirs)[0]
    assert back.shape == pictures.shape
    assert decoded.std() > 0.02
    assert (back - decoded).abs().max() < 1e-4


def test_the_latent_format_is_the_hosts():
    """Models are trained in the latents that the host gives them: diffusers' mean and std are its own."""
    form = Wan21()
    defaults = AutoencoderKLWan(base_dim=8, z_dim=16).config
    assert torch.allclose(form.latents_mean.flatten(), torch.tensor(defaults.latents_mean))
    assert torch.allclose(form.latents_std.flatten(), torch.tensor(defaults.latents_std))


@pytest.mark.parametrize("layout", ["peft", "comfyui"])
@torch.inference_mode()
def test_a_lora_file_acts_as_in_training(dit, tmp_path, layout):
    """ComfyUI's own loader takes its layout; this pack takes both."""
    from storymem_core.host.lora import apply
    from storymem_core.lora.files import read

    path = weight_files.write(tmp_path / "dit.safetensors", weight_files.dit_to_wan(dit.state_dict()))
    config = peft.LoraConfig(r=4, lora_alpha=8, use_rslora=True, target_modules=TARGETS)
    fresh = WanTransformer3DModel.from_config(dit.config)
    fresh.load_state_dict(dit.state_dict())
    adapted = peft.get_peft_model(fresh, config).eval()
    for index, (name, weight) in enumerate(adapted.named_parameters()):
        if ".lora_" in name:
            weight.copy_((0.05 * normal(*weight.shape, seed=index)).half())
    settings = LoraSettings(4, 8, "low", spacing=5.0)
    state = weight_files.peft_lora(peft.get_peft_model_state_dict(adapted))
    if layout == "comfyui":
        state = weight_files.comfyui_lora(state, settings)
    lora = weight_files.write(tmp_path / f"{layout}.safetensors", state, settings.metadata())
    patcher = comfy.sd.load_diffusion_model(str(path), model_options=FP32)
    by_pack = apply(patcher, read(lora))
    assert by_pack.matched == by_pack.total == 20
    patched = [by_pack.model]
    if layout == "comfyui":
        tensors = comfy.utils.load_torch_file(str(lora))
        patched.append(comfy.sd.load_lora_for_models(patcher, None, tensors, 1, 0)[0])
    x, t, text = normal(1, 36, 3, 4, 4), torch.tensor([500.0]), normal(1, 9, 4096, seed=1)
    plain = dit(x, t, text, return_dict=False)[0]
    for model in patched:
        theirs, ours = velocities(adapted, model, x, t, text)
        assert (ours - theirs).abs().max() < 2e-4 * theirs.std()
        assert (ours - plain).abs().max() > 0.1 * theirs.std()
