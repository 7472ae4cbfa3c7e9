"""What the real A14B needs: memory computed and followed through its true shapes, loading, text features."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks.photos import SCENES, photo, view
from storymem_core.errors import StoryMemError
from storymem_core.frames import frame_file
from storymem_core.lora import files as lora
from storymem_core.training import a14b, a14b_lora, group_latents, loop
from storymem_core.training.adapter import with_adapter
from storymem_core.training.curation import Curated
from storymem_core.training.data import Mix
from storymem_core.training.group_latents import GroupLatents
from storymem_core.training.grouping import Clip, Group, Relative
from storymem_core.training.memory_needed import A14B, GIB, Shape, memory_needed, table, tokens
from storymem_core.training.recipes import Schedule
from storymem_core.training.rope import with_memory_rope
from storymem_core.training.story_latents import latents

# --- memory ---


def test_an_expert_has_the_weights_that_are_known_of_it():
    assert A14B.weights() == 14_288_901_184
    assert A14B.adapter(128) == 613_416_960  # the released files: .613 B
    assert 40 * A14B.block() < A14B.weights() < 41 * A14B.block()


def test_tokens_of_a_shot():
    assert tokens(0) == 32_760 and tokens(10) == 48_360
    assert tokens(2, width=128, height=64, frames=17) == 7 * 8 * 4


def test_fsdp_shares_what_is_stored_and_nothing_that_is_computed():
    one, eight = memory_needed(3), memory_needed(3, gpus=8)
    for name in ("weights", "adapter", "average", "moments", "gradients"):
        assert getattr(eight, name) == pytest.approx(getattr(one, name) / 8)
    assert (eight.stored, eight.working) == (one.stored, one.working)
    assert one.gathered == 0 < eight.gathered < 2.5
    assert one.weights == pytest.approx(14.288901184e9 * 2 / 2**30)
    assert one.moments == 2 * one.adapter == pytest.approx(2 * 4 * 0.61341696e9 / 2**30)
    assert memory_needed(3, batch=2).stored == 2 * one.stored


def test_the_table_has_a_row_for_each_case_and_its_columns_add_up():
    head, _, *rows = table((0, 10), (1, 8)).splitlines()
    assert len(rows) == 4 and head.count("|") == rows[0].count("|")
    for row in rows:
        *parts, total = [float(cell) for cell in row.strip("|").split("|")[2:]]
        assert sum(parts) == pytest.approx(total, abs=0.45)  # each is rounded


class Peak(TorchDispatchMode):
    """Bytes of all storages that are made inside, and the most that were alive at once."""

    def __init__(self, known):
        super().__init__()
        self.now = self.most = 0
        self.seen = weakref.WeakSet(known)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self.add, result)
        return result

    def add(self, tensor):
        storage = tensor.untyped_storage()
        if storage not in self.seen:
            self.seen.add(storage)
            self.change(storage.nbytes())
            weakref.finalize(storage, self.change, -storage.nbytes())

    def change(self, by):
        self.now += by
        self.most = max(self.most, self.now)


def followed(shape: Shape, memory: int) -> float:
    """GiB beyond the weights at the worst moment of a training step of true size, on fake tensors."""
    with torch.device("meta"):
        model = WanTransformer3DModel(
            num_attention_heads=shape.dim // 128, ffn_dim=shape.ffn, num_layers=shape.blocks, **a14b.CHANNELS
        ).requires_grad_(False)
        with_adapter(model, 128, 128)
    model.enable_gradient_checkpointing()
    rotation = with_memory_rope(model, 21).rope(torch.empty(1, 36, 21 + memory, 60, 104))
    model.rope.forward = lambda latents: tuple(torch.empty(part.shape) for part in rotation)
    with FakeTensorMode():
        for name, module in model.named_modules():
            for key, old in [*module._parameters.items()]:
                if old is None:
                    continue
                trained = "lora_" in f"{name}.{key}"
                full = trained or any(part in f"{name}.{key}" for part in model._keep_in_fp32_modules)
                new = torch.empty(old.shape, dtype=torch.float32 if full else torch.bfloat16)
                module._parameters[key] = torch.nn.Parameter(new, requires_grad=trained)
        weights = [parameter.untyped_storage() for parameter in model.parameters()]
        latents, text = (
            torch.empty(1, 36, 21 + memory, 60, 104),
            torch.empty(1, 512, 4096, dtype=torch.bfloat16),
        )
        with Peak(weights) as peak:
            with torch.autocast("cpu", torch.bfloat16):
                output = model(latents, torch.empty(1), text).sample
            output.float().square().mean().backward()
    return peak.most / GIB


@pytest.mark.parametrize("memory", [0, 10])
def test_the_formula_is_what_a_step_of_true_shape_needs(memory):
    """Three blocks of true size: what 40 have more is the same again."""
    shape = Shape(blocks=3)
    need = memory_needed(memory, shape=shape)
    assert followed(shape, memory) == pytest.approx(need.stored + need.working, rel=0.03)


# --- the model's folder ---

SMALL = {"num_attention_heads": 1, "attention_head_dim": 128, "ffn_dim": 64, "freq_dim": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model laid out as Wan2.2-I2V-A14B is in diffusers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    folder = tmp_path_factory.mktemp("wan")
    torch.manual_seed(0)
    for name in a14b.SUBFOLDERS.values():
        WanTransformer3DModel(**SMALL, **a14b.CHANNELS, num_layers=3).save_pretrained(folder / name)
    words = ["<pad>", "</s>", "<unk>", "a", "hero", "walks"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "tokenizer")
    config = UMT5Config(
        vocab_size=len(words), d_model=4096, d_kv=4, d_ff=8, num_layers=1, num_heads=2, use_cache=False
    )
    UMT5EncoderModel(config).save_pretrained(folder / "text_encoder")
    return folder


def test_an_expert_is_loaded_in_bf16_frozen_and_checkpointed(folder):
    high, low = (a14b.load_expert(folder, expert) for expert in ("high", "low"))
    assert not torch.equal(high.blocks[0].attn1.to_q.weight, low.blocks[0].attn1.to_q.weight)
    assert high.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert high.blocks[0].scale_shift_table.dtype == torch.float32  # diffusers keeps it so
    assert high.gradient_checkpointing and not any(p.requires_grad for p in high.parameters())
    stored = load_file(folder / "transformer_2" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(low.patch_embedding.weight, stored["patch_embedding.weight"].bfloat16())


def test_the_first_blocks_alone_can_be_loaded(folder):
    whole, part = a14b.load_expert(folder, "high"), a14b.load_expert(folder, "high", blocks=2)
    assert len(part.blocks) == 2
    assert torch.equal(part.blocks[1].ffn.net[2].weight, whole.blocks[1].ffn.net[2].weight)
    assert torch.equal(part.proj_out.weight, whole.proj_out.weight)


def test_what_is_missing_or_damaged_or_another_model_is_told(folder, tmp_path):
    with pytest.raises(StoryMemError, match=r"has no transformer/"):
        a14b.load_expert(tmp_path, "high")
    WanTransformer3DModel(**SMALL, in_channels=16, out_channels=16, num_layers=1).save_pretrained(
        tmp_path / "transformer"
    )
    with pytest.raises(StoryMemError, match="image-to-video model of 36 channels"):
        a14b.load_expert(tmp_path, "high")
    weights = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(StoryMemError, match="cannot be read"):
        a14b.load_expert(tmp_path, "high")


# --- text ---


def test_text_is_encoded_once_and_padded_with_zeros(folder, tmp_path, monkeypatch):
    told = []
    a14b.cache_text(["a hero walks", "a  hero"], folder, tmp_path, say=told.append)
    assert len(told) == 3  # the empty text too
    features = a14b.text_features("a hero walks", tmp_path)
    assert features.shape == (512, 4096) and features.dtype == torch.bfloat16
    assert (
        features[:4].float().abs().sum(1).min() > 0 and features[4:].abs().max() == 0
    )  # three words and </s>
    encode = a14b.text_encoder(folder)
    assert torch.equal(encode("a hero walks"), features[:4])
    assert a14b.text_features("", tmp_path)[1:].abs().max() == 0

    def never(*_):
        raise AssertionError("the encoder was loaded for nothing")

    monkeypatch.setattr(a14b, "text_encoder", never)
    a14b.cache_text(["a hero walks", ""], folder, tmp_path)
    with pytest.raises(AssertionError, match="for nothing"):
        a14b.cache_text(["walks"], folder, tmp_path)


def test_text_that_was_never_encoded_or_is_damaged(folder, tmp_path):
    with pytest.raises(StoryMemError, match="no stored features"):
        a14b.text_features("a hero", tmp_path)
    a14b.cache_text([], folder, tmp_path, say=lambda line: None)
    [file] = tmp_path.iterdir()
    file.write_bytes(b"x")
    with pytest.raises(StoryMemError, match="no stored features"):
        a14b.text_features("", tmp_path)


def test_an_encoder_of_another_width(folder, tmp_path):
    from transformers import UMT5Config, UMT5EncoderModel

    (tmp_path / "tokenizer").symlink_to(folder / "tokenizer")
    config = UMT5Config(vocab_size=6, d_model=16, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    UMT5EncoderModel(config).save_pretrained(tmp_path / "text_encoder")
    with pytest.raises(StoryMemError, match="4096 wide"):
        a14b.cache_text(["a"], tmp_path, tmp_path / "text")
    assert json.loads((tmp_path / "text_encoder" / "config.json").read_text())["d_model"] == 16


# --- cached latents ---


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return AutoencoderKLWan(base_dim=8, z_dim=16).eval().requires_grad_(False)


def video(path, frames):
    """A lossless video, so that its pictures are known to the last bit."""
    frame_file.write(frames, path)
    return frames


@pytest.fixture(scope="module")
def cached(vae, tmp_path_factory):
    """Two groups over two videos of noise: the second has one memory frame only."""
    videos, out = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("latents")
    noise = np.random.default_rng(0).integers(0, 256, (2, 40, 32, 48, 3), np.uint8)
    pixels = {name: video(videos / f"{name}.mkv", frames) for name, frames in zip("ab", noise, strict=True)}
    clips = (Clip("a0", "a.mkv", 3, 9), Clip("a1", "a.mkv", 20, 9), Clip("b0", "b.mkv", 11, 9))
    groups = (
        Group("a0", (Relative("b0", 0.7, (0, 4)), Relative("a1", 0.6, (8,))), {}),
        Group("b0", (Relative("a1", 0.7, (4,)),), {}),
    )
    curated = Curated(clips, groups, ())
    group_latents.cache_latents(curated, videos, out, vae, size=(48, 32), say=lambda line: None)
    return curated, videos, out, pixels


def stored(out, target):
    for path in out.glob("group_*"):
        with safe_open(path, "pt") as file:
            if file.metadata()["target"] == target:
                return load_file(path)


def test_a_group_is_stored_as_the_model_reads_it(cached, vae):
    _, _, out, pixels = cached
    group = stored(out, "a0")
    shot = torch.from_numpy(pixels["a"][3:12]) / 255
    assert {name: tuple(tensor.shape) for name, tensor in group.items()} == {
        "video": (16, 3, 4, 6), "m2v": (16, 3, 4, 6), "mi2v": (16, 3, 4, 6), "mm2v": (16, 3, 4, 6),
        "memory": (3, 16, 4, 6),
    }  # fmt: skip
    grey = torch.full_like(shot, 0.5)
    expected = {
        "video": shot,
        "m2v": grey,
        "mi2v": torch.cat([shot[:1], grey[1:]]),
        "mm2v": torch.cat([shot[:5], grey[5:]]),
    }
    for name, film in expected.items():
        assert torch.equal(group[name], latents(vae, film[None])[0]), name
    stills = [pixels["a"][28], pixels["b"][11], pixels["b"][15]]  # in order of time, not of likeness
    for latent, still in zip(group["memory"], stills, strict=True):
        assert torch.equal(latent, latents(vae, (torch.from_numpy(still) / 255)[None, None])[0, :, 0])


def test_each_target_keeps_its_orientation(vae, tmp_path):
    """An upright clip is not cropped to a band of a third of its height."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 48, 32, 3), np.uint8)
    frames = {"a.mkv": noise, "b.mkv": noise[:, ::-1], "c.mkv": noise.transpose(0, 2, 1, 3)}
    for name, pixels in frames.items():
        video(tmp_path / name, np.ascontiguousarray(pixels))
    clips = tuple(Clip(name[0], name, 0, 9) for name in frames)
    groups = (Group("a", (Relative("b", 0.7, (4,)),), {}), Group("c", (Relative("b", 0.7, (4,)),), {}))
    out = tmp_path / "out"
    group_latents.cache_latents(Curated(clips, groups, ()), tmp_path, out, vae, size=(48, 32), say=print)
    upright, wide = stored(out, "a"), stored(out, "c")
    assert {tensor.shape[-2:] for tensor in upright.values()} == {(6, 4)}
    assert {tensor.shape[-2:] for tensor in wide.values()} == {(4, 6)}
    shot = torch.from_numpy(noise[:9]) / 255
    assert torch.equal(upright["video"], latents(vae, shot[None])[0])
    assert torch.equal(upright["m2v"], latents(vae, torch.full_like(shot, 0.5)[None])[0])
    assert group_latents.turned((32, 48), (20, 20)) == (32, 48), "a square is as it is asked for"


