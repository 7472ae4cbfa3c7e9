"""The VAE's stages: the fast forward is the file's own, latents become Wan's, a stopped stage goes on."""

from __future__ import annotations

import itertools
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from storymem_core.errors import StoryMemError
from storymem_core.models import weights
from storymem_core.models.small_models import LATENT_MEAN, LATENT_STD
from storymem_core.small_world.parts import MIDDLE
from storymem_core.training import checkpoints, decoder, journal, leveling, loop, vae, vae_clips, weight_files
from storymem_core.training.recipes import TINY, DecoderPart, Phase, VaeRecipe
from storymem_core.training.vae_drawings import draw
from storymem_core.training.vae_forward import decode, encode

FEW = replace(TINY.vae.coarse.schedule, steps=4, warmup=1, precision="no", checkpoint_every=2, probe_every=4)
COARSE = replace(
    TINY.vae.coarse, schedule=FEW, phases=(Phase(0.5, 2, 1, 2), Phase(0.25, 1, 5), Phase(0.25, 1, 17))
)
FINE = replace(TINY.vae.fine, schedule=replace(FEW, steps=2), phases=(Phase(1, 1, 5),))
DECODER = DecoderPart(replace(FEW, steps=2), noise=0.03, stories=1, others=1)
SMALLEST = replace(TINY, size=32, vae=VaeRecipe(COARSE, FINE, DECODER, base_dim=8, stories=1))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return diffusers.AutoencoderKLWan(base_dim=8, z_dim=16).eval().requires_grad_(False)


