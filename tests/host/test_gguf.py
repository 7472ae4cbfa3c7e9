"""Models whose weights stay packed (ComfyUI-GGUF's way): LoRA, memory and fingerprint hold for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import torch
from comfy.utils import get_attr
from node_calls import call
from safetensors.torch import load_file, save_file
from small_wan import memory_images, random, velocity

from storymem_core.host.fingerprint import of_model
from storymem_core.host.memory import apply_memory

PACK = Path(__file__).resolve().parents[1] / "gguf_pack"
FILE = "storymem_small_i2v_high_noise"
LORA = "storymem_small/Wan2.2-MI2V-A14B/backbone_high_noise.safetensors"


@pytest.fixture(scope="module")
def loader(pack, small_models):
    """The stand-in's loader of models, and the small expert under a .gguf name."""
    import nodes

    models = small_models / "diffusion_models"
    (models / f"{FILE}.gguf").symlink_to(models / f"{FILE}.safetensors")
    assert asyncio.run(nodes.load_custom_node(str(PACK)))
    return nodes.NODE_CLASS_MAPPINGS["UnetLoaderGGUF"]()


@pytest.fixture
def packed(loader):
    return loader.load_unet(f"{FILE}.gguf")[0]


@pytest.fixture
def plain(packed, small_models):
    """The same model with its weights unpacked, in the host's own layers."""
    import comfy.sd

    state = load_file(small_models / "diffusion_models" / f"{FILE}.safetensors")
    for name in state:
        weight = get_attr(packed.model.diffusion_model, name)
        if hasattr(weight, "unpacked"):
            state[name] = weight.unpacked(torch.float32)
    return comfy.sd.load_diffusion_model_state_dict(state, model_options={"dtype": torch.float32})


def seen(model) -> torch.Tensor:
    """What the model makes of one shot with two frames of memory."""
    remembering = apply_memory(model, *memory_images(2), seed=3, spacing=5.0)
    x, context = random(1, 36, 3, 8, 8), random(1, 12, 4096, seed=1)
    return velocity(remembering, x, context, torch.tensor([0.7])).float()


def with_lora(model):
    return call("StoryMemM2VLora", model=model, lora_name=LORA, strength=1.0, scaling="auto")[0]


def test_the_lora_is_applied_to_what_is_unpacked_with_its_true_scale(packed, plain):
    without, expected = seen(packed), seen(with_lora(plain))
    told = seen(with_lora(packed))
    effect = (expected - without).abs().mean()
    assert (told - expected).abs().mean() < 0.05 * effect
    assert torch.equal(seen(packed), without)  # and taken off again


def test_memory_is_seen(packed):
    x, context = random(1, 36, 3, 8, 8), random(1, 12, 4096, seed=1)
    forgetful = velocity(packed, x, context, torch.tensor([0.7])).float()
    assert (seen(packed) - forgetful).abs().mean() > 0.05 * forgetful.abs().mean()


def test_its_fingerprint_is_of_the_packed_weights_and_its_patches(packed, loader, small_models):
    fresh = of_model(packed)
    seen(with_lora(packed))
    assert of_model(packed) == fresh == of_model(loader.load_unet(f"{FILE}.gguf")[0])
    assert of_model(with_lora(packed)) != fresh
    models = small_models / "diffusion_models"
    state = load_file(models / f"{FILE}.safetensors")
    state["blocks.0.ffn.0.weight"] = -state["blocks.0.ffn.0.weight"]
    save_file(state, models / "other.gguf")
    assert of_model(loader.load_unet("other.gguf")[0]) != fresh
