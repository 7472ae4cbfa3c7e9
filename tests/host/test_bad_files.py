"""Files, folders and disks that are not as they should be: told by node, value and remedy."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import folder_paths
import pytest
import torch
from comfy.ldm.wan.model import WanModel
from node_calls import call, core
from refusals import SAMPLER, SHOT, STORIES, good, refused
from safetensors.torch import save_file

import nodes

BANK, LORA, STITCH, TEXT = (
    "StoryMemMemoryBank", "StoryMemM2VLora", "StoryMemShotStitch", "StoryMemTextEncoderLoader"
)  # fmt: skip
ENCODER = "storymem_small_text_encoder.safetensors"
RELEASED = "storymem_small/Wan2.2-MI2V-A14B/backbone_high_noise.safetensors"


@pytest.fixture
def folder(output, tmp_path, monkeypatch):
    """A models folder of this test alone: for LoRAs and text encoders the host's only one."""
    for kind in ("loras", "text_encoders"):
        (tmp_path / kind).mkdir()
        known = folder_paths.folder_names_and_paths[kind]
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(tmp_path / kind)], known[1]))
    return tmp_path


def truncated(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes()[:-1000])
    return target


@pytest.mark.usefixtures("no_sampling")
def test_missing_files(parts, folder):
    """A name that the list had when the prompt was checked, and that is gone when the node runs."""
    gone = {"model": parts["high_noise_model"], "lora_name": "gone.safetensors"}
    refused(LORA, gone, "there is no such file in models/loras", "gone.safetensors")
    refused(
        TEXT, {"text_encoder": "gone.safetensors"}, "no such file in models/text_encoders", "gone.safetensors"
    )


@pytest.mark.usefixtures("no_sampling")
def test_truncated_files(parts, folder, small_models):
    lora = truncated(small_models / "loras" / RELEASED, folder / "loras/half.safetensors")
    given = {"model": parts["high_noise_model"], "lora_name": lora.name}
    refused(LORA, given, "the LoRA file is damaged or of an unknown kind", str(lora))
    encoder = truncated(small_models / "text_encoders" / ENCODER, folder / "text_encoders/half.safetensors")
    refused(
        TEXT, {"text_encoder": encoder.name}, "the file is damaged or not a small text encoder", str(encoder)
    )


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.safetensors", "neither a file nor a tag"),
        ("half.safetensors", "this checkpoint cannot be read"),
    ],
)
def test_a_missing_or_truncated_embedder(small_models, tmp_path, name, says):
    truncated(small_models / "loras" / RELEASED, tmp_path / "half.safetensors")
    given = {"embedder": "open_clip", "pretrained": str(tmp_path / name)}
    refused("StoryMemEmbedderLoader", given, says, given["pretrained"])


@pytest.mark.usefixtures("no_sampling")
def test_a_lora_that_matches_nothing(parts, folder):
    layers = {f"diffusion_model.other.{part}.weight": torch.zeros(4, 4) for part in ("lora_A", "lora_B")}
    save_file(layers, folder / "loras/other.safetensors")
    given = {"model": parts["high_noise_model"], "lora_name": "other.safetensors"}
    refused(
        LORA,
        given,
        r"the LoRA matches no layer of the model \(1 layers? in the file\)",
        "other.safetensors on WanModel",
    )


@pytest.mark.usefixtures("no_sampling")
def test_a_lora_of_an_unknown_scale(parts, folder):
    layers = {
        f"base_model.model.blocks.0.ffn.0.{part}.weight": torch.zeros(4, 4) for part in ("lora_A", "lora_B")
    }
    path = folder / "loras/some.safetensors"
    save_file(layers, path)
    given = {"model": parts["high_noise_model"], "lora_name": path.name}
    refused(LORA, given, "so its scale is ambiguous", str(path))