@pytest.mark.parametrize("frames", [1, 5, 9, 17])
def test_a_whole_clip_at_once_gives_the_numbers_of_diffusers(model, frames):
    clips = torch.rand(2, 3, frames, 24, 16, generator=torch.Generator().manual_seed(frames)) * 2 - 1
    expected = model.encode(clips).latent_dist.parameters
    assert torch.allclose(encode(model, clips), expected, atol=1e-5)
    latents = 0.3 * torch.randn(2, 16, expected.shape[2], 3, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(decode(model, latents).clamp(-1, 1), model.decode(latents).sample, atol=1e-5)


def test_level_latents_have_wans_moments_and_decode_to_the_same_clips(model):
    torch.manual_seed(2)
    changed = diffusers.AutoencoderKLWan(base_dim=8, z_dim=16).eval().requires_grad_(False)
    changed.load_state_dict(model.state_dict())
    clips = torch.rand(6, 3, 5, 32, 32) * 2 - 1
    before = encode(model, clips)[:, :16]
    leveling.level(changed, *leveling.moments([before]), 0.1)
    after = encode(changed, clips)[:, :16]
    mean, covariance = leveling.moments([after])
    assert torch.allclose(mean, torch.tensor(LATENT_MEAN).double(), atol=1e-2)
    spread = torch.tensor(LATENT_STD).double()
    assert torch.allclose(covariance.diag().sqrt() / spread, torch.ones(16).double(), atol=1e-2)
    # In units of its channels: what was large has become larger, what was small smaller.
    was = torch.linalg.eigvalsh(leveling.moments([before])[1])
    became = torch.linalg.eigvalsh(covariance / torch.outer(spread, spread))
    expected = (was * was.clamp_min(0.02 * was.max())).sort().values
    assert torch.allclose(became / became.sum(), expected / expected.sum(), atol=1e-3)
    assert torch.allclose(decode(changed, after), decode(model, before), atol=1e-2)
    assert not torch.allclose(after, before, atol=0.5)


def test_a_still_start_turns_a_still_clip_into_nearly_still_latents(model):
    clips = (torch.rand(1, 3, 1, 32, 32) * 2 - 1).repeat(1, 1, 17, 1, 1)
    stage = vae.Vae(SMALLEST.vae)
    latents = encode(stage.vae, clips)[:, :16]
    drift = (latents[:, :, 1:] - latents[:, :, :1]).std() / latents.std()
    usual = encode(model, clips)[:, :16]
    assert drift < 0.3 * (usual[:, :, 1:] - usual[:, :, :1]).std() / usual.std()


def test_pictures_come_first_then_longer_clips():
    seen = [vae.phase(COARSE, step)[1:] for step in range(4)]
    assert seen == [(2, 1, 2), (2, 1, 2), (1, 5, 1), (1, 17, 1)]


def test_most_crops_are_around_a_character():
    frames = np.zeros((5, 64, 64, 4), np.uint8)
    frames[0, 40:44, 8:12, 3] = 1
    frames[..., 0] = np.arange(64)[:, None]
    crops = [vae.crop(frames, 32, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert {crop.shape for crop in crops} == {(5, 32, 32, 4)}
    assert 0.75 < np.mean([crop[0, ..., 3].any() for crop in crops]) < 0.97
    assert len({int(crop[0, 0, 0, 0]) for crop in crops}) > 10
    assert vae.crop(frames, 64, torch.Generator()) is frames


def test_the_stage_goes_on_where_it_stopped_and_ends_with_weights_for_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(vae, "_MEASURED", 3)
    for module in (vae, decoder):
        monkeypatch.setattr(module, "PROBED", 1)
    with pytest.raises(StoryMemError, match="the VAE is not trained yet"):
        vae.load_vae(SMALLEST, tmp_path)
    began = {}

    def train(stage, *args, **options):
        began[stage.name] = {name: value.detach().clone() for name, value in stage.model.named_parameters()}
        return loop.train(stage, *args, **options)

    monkeypatch.setattr(vae, "train", train)
    monkeypatch.setattr(decoder, "train", train)

    def calls(stage):  # a step a call
        return next(n for n in itertools.count(1) if stage(SMALLEST, tmp_path, minutes=0, device="cpu"))

    assert calls(vae.train_vae) == 5  # the fourth ends a part and begins the next
    whole = vae.load_vae(SMALLEST, tmp_path)
    with pytest.raises(StoryMemError, match="Train the stage decoder"):
        vae.load_vae(SMALLEST, tmp_path, "decoder")
    assert calls(decoder.train_decoder) == 2
    places = [tmp_path / "vae" / "coarse", tmp_path / "vae" / "fine", tmp_path / "decoder"]
    coarse, fine, last = map(journal.read, places)
    assert [row["step"] for row in coarse] == [1, 2, 3, 4] and 0 < coarse[-1]["psnr"] < 40
    assert [row["step"] for row in fine] == [row["step"] for row in last] == [1, 2]
    assert 0 < last[-1]["psnr"] < 40
    for earlier, later in ((places[0], "fine"), (places[1], "decoder")):
        handed_on = checkpoints.averages(earlier)
        assert all(torch.equal(began[f"vae_{later}"][name], value) for name, value in handed_on.items())
    for place, step in zip(places, (4, 2, 2), strict=True):
        assert list((place / "samples").glob(f"step_{step:07}.png"))
    trained = vae.load_vae(SMALLEST, tmp_path, "decoder")
    # What was learned on the first one's latents stays right.
    encoder = [name for name in whole.state_dict() if name.startswith(("encoder.", "quant_conv."))]
    assert all(torch.allclose(trained.state_dict()[name], whole.state_dict()[name]) for name in encoder)
    # A few steps leave latents so alike that bf16 tells in them: near, not equal.
    means = vae_clips.latents(trained, draw(vae.FRESH + 1, 3, 32, 17))
    mean, covariance = leveling.moments([torch.from_numpy(means).float()])
    spread = torch.tensor(LATENT_STD).double()
    assert torch.allclose(mean / spread, torch.tensor(LATENT_MEAN).double() / spread, atol=0.3)
    assert torch.allclose(covariance.diag().sqrt() / spread, torch.ones(16).double(), atol=0.3)


def test_the_decoder_learns_alone_from_latents_of_the_scenes(tmp_path):
    model = vae.Vae(SMALLEST.vae).vae
    stage = decoder.DecoderStage(SMALLEST, model, tmp_path, draw(vae.FRESH, 1, 32, 17, MIDDLE), "cpu")
    trained = {name for name, value in stage.model.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in trained} == {"decoder", "post_quant_conv"}
    clips = stage.clips
    assert len(clips) == len(stage.latents) == 12
    assert np.array_equal(clips[:6], draw(0, 1, 32, 17, MIDDLE))
    assert np.array_equal(clips[6:], draw(1, 1, 32, 17))
    means = encode(model, vae_clips.tensor(clips[8:9])[:, :3])[:, :16]
    assert torch.allclose(torch.from_numpy(stage.latents[8:9]).float(), means, atol=0.02, rtol=0.05)

    def loss(noise, seed):
        stage.part = replace(DECODER, noise=noise)
        return float(stage.loss(stage.model, 0, torch.Generator().manual_seed(seed))["loss"])

    assert loss(0.0, 1) == loss(0.0, 1) != loss(0.5, 1)
    assert len({loss(0.0, seed) for seed in range(8)}) > 3


def test_errors_weigh_characters_more_and_psnr_is_of_all_pixels(model):
    clips = torch.zeros(1, 3, 1, 8, 8)
    character = torch.zeros(1, 1, 1, 8, 8)
    character[..., :4] = 1
    off = [torch.where(where, 0.5, 0.0) + clips for where in (character > 0, character == 0)]
    on_character, on_place = (vae_clips.errors(back, clips, vae_clips.weights(character)) for back in off)
    assert on_character["squared"] == on_place["squared"] == pytest.approx(0.125)
    assert on_character["loss"] / on_place["loss"] == pytest.approx(5)
    clip = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    back = vae_clips.back(model, clip)
    expected = 10 * torch.log10(4 / (back - clip).square().mean())
    assert back.abs().max() <= 1 and vae_clips.psnr(model, clip) == pytest.approx(float(expected))


def test_the_shipped_vae_gives_fresh_clips_of_what_the_models_know_back_at_26_db():
    """On clips of stories that it has not seen."""
    shipped = diffusers.AutoencoderKLWan(base_dim=TINY.vae.base_dim, z_dim=16).requires_grad_(False)
    shipped.load_state_dict(weight_files.vae_to_diffusers(load_file(weights.FOLDER / weights.VAE)))
    clips = vae_clips.tensor(draw(vae.FRESH + 50, 4, TINY.size, TINY.length, TINY.scenes))[:, :3]
    assert len(clips) == 24 and vae_clips.psnr(shipped, clips) > 26