def test_only_what_is_missing_is_encoded_and_what_is_gone_removed(cached, tmp_path, monkeypatch):
    curated, videos, out, _ = cached
    for path in out.iterdir():
        shutil.copy(path, tmp_path / path.name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    options = {"size": (48, 32), "say": lambda line: None}
    group_latents.cache_latents(curated, videos, tmp_path, None, **options)  # without a VAE: nothing to do
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    fewer = curated._replace(groups=curated.groups[:1])
    group_latents.cache_latents(fewer, videos, tmp_path, None, **options)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(StoryMemError, match="divisible by 16"):
        group_latents.cache_latents(curated, videos, tmp_path, None, size=(40, 32))


def test_a_video_that_was_replaced_is_encoded_again(cached, tmp_path, vae):
    curated, videos, out, _ = cached
    shutil.copytree(videos, tmp_path / "videos")  # as copied, with their times, they are the same
    shutil.copytree(out, tmp_path / "out")
    options = {"size": (48, 32), "say": lambda line: None}
    group_latents.cache_latents(curated, tmp_path / "videos", tmp_path / "out", None, **options)
    noise = np.random.default_rng(1).integers(0, 256, (40, 32, 48, 3), np.uint8)
    video(tmp_path / "videos" / "b.mkv", noise)
    group_latents.cache_latents(curated, tmp_path / "videos", tmp_path / "out", vae, **options)
    shot = torch.from_numpy(noise[11:20]) / 255
    assert torch.equal(stored(tmp_path / "out", "b0")["video"], latents(vae, shot[None])[0])
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.fixture
def batches(cached, folder, tmp_path):
    captions = {"a0": "a hero", "b0": "walks"}
    a14b.cache_text(captions.values(), folder, tmp_path, say=lambda line: None)
    return GroupLatents(cached[2], captions, tmp_path), tmp_path


CUTS = {"m2v": 1.0}


def test_a_batch_holds_a_groups_own_latents(cached, batches):
    data, text = batches
    assert len(data) == 2
    own = {target: stored(cached[2], target) for target in ("a0", "b0")}
    words = {"a0": "a hero", "b0": "walks"}
    seen = set()
    for seed in range(6):
        mix = Mix({"m2v": 0.4, "mi2v": 0.3, "mm2v": 0.3}, memory=1)
        shots = data.shots(2, mix, torch.Generator().manual_seed(seed))
        assert shots.memory.shape == (2, 16, 1, 4, 6) and shots.video.dtype == torch.float32
        for row in range(2):
            [target] = [name for name in own if torch.equal(shots.video[row], own[name]["video"].float())]
            layout = ["m2v", "mi2v", "mm2v"][int(shots.known[row])]
            assert torch.equal(shots.condition[row], own[target][layout].float())
            assert any(torch.equal(shots.memory[row, :, 0], frame.float()) for frame in own[target]["memory"])
            assert torch.equal(shots.text[row], a14b.text_features(words[target], text))
            seen.add((target, layout))
    assert len(seen) >= 4


def test_groups_with_too_little_memory_are_passed_over(cached, batches):
    data, _ = batches
    rich = stored(cached[2], "a0")
    for asked, given in ((3, 3), (10, 3), (0, 0)):
        shots = data.shots(4, Mix(CUTS, memory=asked), torch.Generator().manual_seed(0))
        assert shots.memory.shape[2] == given
        if given:
            assert all(torch.equal(frames, rich["memory"].float().transpose(0, 1)) for frames in shots.memory)


def test_groups_with_much_memory_do_not_take_the_steps_of_the_others(batches):
    """Of 40 groups one has nine frames, half have a single one."""
    data, _ = batches
    data._files, data._memory = [None] * 40, torch.tensor([1] * 20 + [2] * 10 + [3] * 6 + [5] * 3 + [9])
    draws = torch.Generator().manual_seed(0)
    seen = torch.zeros(40)
    numbers = []
    for _ in range(4000):
        numbers.append(data.memory(10, draws))
        rich = (data._memory >= numbers[-1]).nonzero().flatten()
        seen[rich] += 1 / len(rich)  # as `shots` draws them
    assert set(numbers) == set(range(1, 10))
    assert seen.max() / seen.sum() < 3 / 40 and seen.min() / seen.sum() > 0.5 / 40
    assert max(data.memory(2, draws) for _ in range(200)) == 2


def test_all_processes_take_the_same_number_of_memory_frames_in_a_step(data, folder, monkeypatch):
    """Else at each block of a model that is spread over GPUs all wait for the one that has most."""
    run = stage(a14b.load_expert(folder, "high"), data, "high", 2, rank=4)
    taken = []
    monkeypatch.setattr(a14b_lora, "velocity_loss", lambda model, shots, *_, **__: taken.append(shots))
    for step in range(8):
        for rank in (0, 1):
            run.loss(None, step, loop.generator(0, run.name, step, rank))
    counts = [shots.memory.shape[2] for shots in taken]
    assert counts[::2] == counts[1::2] and len(set(counts)) > 1


def test_text_is_dropped_and_memory_taken_from_elsewhere(cached, batches):
    data, text = batches
    mix = Mix(CUTS, memory=1, drop_text=1.0, strange=True)
    shots = data.shots(4, mix, torch.Generator().manual_seed(1))
    own = {target: stored(cached[2], target) for target in ("a0", "b0")}
    for row in range(4):
        assert torch.equal(shots.text[row], a14b.text_features("", text))
        [other] = [name for name in own if not torch.equal(shots.video[row], own[name]["video"].float())]
        assert any(torch.equal(shots.memory[row, :, 0], frame.float()) for frame in own[other]["memory"])


def test_a_caption_changed_since_it_was_encoded_is_told_before_training(cached, batches):
    _, text = batches
    with pytest.raises(StoryMemError, match=r"no stored features.*walks away.*Encode the captions again"):
        GroupLatents(cached[2], {"a0": "a hero", "b0": "walks away"}, text)


def test_no_latents_and_damaged_latents(cached, tmp_path):
    with pytest.raises(StoryMemError, match="no cached latents"):
        GroupLatents(tmp_path, {}, tmp_path)
    (tmp_path / "group_x.safetensors").write_bytes(b"x")
    with pytest.raises(StoryMemError, match="damaged"):
        GroupLatents(tmp_path, {}, tmp_path)


# --- training ---


def test_the_fsdp_config_is_read_by_accelerate_and_shards_diffusers_blocks():
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(Path(a14b.__file__).with_name("accelerate_fsdp.yaml")))
    assert config.distributed_type == "FSDP" and config.mixed_precision == "bf16"
    assert config.fsdp_config["fsdp_version"] == 2
    assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] in WanTransformer3DModel._no_split_modules