@pytest.mark.usefixtures("no_sampling")
def test_a_bank_that_is_not_there_or_damaged(output):
    path = output.resolve() / "nothing"
    refused(BANK, {"load_from": "nothing"}, "this folder contains no memory bank", str(path))
    core("memory.bank_folder").save(core("memory.bank").MemoryBank(), path)
    (path / "bank.json").write_text("{")
    refused(
        BANK,
        {"load_from": "nothing"},
        "bank.json of this memory bank is missing or damaged",
        str(path / "bank.json"),
    )


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    "name", ["../elsewhere", "/tmp/elsewhere", "a/../../elsewhere", "C:\\elsewhere", "link/story"]
)
def test_a_path_outside_the_output_folder(parts, output, tmp_path, name):
    (tmp_path / "outside").mkdir()
    (output / "link").symlink_to(tmp_path / "outside")
    before = sorted(tmp_path.rglob("*"))
    for node in STORIES:
        refused(node, good(node, parts) | {"project": name}, "a story's folder", name)
    refused(BANK, {"load_from": name}, "a story's folder", name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("no_sampling")
def test_a_folder_of_other_things(parts, output):
    (output / "Ink").mkdir()
    (output / "Ink/holiday.jpg").touch()
    for node in STORIES:
        says = "not empty and does not contain a StoryMem story"
        refused(node, good(node, parts), says, str(output.resolve() / "Ink"))


@pytest.mark.usefixtures("no_sampling")
def test_two_runs_on_one_project_folder(parts, output):
    project = core("store.project").Project.open(output.resolve() / "Ink")
    with project.locked():
        for node in STORIES:
            message = refused(
                node, good(node, parts), "another run is writing this story", str(project.folder)
            )
            assert "Wait until it ends, stop it, or use another project folder." in message


def test_two_runs_on_one_film(parts, output):
    story = call(SHOT, **good(SHOT, parts))[0]
    project = core("store.project").Project.open(story.folder)
    with project.locked():
        refused(STITCH, {"story": story}, "another run is writing this story", story.folder)
    refused(STITCH, {"story": story, "fps": 0.0}, "fps must be above 0", 0.0)


def test_a_shot_of_another_size_than_those_before_it(parts, output, monkeypatch):
    story = call(SHOT, **good(SHOT, parts))[0]
    monkeypatch.setattr(WanModel, "forward", lambda *_, **__: pytest.fail("a model was called"))
    given = good(SHOT, parts) | {"story": story, "width": 48}
    refused(SHOT, given, "a shot must have the same size as the shots before it, 32x32", "48x32")


def test_a_shot_that_is_no_longer_stored(parts, output, monkeypatch):
    story = call(SHOT, **good(SHOT, parts))[0]
    entry = Path(story.folder) / "store" / story.keys[0]
    (entry / "frames.mkv").unlink()
    monkeypatch.setattr(WanModel, "forward", lambda *_, **__: pytest.fail("a model was called"))
    says = "a stored shot of this story is missing or damaged"
    refused(SHOT, good(SHOT, parts) | {"story": story, "cut": False}, says, str(entry))
    refused(STITCH, {"story": story}, says, str(entry))


@contextlib.contextmanager
def full_disk(largest: int):
    """No file can grow beyond so many bytes: the kernel refuses it as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_space_left(parts, output):
    first = call(SHOT, **good(SHOT, parts))[0]
    with full_disk(4_000):  # pytest keeps what samplers print in a file too
        given = good(SHOT, parts) | {"story": first, "prompt": "A pen."}
        message = refused(SHOT, given, "no space is left on the disk", first.folder)
    assert message.startswith("StoryMemShot, shot 2 (shot-2): ")
    assert "finished work is kept" in message
    store = Path(first.folder) / "store"
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == list(first.keys)
    assert call(SHOT, **given)[0].keys[0] == first.keys[0]


def spoilt(model):
    """A clone of the model whose output is NaN, as of weights that overflow fp16."""
    clone = model.clone()
    clone.set_model_unet_function_wrapper(
        lambda run, given: run(given["input"], given["timestep"], **given["c"]) * float("nan")
    )
    return clone


def test_latents_that_are_nan(parts, output):
    """Only sampling shows it; the message names the shot, and nothing of it is stored."""
    high = {"high_noise_model": spoilt(parts["high_noise_model"])}
    message = refused(
        SHOT, good(SHOT, parts) | high, "latents of shot 'shot-1' must not be NaN", "512 of 512 values"
    )
    assert "bf16" in message
    assert not [path for path in (output / "Ink/store").iterdir() if path.is_dir()]
    refused(SAMPLER, good(SAMPLER, parts) | high, "the sampled latents must not be NaN", "512 of 512 values")


def test_the_hosts_own_words_for_its_own_loaders(small_models, folder, monkeypatch, tmp_path):
    """A truncated UNET or VAE never reaches a node of ours: the host's loader refuses the file."""
    half = truncated(small_models / "vae/storymem_small_vae.safetensors", tmp_path / "half.safetensors")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "vae", ([str(tmp_path)], {".safetensors"}))
    with pytest.raises(Exception, match=r"[Hh]eader|not fully covered|deserializing"):
        nodes.VAELoader().load_vae(half.name)
