"""Small files of the true formats under the names that the workflows have, so that they run as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

BLOCKS, DIM = 2, 256
"""Of the small diffusion models."""


def fill(models: Path, names: set[str]) -> None:
    """Put small models in the place of the empty files of these names below a models folder."""
    for name in names:
        checkpoint = _checkpoint(name)
        maker = next((make for pattern, make in MAKERS.items() if re.search(pattern, name)), None)
        if checkpoint and checkpoint != name:
            (models / name).unlink()
            (models / name).symlink_to(models / checkpoint)
        elif maker:
            maker(models / name)


def _checkpoint(name: str) -> str | None:
    """The small checkpoint that can stand where a graph names this file; None if there is none."""
    folder, _, file = name.partition("/")
    expert = re.search(r"(i2v|t2v).*(high|low)", file.lower())
    if folder == "diffusion_models" and expert:
        return f"diffusion_models/storymem_small_{expert[1]}_{expert[2]}_noise.safetensors"
    if file.startswith("StoryMem/"):
        return name.replace("StoryMem/", "storymem_small/")
    return "vae/storymem_small_vae.safetensors" if folder == "vae" else None


def host_lora(path: Path) -> None:
    """A LoRA of the small models in ComfyUI's own layout."""
    state = {}
    for block in range(BLOCKS):
        layer = f"diffusion_model.blocks.{block}.self_attn.q"
        state[f"{layer}.lora_down.weight"] = _random(2, DIM)
        state[f"{layer}.lora_up.weight"] = 0.1 * _random(DIM, 2)
        state[f"{layer}.alpha"] = torch.tensor(2.0)
    save_file(state, path)


def rife(path: Path) -> None:
    """A frame interpolation model of RIFE's shape, far narrower."""
    head, width = 4, 8
    state = {
        **_convolution("encode.cnn0", 16, 3),
        **_convolution("encode.cnn1", 16, 16),
        **_convolution("encode.cnn2", 16, 16),
        **_convolution("encode.cnn3", head, 16, turned=True),
    }
    for block in range(5):
        inputs = (20 if block else 7) + 2 * head
        state |= _convolution(f"block{block}.conv0.0.0", width // 2, inputs)
        state |= _convolution(f"block{block}.conv0.1.0", width, width // 2)
        for layer in range(8):
            state |= _convolution(f"block{block}.convblock.{layer}.conv", width, width)
            state[f"block{block}.convblock.{layer}.beta"] = torch.ones(1, width, 1, 1)
        state |= _convolution(f"block{block}.lastconv.0", 4 * 13, width, turned=True)
    save_file(state, path)


def upscaler(path: Path) -> None:
    """A compact Real-ESRGAN that doubles the size."""
    state = {
        **_convolution("body.0", 8, 3),
        "body.1.weight": torch.full((8,), 0.2),
        **_convolution("body.2", 8, 8),
        "body.3.weight": torch.full((8,), 0.2),
        **_convolution("body.4", 3 * 2 * 2, 8),
    }
    torch.save({"params": state}, path)


def inputs(folder: Path, host: Path) -> None:
    """What the graphs name in the server's input folder: ComfyUI's example, and a clip of half a second."""
    import av

    shutil.copy(host / "input" / "example.png", folder)
    with av.open(str(folder / "clip.mp4"), "w") as film:
        stream = film.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for place in range(12):
            picture = np.full((64, 96, 3), 60, np.uint8)
            picture[16:48, 4 * place : 4 * place + 32] = (220, 120, 40)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())


MAKERS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {r"lightx2v": host_lora, r"rife": rife, r"RealESRGAN": upscaler}
)


def _convolution(name: str, outputs: int, inputs: int, turned: bool = False) -> dict[str, Tensor]:
    shape = (inputs, outputs, 4, 4) if turned else (outputs, inputs, 3, 3)
    return {f"{name}.weight": 0.05 * _random(*shape), f"{name}.bias": torch.zeros(outputs)}


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