SHARDED = """
import sys
import torch
import torch.distributed as dist
from diffusers import WanTransformer3DModel
from torch.distributed.fsdp import fully_shard
from storymem_core.training.loop import sharded_precision

dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1)
size = {"num_attention_heads": 1, "attention_head_dim": 32, "ffn_dim": 64, "num_layers": 1, "text_dim": 16}
model = WanTransformer3DModel(**size, in_channels=36, out_channels=16)
for part in (*model.blocks, model):
    fully_shard(part, mp_policy=sharded_precision())
told = {}
model.condition_embedder.register_forward_pre_hook(lambda _, given: told.update(time=given[0]))
model.blocks[0].register_forward_pre_hook(lambda _, given: told.update(turns=given[3][0]))
with torch.autocast("cpu", torch.bfloat16):
    time = torch.tensor([997.3])
    model(torch.randn(1, 36, 1, 4, 4), time, torch.randn(1, 3, 16), return_dict=False)[0].sum().backward()
assert torch.equal(told["time"], time) and told["turns"].dtype == torch.float32
assert all(value.grad.dtype == torch.float32 for value in model.parameters() if value.grad is not None)
assert model.blocks[0].ffn.net[2].weight.grad is not None
dist.destroy_process_group()
"""


def test_a_sharded_model_is_told_the_time_and_its_positions_unrounded(tmp_path):
    """torch's own FSDP, one process without a GPU: what a policy does is the same on many."""
    command = [sys.executable, "-c", SHARDED, str(tmp_path / "meeting")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def data(cached, folder, tmp_path):
    a14b.cache_text(["a hero", "walks"], folder, tmp_path / "text", say=lambda line: None)
    return GroupLatents(cached[2], {"a0": "a hero", "b0": "walks"}, tmp_path / "text")


# One expert of Wan2.2-I2V-A14B but for its number of blocks.
TRUE_SHAPE = {"num_attention_heads": 40, "attention_head_dim": 128, "ffn_dim": 13824}


def cut_down():
    """An untrained expert of true shape with one block, in bf16: 0.35 billion weights, 40 in the whole."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)  # never in fp32, not even while it is made
    try:
        model = WanTransformer3DModel(**TRUE_SHAPE, **a14b.CHANNELS, num_layers=1)
    finally:
        torch.set_default_dtype(before)
    return a14b.ready(model)


def stage(model, data, expert, steps, rank=128):
    schedule = Schedule(steps=steps, batch=1, lr=1e-3, warmup=1, checkpoint_every=2)
    recipe = replace(a14b_lora.RECIPE, schedule=schedule, rank=rank)
    return a14b_lora.MemoryLora(model, data, expert, data.latent_frames, recipe)


def test_a_few_steps_on_true_shape(data, tmp_path):
    """One block of the A14B: 40 heads of 128, ffn 13824, text 4096, rank 128, bf16, recomputed."""
    run = stage(cut_down(), data, "high", 2)
    trained = {name: value for name, value in run.model.named_parameters() if value.requires_grad}
    assert sum(value.numel() for value in trained.values()) == A14B.adapter(128) / 40
    assert {value.dtype for value in trained.values()} == {torch.float32}
    frozen = run.model.blocks[0].ffn.net[2].base_layer.weight
    assert frozen.dtype == torch.bfloat16 and frozen.shape == (5120, 13824)
    before = frozen.clone()
    assert a14b_lora.train(run, tmp_path, device="cpu") == (2, True)
    assert torch.equal(frozen, before)
    assert all(value.abs().max() > 0 for name, value in trained.items() if "lora_B" in name)
    losses = [row["loss"] for row in rows(tmp_path / "high")]
    assert len(losses) == 2 and all(0 < loss < 100 for loss in losses)


def test_a_stopped_run_goes_on_with_the_same_losses(data, folder, tmp_path):
    def run(out, **options):
        a14b_lora.train(
            stage(a14b.load_expert(folder, "low"), data, "low", 5), tmp_path / out, device="cpu", **options
        )
        return [row["loss"] for row in rows(tmp_path / out / "low")]

    whole = run("whole")
    torch.manual_seed(1)  # what a new process draws elsewhere
    assert run("half", minutes=0) == whole[:1]
    assert run("half") == whole and len(whole) == 5


def test_a_checkpoint_of_another_rank_is_refused(data, folder, tmp_path):
    a14b_lora.train(stage(a14b.load_expert(folder, "high"), data, "high", 2, 4), tmp_path, device="cpu")
    other = stage(a14b.load_expert(folder, "high"), data, "high", 2, 8)
    with pytest.raises(StoryMemError, match="rank differ"):
        a14b_lora.train(other, tmp_path, device="cpu")


def test_the_commands_from_videos_to_an_adapter(folder, tmp_path, capsys):
    """All of them, on a small model laid out as the true one."""
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    coffee = photo(SCENES["coffee"])
    for name, x, size in (("a", 0.3, 0.5), ("b", 0.5, 0.9)):
        frames = torch.stack(
            [view(coffee, 64, 96, (0.5, x + step, size)) for step in np.linspace(0, 0.04, 9)]
        )
        frame_file.write((frames * 255).round().byte().numpy(), videos / f"{name}.mkv")
    if not (folder / "vae").exists():
        AutoencoderKLWan(base_dim=8, z_dim=16).save_pretrained(folder / "vae")
    place, model = ["--out", str(out)], ["--model", str(folder), "--device", "cpu"]
    source = ["--videos", str(videos)]
    assert a14b_lora.main(["lora", *place, *model, "--expert", "low"]) == 2
    assert "Run the curation of your videos first" in capsys.readouterr().err
    assert a14b_lora.main(["export", *place]) == 2
    assert "this has not been trained yet" in capsys.readouterr().err
    assert a14b_lora.main(["curate", *source, *place, "--length", "9", "--low", "0.3"]) == 0
    assert a14b_lora.main(["cache", *source, *place, *model, "--size", "48", "32"]) == 0
    command = ["lora", *place, *model, "--expert", "low", "--steps", "3", "--lr", "2e-4", "--minutes", "0"]
    assert a14b_lora.main([*command, "--blocks", "1"]) == 0  # a try, and the whole that is none the wiser
    assert a14b_lora.main(command) == 0
    assert a14b_lora.main(command) == 0
    assert [row["step"] for row in rows(out / "lora_of_1_blocks" / "low")] == [1]
    assert [row["step"] for row in rows(out / "lora" / "low")] == [1, 2]
    assert a14b_lora.main([*command, "--memory", "2"]) == 2
    assert "memory differ" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        a14b_lora.main([*command, "--memory", "11"])
    with pytest.raises(SystemExit):
        a14b_lora.main([*command, "--steps", "0"])
    assert "invalid positive int value: '0'" in capsys.readouterr().err
    assert a14b_lora.main(["export", *place]) == 0
    exported = out / "memory_low_noise.safetensors"
    assert capsys.readouterr().out.splitlines()[-2:] == [
        str(exported), str(out / "memory_low_noise_comfyui.safetensors")
    ]  # fmt: skip
    report = lora.read(exported).report
    assert (report.rank, report.alpha, report.expert, report.spacing) == (128, 128, "low", 5.0)
    assert a14b_lora.main(["memory"]) == 0
    assert "| 8 | 10 |" in capsys.readouterr().out
