"""Wrong models, encoders, memory and pixels: refused before any model is called, by name and remedy."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.sd
import pytest
import torch
from comfy.taesd.taesd import TAESD
from node_calls import SIZE, Pixels, bank_of, call, core, images, prompts
from refusals import APPLY, LOOP, SAMPLER, SHOT, SIZED, STORIES, apply_memory, good, refused

import nodes

pytestmark = pytest.mark.usefixtures("no_sampling")

BANK, SELECT = "StoryMemMemoryBank", "StoryMemKeyframeSelect"
T2V, I2V = (f"WanModel with {channels} input channels" for channels in (16, 36))


class OtherEmbedder(Pixels):
    name = "other"


def unet():
    """A model of another family, as far as a node looks at it."""

    class UNetModel:
        in_channels = 4

    return SimpleNamespace(model=SimpleNamespace(diffusion_model=UNetModel()))


def taesd():
    """Another family's VAE with the same 16 channels, as the host loads it."""
    return comfy.sd.VAE(sd=TAESD(latent_channels=16).state_dict())


@pytest.mark.parametrize(
    ("node", "names"),
    [(node, ("high_noise_model", "low_noise_model", "vae", "clip")) for node in STORIES]
    + [(SAMPLER, ("high_noise_model", "vae", "positive")), (LOOP, ("script",)), (APPLY, ("model", "memory"))],
)
def test_a_link_that_brings_nothing(parts, node, names):
    """As from a checkpoint without a text encoder, or an aesthetic filter without images."""
    given = apply_memory(parts, images(1)) if node == APPLY else good(node, parts)
    for name in names:
        refused(node, given | {name: None}, f"the input '{name}' received nothing", None)


@pytest.mark.parametrize("expert", ["high_noise_model", "low_noise_model"])
@pytest.mark.parametrize(("other", "value"), [("t2v", T2V), ("unet", "UNetModel with 0 input channels")])
def test_a_model_without_36_channels_where_memory_is_given(parts, other, value, expert):
    """The loop is given no memory, but its second shot sees that of the first."""
    model = unet() if other == "unet" else parts["t2v_high_noise_model"]
    memory = {"memory": bank_of(images(1))[0]}
    says = "memory needs a Wan2.2 image-to-video model, whose input has 36 channels"
    refused(APPLY, apply_memory(parts, images(1)) | {"model": model}, says, value)
    refused(SAMPLER, good(SAMPLER, parts) | {expert: model} | memory, says, value)
    says = "needs models with 36 input channels"
    refused(LOOP, good(LOOP, parts) | {expert: model}, says, value)
    if (other, expert) != ("t2v", "high_noise_model"):  # that one makes it a text-to-video shot: next test
        refused(SHOT, good(SHOT, parts) | {expert: model} | memory, says, value)


def test_a_text_to_video_shot_with_memory_or_a_start(parts):
    given = good(SHOT, parts) | {
        name: parts[f"t2v_{name}"] for name in ("high_noise_model", "low_noise_model")
    }
    memory = {"memory": bank_of(images(1))[0]}
    refused(SHOT, given | memory, "memory needs a Wan2.2 image-to-video model", T2V)
    start = {"cut": False, "start_frames": images(1)}
    refused(SHOT, given | start, "a text-to-video model cannot continue from the previous shot", "cut off")
    mixed = {"low_noise_model": parts["low_noise_model"]}
    refused(SHOT, given | mixed, "needs models with 16 input channels", I2V)


@pytest.mark.parametrize("expert", ["high", "low"])
def test_a_text_to_video_pair_of_one_or_of_another_kind(parts, expert):
    alone = {f"t2v_{expert}_noise_model": parts["t2v_high_noise_model"]}
    says = "a text-to-video first shot needs both experts"
    refused(LOOP, good(LOOP, parts) | alone, says, f"only the {expert}-noise one")
    pair = {f"t2v_{noise}_noise_model": parts["t2v_high_noise_model"] for noise in ("high", "low")}
    pair[f"t2v_{expert}_noise_model"] = parts["high_noise_model"]
    refused(LOOP, good(LOOP, parts) | pair, "needs models with 16 input channels", I2V)


