"""Stories drawn and encoded in shards, and the batches that are drawn from them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file, save_file

from storymem_core.conditioning.start import shot_pixels
from storymem_core.errors import StoryMemError
from storymem_core.models.small_models import LATENT_MEAN, LATENT_STD
from storymem_core.small_world import clip, stories
from storymem_core.small_world.words import TEXTS
from storymem_core.training import story_latents
from storymem_core.training.data import Latents, Mix

SIZE, LENGTH = 16, 17


def open_vae() -> AutoencoderKLWan:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return AutoencoderKLWan(base_dim=4, z_dim=16).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latents")
    assert story_latents.cache(open_vae, folder, range(20), size=SIZE, length=LENGTH, workers=1)
    return folder


def marked(count: int = 6) -> Latents:
    """Stories of which every number tells where it comes from: 100 * story + 10 * clip + frame."""
    story = torch.arange(count, dtype=torch.float16)
    clips = 100 * story[:, None] + 10 * torch.arange(6)
    memory = (clips[..., None] + torch.arange(2)).reshape(count, 6, 2, 1, 1, 1).expand(-1, -1, -1, 16, 2, 2)
    video = clips[:, :3].reshape(count, 3, 1, 1, 1, 1).expand(-1, -1, 16, 5, 2, 2)
    text = torch.arange(12).reshape(1, 3, 4, 1).expand(count, -1, -1, 48)
    return Latents(
        video=video,
        condition=video + 1000,
        known=torch.tensor([[1, 2, 0]]).expand(count, -1),
        text=text,
        take=torch.tensor([[1, 2, 2]]).expand(count, -1),
        memory=memory,
        memory_take=torch.tensor([[1, 2, 2, 3, 4, 5]]).expand(count, -1),
        reference=torch.full((count, 16, 2, 2), -1.0),
        characters=(story[:, None, None, None, None] / 8).expand(-1, 3, 5, 2, 2),
        grey=torch.full((count, 16, 5, 2, 2), -5.0),
    )


def first(tensor: torch.Tensor) -> list[int]:
    return tensor.flatten(1)[:, 0].int().tolist()


def test_memory_is_of_other_takes_of_the_same_story_in_order_of_time():
    shots = marked().shots(200, Mix({"m2v": 1.0}, memory=5), torch.Generator().manual_seed(0))
    takes = {0: 1, 10: 2, 20: 2, 30: 3, 40: 4, 50: 5}
    references = 0
    for video, frames in zip(first(shots.video), shots.memory[:, 0, :, 0, 0].int().tolist(), strict=True):
        references += frames[0] == -1
        told = frames[1:] if frames[0] == -1 else frames
        assert told == sorted(told) and len({*told}) == len(told)
        assert {frame // 100 for frame in told} == {video // 100}
        assert takes[video % 100] not in {takes[frame % 100 // 10 * 10] for frame in told}
    assert 10 <= references <= 60


def test_near_memory_may_show_the_shot_itself():
    shots = marked().shots(200, Mix({"m2v": 1.0}, memory=5, near=True), torch.Generator().manual_seed(0))
    rows = zip(first(shots.video), shots.memory[:, 0, :, 0, 0].int().tolist(), strict=True)
    shown = [video in {frame // 10 * 10 for frame in frames} for video, frames in rows]
    assert 40 <= sum(shown) <= 195


def test_characters_count_more_in_the_loss_if_asked():
    plain, weighted = (
        marked().shots(50, Mix({"m2v": 1.0}, on_characters=weight), torch.Generator().manual_seed(0))
        for weight in (0.0, 8.0)
    )
    assert plain.weight.shape == (50, 1, 5, 2, 2) and (plain.weight == 1).all()
    assert torch.equal(weighted.weight.flatten(1)[:, 0], 1.0 + torch.tensor(first(plain.video)) // 100)


def test_a_latent_knows_the_share_of_its_pixels_that_is_a_characters():
    pixels = torch.zeros(1, 9, 16, 16, dtype=torch.bool)
    pixels[0, 0, :8, :4] = True
    pixels[0, 5:7, 8:, 8:] = True
    expected = torch.zeros(1, 3, 2, 2)
    expected[0, 0, 0, 0] = expected[0, 2, 1, 1] = 0.5
    assert torch.equal(story_latents.shares(pixels, (3, 2, 2)).float(), expected)


def test_strange_memory_is_of_another_story_and_all_else_stays():
    own, strange = (
        marked().shots(50, Mix({"m2v": 1.0}, memory=2, strange=strange), torch.Generator().manual_seed(0))
        for strange in (False, True)
    )
    assert torch.equal(own.video, strange.video) and torch.equal(own.text, strange.text)
    stories_of = strange.memory[:, 0, 1, 0, 0].int() // 100
    assert (stories_of != strange.video[:, 0, 0, 0, 0].int() // 100).all()


def test_a_shot_is_told_what_its_layout_gives():
    mix = Mix({"m2v": 0.5, "mi2v": 0.3, "mm2v": 0.2}, drop_text=0.25)
    shots = marked().shots(1000, mix, torch.Generator().manual_seed(0))
    videos, conditions = first(shots.video), first(shots.condition)
    for known, video, condition in zip(shots.known.tolist(), videos, conditions, strict=True):
        assert condition == (-5 if known == 0 else video + 1000)
        assert known == 0 or video % 100 == {1: 0, 2: 10}[known]
    counts = shots.known.bincount().tolist()
    assert counts == pytest.approx([500, 300, 200], abs=60)
    assert len({video for video, known in zip(videos, shots.known.tolist(), strict=True) if known == 0}) == 18
    dropped = (shots.text == torch.tensor(TEXTS.encode(""))).all(1).sum().item()
    assert dropped == pytest.approx(250, abs=60)


def test_a_batch_comes_from_its_generator_alone():
    mix = Mix({"m2v": 0.5, "mi2v": 0.5}, memory=3, drop_text=0.5)
    one, two, other = (marked().shots(9, mix, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one.video, other.video)


def test_more_memory_than_a_story_has_is_refused():
    with pytest.raises(StoryMemError, match="8 memory frames"):
        marked(1).shots(50, Mix({"m2v": 1.0}, memory=9), torch.Generator().manual_seed(0))


def test_shards_hold_what_the_vae_says_of_each_film_and_picture(cached: Path):
    latents = Latents.read(cached)
    assert len(latents) == 20 and latents.video.shape == (20, 3, 16, 5, 2, 2)
    vae, drawn = open_vae(), story_latents.draw(3, SIZE, LENGTH)

    def encoded(pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
        films = torch.as_tensor(pixels)[None].float().permute(0, 4, 1, 2, 3) * 2 - 1
        raw = vae.encode(films).latent_dist.mode()
        mean, std = (torch.tensor(values).reshape(1, -1, 1, 1, 1) for values in (LATENT_MEAN, LATENT_STD))
        return ((raw - mean) / std)[0]

    def near(a: torch.Tensor, b: torch.Tensor) -> bool:
        return bool((a.float() - b).abs().max() < 0.03)  # bf16

    row = int(np.flatnonzero(drawn.start == 5)[0])
    video = drawn.video[row] / 255.0
    assert near(latents.video[3, row], encoded(video))
    start = torch.from_numpy(video[:5])
    assert near(latents.condition[3, row], encoded(shot_pixels(start, LENGTH, SIZE, SIZE)))
    assert near(latents.grey[3], encoded(shot_pixels(None, LENGTH, SIZE, SIZE)))
    assert near(latents.memory[3, 4, 1], encoded(drawn.memory[4, 1][None] / 255.0)[:, 0])
    assert near(latents.reference[3], encoded(drawn.reference[None] / 255.0)[:, 0])
    assert sorted(latents.known[3].tolist()) == [0, 1, 2] and latents.known[3, row] == 2


def test_a_frame_alone_is_that_frame_of_its_clip():
    story = stories.sample(5)
    for scene in story.clips:
        if scene.spoil == "none":
            whole = clip.render(scene, story.cast, size=SIZE, length=LENGTH).frames
            assert np.array_equal(story_latents.frame(scene, story.cast, 11, SIZE), whole[11])


def test_the_cache_goes_on_where_it_stopped(cached: Path, tmp_path: Path):
    options = {"size": SIZE, "length": LENGTH, "workers": 1}
    assert not story_latents.cache(open_vae, tmp_path, range(20), minutes=-1, **options)
    whole = sorted(path.name for path in cached.iterdir())
    assert len(whole) == 2
    (tmp_path / whole[0]).write_bytes(b"kept")
    assert story_latents.cache(open_vae, tmp_path, range(20), **options)
    assert (tmp_path / whole[0]).read_bytes() == b"kept"
    assert (tmp_path / whole[1]).read_bytes() == (cached / whole[1]).read_bytes()
    with pytest.raises(StoryMemError, match="damaged"):
        Latents.read(tmp_path)


def test_a_folder_without_latents_is_an_error(tmp_path: Path):
    with pytest.raises(StoryMemError, match="no cached latents"):
        Latents.read(tmp_path)


def test_workers_share_the_shards(cached: Path, tmp_path: Path):
    """In processes of their own; what they open must be found by name there."""
    vae = partial(AutoencoderKLWan, base_dim=4, z_dim=16)
    assert story_latents.cache(vae, tmp_path, range(17), size=SIZE, length=9, workers=2)
    assert len(Latents.read(tmp_path)) == 17


def no_vae() -> AutoencoderKLWan:
    raise StoryMemError("the VAE is gone", value="vae", remedy="Train it.")


def test_an_error_of_a_worker_is_told(tmp_path: Path):
    with pytest.raises(StoryMemError, match="the VAE is gone"):
        story_latents.cache(no_vae, tmp_path, range(17), size=SIZE, length=9, workers=2)


DRAWING = """
import os
from functools import partial
from pathlib import Path
from diffusers import AutoencoderKLWan
from storymem_core.training import story_latents

if __name__ == "__main__":
    vae = partial(AutoencoderKLWan, base_dim=4, z_dim=16)
    story_latents.cache(vae, Path(os.environ["OUT"]), range(100_000), size=32, length=9, workers=2)
"""


def test_workers_do_not_outlive_a_killed_training(tmp_path: Path):
    script = tmp_path / "draw.py"
    script.write_text(DRAWING)
    variables = {**os.environ, "OUT": str(tmp_path / "out"), "PYTHONPATH": str(Path(__file__).parents[2])}
    # Workers hold the pipe open for as long as they live.
    process = subprocess.Popen([sys.executable, script], env=variables, stdout=subprocess.PIPE)
    while not list((tmp_path / "out").glob("stories_*.safetensors")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    assert process.communicate(timeout=20) == (b"", None)


def test_latents_of_an_earlier_version_are_refused(cached: Path, tmp_path: Path):
    path = story_latents.shard_path(tmp_path, 0)
    shard = load_file(story_latents.shard_path(cached, 0))
    save_file({name: tensor for name, tensor in shard.items() if name != "characters"}, path)
    with pytest.raises(StoryMemError, match=r"earlier version.*without characters"):
        Latents.read(tmp_path)
