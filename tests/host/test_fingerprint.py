"""Fingerprints of the host's objects: equal whatever was done with them, different when they are."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from types import MethodType

import comfy.model_management
import comfy.ops
import comfy.sd
import pytest
import small_wan
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_easycache import EasyCacheNode
from comfy_extras.nodes_model_advanced import ModelSamplingSD3

import nodes
from storymem_core.host import lora, text_encoder
from storymem_core.host.fingerprint import of_clip, of_model, of_vae
from storymem_core.host.memory import apply_memory
from storymem_core.lora.files import read

UNET = "storymem_small_i2v_{}_noise.safetensors"
LORA = "loras/storymem_small/Wan2.2-{}-A14B/backbone_{}_noise.safetensors"


@pytest.fixture
def load(small_models):
    """The small high-noise expert; each call reads the file anew."""
    return lambda expert="high": nodes.UNETLoader().load_unet(UNET.format(expert), "default")[0]


@pytest.fixture
def adapt(small_models):
    def adapt(model, mode="MI2V", expert="high", strength=1.0):
        return lora.apply(model, read(small_models / LORA.format(mode, expert)), strength).model

    return adapt


def shifted(model, shift=4.0):
    return ModelSamplingSD3().patch(model, shift)[0]


def remembering(model, frames=2):
    latents, hashes = small_wan.memory_images(frames)
    return apply_memory(model, latents, hashes, seed=3, spacing=5.0)


def test_equal_before_during_and_after_use(load, adapt):
    base = load()
    model = shifted(adapt(base))
    plain, patched = of_model(base), of_model(model)
    assert plain != patched
    seen = []
    sampled = small_wan.sample(
        model, callback=lambda *_: seen.append((of_model(base), of_model(model))), steps=2
    )
    assert sampled.isfinite().all()
    assert seen == [(plain, patched)] * 2
    assert model.backup, "the weights were not patched in place: the test tells nothing"
    assert (of_model(base), of_model(model)) == (plain, patched)
    small_wan.sample(base, steps=1)
    assert (of_model(base), of_model(model)) == (plain, patched)
    comfy.model_management.unload_all_models()
    assert not model.backup
    assert (of_model(base), of_model(model)) == (plain, patched)


@pytest.fixture
def dynamic(monkeypatch):
    """Models say that they are loaded dynamically, as on NVIDIA cards; a CPU cannot load them so."""
    monkeypatch.setattr(ModelPatcher, "is_dynamic", lambda self: True)


def test_equal_after_dynamic_loading_put_another_table_of_noise_levels_in_place(load, dynamic):
    """The table of the first shift that is loaded is kept for all clones, and put back onto any of them."""
    base = load()
    four, eight = shifted(base), shifted(base, 8.0)
    plain, patched = of_model(base), [of_model(four), of_model(eight)]
    first = four.get_model_object("model_sampling").sigmas
    base.backup_buffers["model_sampling.sigmas"] = first
    assert (of_model(base), [of_model(four), of_model(eight)]) == (plain, patched)
    del base.backup_buffers["model_sampling.sigmas"]
    for model in (base, eight):
        model.get_model_object("model_sampling").sigmas = first
    assert (of_model(base), [of_model(four), of_model(eight)]) == (plain, patched)


def test_equal_after_dynamic_loading_cast_what_stands_beside_other_modules(load, dynamic):
    base = load()
    block = base.model.diffusion_model.blocks[1]
    kind = block.modulation.dtype
    block.modulation.data = block.modulation.data.double()  # as a file may have it
    plain = of_model(base)
    block.modulation.data = block.modulation.data.to(kind)
    assert of_model(base) == plain


def test_the_type_of_a_model_that_is_loaded_dynamically_counts(load, dynamic):
    """Its weights stay as the file has them until they are used."""
    base = load()
    plain = of_model(base)
    base.model.diffusion_model.blocks[1].ffn[2].weight_comfy_model_dtype = torch.float8_e4m3fn
    assert of_model(base) != plain


def test_equal_in_another_process(load, adapt, small_models):
    code = """if True:
        import sys
        sys.path[:0] = sys.argv[1:4]
        from comfy.cli_args import args
        args.cpu = True
        from pathlib import Path
        import comfy.sd
        from comfy_extras.nodes_model_advanced import ModelSamplingSD3
        from storymem_core.host import lora
        from storymem_core.host.fingerprint import of_model
        from storymem_core.lora.files import read
        model = comfy.sd.load_diffusion_model(sys.argv[4])
        model = ModelSamplingSD3().patch(lora.apply(model, read(sys.argv[5]), 1.0).model, 4.0)[0]
        print(of_model(model))
    """
    host, repository = Path(comfy.sd.__file__).parents[1], Path(__file__).parents[2]
    unet = small_models / "diffusion_models" / UNET.format("high")
    arguments = [host, host, repository, unet, small_models / LORA.format("MI2V", "high")]
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == of_model(shifted(adapt(load())))


def test_each_change_counts(load, adapt):
    """The base, and one change at a time."""

    def weight(model, key="diffusion_model.blocks.1.ffn.2.bias"):
        model.model.state_dict()[key][17] += 1
        return model

    def attention(model):
        model.set_model_attn1_patch(lambda **_: None)
        return model

    def cached(threshold):
        return lambda model: EasyCacheNode.execute(model, threshold, 0.1, 0.9, False).args[0]

    variants = {
        "base": lambda m: m,
        "one weight": weight,
        "one buffer": lambda m: shifted(m, 5.0),
        "lora": adapt,
        "half a lora": partial(adapt, strength=0.5),
        "other lora": partial(adapt, mode="MM2V"),
        "two loras": lambda m: adapt(adapt(m), "MM2V"),
        "two loras, other order": lambda m: adapt(adapt(m, "MM2V")),
        "attention": attention,
        "easycache": cached(0.2),
        "easycache, other threshold": cached(0.3),
    }
    found = {name: of_model(change(load())) for name, change in variants.items()}
    found["low"] = of_model(load("low"))
    assert len(set(found.values())) == len(found), found
    assert {name: of_model(change(load())) for name, change in variants.items()} | {
        "low": found["low"]
    } == found


def test_memory_does_not_count(load, adapt):
    """A story's key tells the memory that a shot saw by itself."""
    model = adapt(load())
    plain = of_model(model)
    assert of_model(remembering(model)) == of_model(remembering(remembering(model), 1)) == plain
    small_wan.sample(remembering(model), steps=1)
    assert of_model(remembering(model)) == of_model(model) == plain


