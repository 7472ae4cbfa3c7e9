"""The host on its CPU, in this process: COMFYUI_PATH names ComfyUI's folder."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# ComfyUI first: the pack's own `nodes/` must not shadow the host's nodes.py.
sys.path[:0] = [os.environ["COMFYUI_PATH"], str(Path(__file__).parent)]
sys.path.append(str(REPOSITORY))

from comfy.cli_args import args  # noqa: E402

args.cpu = True


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the small checkpoints, known to the host's loaders."""
    import folder_paths

    from storymem_core.models.small_models import make

    folder = tmp_path_factory.mktemp("models")
    make(folder)
    for kind in ("diffusion_models", "loras", "vae", "text_encoders"):
        folder_paths.add_model_folder_path(kind, str(folder / kind), is_default=True)
    return folder


@pytest.fixture(scope="session")
def pack() -> dict[str, type]:
    """The host's node classes by id, after it has loaded the pack in its own way."""
    import nodes

    assert asyncio.run(nodes.load_custom_node(str(REPOSITORY)))
    return nodes.NODE_CLASS_MAPPINGS


@pytest.fixture(scope="session")
def parts(small_models: Path, pack: dict[str, type]) -> dict[str, object]:
    """The small models as the host's loaders give them, by the inputs of the Story Loop."""
    from node_calls import call

    import nodes

    def expert(kind: str, noise: str) -> object:
        return nodes.UNETLoader().load_unet(f"storymem_small_{kind}_{noise}_noise.safetensors", "default")[0]

    return {
        "high_noise_model": expert("i2v", "high"),
        "low_noise_model": expert("i2v", "low"),
        "t2v_high_noise_model": expert("t2v", "high"),
        "t2v_low_noise_model": expert("t2v", "low"),
        "vae": nodes.VAELoader().load_vae("storymem_small_vae.safetensors")[0],
        "clip": call(
            "StoryMemTextEncoderLoader", text_encoder="storymem_small_text_encoder.safetensors"
        )[0],
    }  # fmt: skip


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's output folder, of this test alone; its temporary folder lies beside."""
    import folder_paths

    for kind in ("output", "temp"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
    return tmp_path / "output"


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a picture, 64x48, in an input folder of this test alone."""
    import folder_paths
    import numpy as np
    from PIL import Image

    (tmp_path / "input").mkdir()
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    colours = np.random.default_rng(3).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(colours.repeat(16, 0).repeat(16, 1)).save(tmp_path / "input" / "door.png")
    return "door.png"


@pytest.fixture
def no_sampling(pack: dict[str, type], output: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test ends without a single call of a diffusion model."""
    from comfy.ldm.wan.model import WanModel

    calls = []
    forward = WanModel.forward
    monkeypatch.setattr(WanModel, "forward", lambda *a, **kw: (calls.append(1), forward(*a, **kw))[1])
    yield
    assert not calls