@pytest.mark.parametrize("node", [*SIZED, APPLY])
@pytest.mark.parametrize(
    ("other", "value"),
    [
        (taesd, "TAESD, 16 channels, stride (time, space) (None, 8)"),
        (lambda: comfy.sd.VAE(sd={}), "NoneType, 4 channels, stride (time, space) (None, 8)"),
    ],
    ids=["taesd", "none"],
)
def test_a_vae_of_another_family(parts, node, other, value):
    given = apply_memory(parts, images(1)) if node == APPLY else good(node, parts)
    refused(node, given | {"vae": other()}, "the VAE must be the Wan 2.1 VAE", value)


def test_prompts_of_another_text_encoder(parts):
    for name in ("positive", "negative"):
        given = good(SAMPLER, parts) | {name: [[torch.zeros(1, 7, 768), {}]]}
        refused(SAMPLER, given, "encoded for another model: this one reads 4096", "768 features")
    clip = parts["clip"].clone()
    clip.encode_from_tokens_scheduled = lambda tokens: [[torch.zeros(1, 7, 768), {}]]
    given = good(SHOT, parts) | {"clip": clip}
    refused(SHOT, given, "encoded for another model: this one reads 4096", "768 features")


@pytest.mark.parametrize("node", [*STORIES, SELECT])
def test_a_bank_of_another_embedder(parts, node):
    given = {"images": images(2)} if node == SELECT else good(node, parts)
    given |= {"memory": bank_of(images(1))[0], "embedder": OtherEmbedder()}
    refused(node, given, "embeddings were made by pixels", "other")


def test_more_memory_than_the_capacity(output):
    given = {"references.reference_0": images(3), "sink": 1, "capacity": 2, "embedder": Pixels()}
    says = "a bank of capacity 2 cannot hold this many frames"
    refused(BANK, given, says, 3)
    core("memory.bank_folder").save(bank_of(images(3))[0], output / "saved")
    refused(BANK, {"load_from": "saved", "sink": 1, "capacity": 2}, says, 3)
    refused(BANK, {"sink": 3, "capacity": 2}, "sink must be a whole number from 0 to the capacity of 2", 3)


def test_memory_encoded_for_another_size(parts):
    """Known only when the sampler runs; here it is the host's own."""
    model = call(APPLY, **apply_memory(parts, images(1)))[0]
    positive, negative, _ = call(
        "StoryMemShotConditioning", **prompts(parts), vae=parts["vae"], **SIZE
    ).values
    larger = {"samples": torch.zeros(1, 16, 2, 6, 6)}
    message = (
        r"StoryMemApplyMemory: the memory was encoded at a different size from the latent being sampled "
        r"\(got 'memory 32x32, latent 48x48'\)\. Connect the LATENT that goes into the sampler"
    )
    with torch.inference_mode(), pytest.raises(ValueError, match=message):
        nodes.KSampler().sample(model, 0, 2, 1.0, "euler", "simple", positive, negative, larger)


def test_a_latent_whose_size_is_not_divisible_by_16(parts):
    given = apply_memory(parts, images(1)) | {"latent": {"samples": torch.zeros(1, 16, 2, 4, 5)}}
    refused(APPLY, given, "divisible by 16", "40x32")


@pytest.mark.parametrize("spacing", [-1.0, float("nan"), float("inf")])
def test_a_spacing_that_is_no_distance(parts, spacing):
    """The host refuses -1 itself; NaN passes it."""
    for node, given in ((APPLY, apply_memory(parts, images(1))), (SAMPLER, good(SAMPLER, parts))):
        changed = given | {"memory": images(1), "spacing": spacing}
        refused(node, changed, "spacing of memory frames must be a finite number >= 0", spacing)


def test_pictures_that_are_nan(parts):
    broken = images(1) * float("nan")
    says, value = "a frame must contain finite floats", "float32 (1, 32, 32, 3)"
    refused(APPLY, apply_memory(parts, broken), says, value)
    refused(SELECT, {"images": broken, "embedder": Pixels()}, says, value)
    refused(BANK, {"references.reference_0": broken, "embedder": Pixels()}, says, "float32 (32, 32, 3)")
    refused(SHOT, good(SHOT, parts) | {"cut": False, "start_frames": broken}, says, value)
    refused("StoryMemAestheticFilter", {"images": broken}, "must not contain NaN", "frames [0]")
    start = good(SAMPLER, parts) | {"start_frames": broken}
    refused(SAMPLER, start, "the VAE's latents must not be NaN or infinite", "512 of 512 values")