def test_another_packs_rope_counts_below_memory(load):
    model = load()
    other = model.clone()
    other.add_object_patch(
        "diffusion_model.rope_encode", partial(model.model.diffusion_model.rope_encode, t_start=1)
    )
    assert of_model(remembering(other)) == of_model(other) != of_model(model)


def test_a_method_of_another_pack_under_the_hosts_own_name_counts(load):
    model = load()

    def patched(factor):
        def rope_encode(self, *args, **kwargs):
            return type(self).rope_encode(self, *args, **kwargs) * factor

        clone = model.clone()
        method = MethodType(rope_encode, model.model.diffusion_model)
        clone.add_object_patch("diffusion_model.rope_encode", method)
        return of_model(clone)

    assert len({of_model(model), patched(0.5), patched(2.0)}) == 3


def test_quantised_types(load, small_models):
    for dtype in ("fp8_e4m3fn", "fp8_e5m2"):
        model = nodes.UNETLoader().load_unet(UNET.format("high"), dtype)[0]
        plain = of_model(model)
        assert plain != of_model(load())
        small_wan.sample(model, steps=1)
        assert of_model(model) == plain


def test_operations_and_dtype_count(small_models):
    path = str(small_models / "diffusion_models" / UNET.format("high"))
    options = [{}, {"custom_operations": comfy.ops.manual_cast}, {"dtype": torch.float16}]
    assert len({of_model(comfy.sd.load_diffusion_model(path, model_options=o)) for o in options}) == 3


def test_lazy_model_is_sampled_only(load, monkeypatch):
    """Of a 14B model no tensor may be copied whole."""
    model = load()
    whole = max(weight.numel() for weight in model.model.parameters())
    copied = []
    original = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: copied.append(self.numel()) or original(self))
    of_model(model)
    assert whole > 10**6
    assert 0 < max(copied) <= 8192


def test_vae_and_clip(small_models, load):
    def vae():
        return nodes.VAELoader().load_vae("storymem_small_vae.safetensors")[0]

    def clip():
        return text_encoder.load(small_models / "text_encoders/storymem_small_text_encoder.safetensors")

    one, text = vae(), clip()
    before = of_vae(one), of_clip(text)
    one.decode(torch.zeros(1, 16, 1, 8, 8))
    nodes.CLIPTextEncode().encode(text, "a cat")
    assert (of_vae(one), of_clip(text)) == before == (of_vae(vae()), of_clip(clip()))
    one.first_stage_model.state_dict()["decoder.head.2.bias"][0] += 1
    text.cond_stage_model.state_dict()["storymem_small.transformer.words.weight"] += 1
    assert of_vae(one) != before[0]
    assert of_clip(text) != before[1]
    skipped, weighted = clip(), clip()
    skipped.clip_layer(-2)
    weighted.set_tokenizer_option("storymem_small_min_length", 77)
    assert len({before[1], of_clip(skipped), of_clip(weighted)}) == 3
