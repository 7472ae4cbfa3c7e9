"""The host's picture encoders as embedders, on small ones of true format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comfy.clip_vision import ClipVisionModel
from comfy.utils import load_torch_file
from node_calls import bank_of, call, images
from safetensors.torch import save_file

CLIP = {
    "model_type": "clip_vision_model", "hidden_act": "quick_gelu", "hidden_size": 64,
    "intermediate_size": 128, "num_attention_heads": 2, "num_channels": 3, "num_hidden_layers": 3,
    "patch_size": 32, "image_size": 224, "projection_dim": 48,
}  # fmt: skip
SIGLIP = {**CLIP, "model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh"}
del SIGLIP["projection_dim"]
ENCODERS = {"clip": CLIP, "siglip": SIGLIP}


@pytest.fixture(autouse=True)
def folders(pack, output):
    return output


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of each encoder, with weights that tell pictures apart."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, config in ENCODERS.items():
        state = ClipVisionModel(dict(config)).get_sd()
        for key, weight in state.items():
            drawn = torch.randn(weight.shape, generator=generator)
            state[key] = 1 + 0.1 * drawn if "norm.weight" in key or "norm1.w" in key else 0.2 * drawn
        found[name] = tmp_path_factory.mktemp("encoders") / f"{name}.safetensors"
        save_file({key: weight.contiguous() for key, weight in state.items()}, found[name])
    return found


def load(files, name: str, change: float = 1.0) -> ClipVisionModel:
    """As the host's loader does it, but for the table of sizes that it knows."""
    encoder = ClipVisionModel(dict(ENCODERS[name]))
    state = {key: weight * change for key, weight in load_torch_file(str(files[name])).items()}
    missing, unexpected = encoder.load_sd(state)
    assert not missing and not unexpected
    return encoder


def embedder(encoder, **inputs):
    return call("StoryMemClipVisionEmbedder", clip_vision=encoder, **{"threshold": 0.7, **inputs})


@pytest.mark.parametrize("name", ENCODERS)
def test_embeddings_are_the_hosts_of_the_whole_frame(files, name):
    encoder, frames = load(files, name), images(20, size=(48, 80))
    found, threshold = embedder(encoder).values
    with torch.inference_mode():
        rows = found(frames)
        features = encoder.encode_image(frames, crop=False)["image_embeds"].float()
    expected = features if name == "clip" else features.mean(1)
    assert rows.shape == (20, 48 if name == "clip" else 64) and rows.dtype == torch.float32
    torch.testing.assert_close(rows, torch.nn.functional.normalize(expected, dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(20))
    assert (rows @ rows.T).min() < 0.99, "so agreement is not for want of difference"
    assert threshold == found.threshold == 0.7


def test_the_name_tells_the_weights_and_nothing_else(files):
    one, again, other = (embedder(load(files, "clip", change))[0].name for change in (1, 1, 1.5))
    assert one == again != other
    assert one.startswith("clip_vision clip_vision_model ")


def test_it_serves_a_bank_and_keyframes(files):
    found = embedder(load(files, "clip"))[0]
    bank = bank_of(images(2), embedder=found)[0]
    assert bank.embedder == found.name and len(bank.frames[0].embedding) == 48
    given = {"images": images(3, seed=1), "memory": bank, "embedder": found}
    assert len(call("StoryMemKeyframeSelect", **given, threshold=1.0)[1].frames) > 2
    other = embedder(load(files, "siglip"))[0]
    with pytest.raises(ValueError, match="cannot be compared with others"):
        call("StoryMemMemoryEdit", memory=bank, images=images(1), embedder=other)


def test_a_threshold_is_given_found_or_known(files):
    encoder, pictures = load(files, "clip"), images(4, size=(64, 96))
    result = embedder(encoder, threshold=0.0, images=pictures)
    found, threshold = result.values
    assert 0 < threshold < 1 and found.threshold == threshold
    assert "calibrated on 4 images" in result.ui["text"][0]
    assert embedder(encoder, threshold=0.6, images=pictures)[1] == 0.6
    says = r"no similarity threshold is known for this encoder .*3 layers of 64.*Connect at least 4"
    with pytest.raises(ValueError, match=says):
        embedder(encoder, threshold=0.0)
    encoder.config |= {"hidden_size": 768, "num_hidden_layers": 12}
    assert embedder(encoder, threshold=0.0)[1] == 0.9
