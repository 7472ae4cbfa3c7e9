"""Pixels to latents and back by the host's VAE, with its traps avoided and repeated work kept."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

import comfy.utils
import torch
from comfy.ldm.wan.vae import WanVAE
from comfy.sd import VAE
from torch import Tensor

from ..conditioning.start import GREY, SPATIAL_STRIDE, check_size, shot_pixels
from ..errors import StoryMemError
from ..frames.counts import TEMPORAL_STRIDE
from ..memory.frame import CROP, PAD
from ..models.wan_shapes import LATENT_CHANNELS
from ..sampling import check_finite

KEPT_BYTES = 256 * 2**20

_PRECISION = "Start ComfyUI with --fp32-vae, and look whether the picture itself is whole."


class KeptLatents:
    """Encodings that were made before, for each VAE: the oldest unused go first, all go with their VAE.

    The key of an encoding is what was encoded, never an address. Callers get copies, so that nobody can
    change what is kept.
    """

    def __init__(self, capacity: int = KEPT_BYTES):
        self.capacity = capacity
        self._of_vae: WeakKeyDictionary[VAE, OrderedDict[str, Tensor]] = WeakKeyDictionary()

    def get(self, vae: VAE, key: str, make: Callable[[], Tensor]) -> Tensor:
        """A copy of the latent kept under `key`, where the VAE puts its latents; made if it is not there."""
        kept = self._of_vae.setdefault(vae, OrderedDict())
        if key not in kept:
            kept[key] = make().detach().cpu()
        kept.move_to_end(key)
        latent = kept[key].to(vae.output_device, copy=True)
        while sum(tensor.nbytes for tensor in kept.values()) > self.capacity:
            kept.popitem(last=False)
        return latent


_kept = KeptLatents()


def check_vae(vae: VAE) -> None:
    """Refuse a VAE of another family; some of those have latents of the same shape, and fail without a word.

    Raises:
        StoryMemError: not the Wan 2.1 VAE (16 channels, stride 4x8x8), which Wan2.2 A14B uses.
    """
    model = vae.first_stage_model
    strides = (vae.temporal_compression_decode(), vae.spacial_compression_decode())
    if (
        isinstance(model, WanVAE)
        and vae.latent_channels == LATENT_CHANNELS
        and strides == (TEMPORAL_STRIDE, SPATIAL_STRIDE)
    ):
        return
    raise StoryMemError(
        "the VAE must be the Wan 2.1 VAE (16 latent channels, stride 4x8x8)",
        value=f"{type(model).__name__}, {vae.latent_channels} channels, stride (time, space) {strides}",
        remedy="Load wan_2.1_vae.safetensors; the Wan2.2 VAE (48 channels) belongs to the 5B model.",
    )


def resize(images: Tensor, *, width: int, height: int, fit: str = CROP) -> Tensor:
    """The host's own resize; images of the right size keep their values bit by bit.

    Args:
        images: [N, H, W, C], 0..1.
        fit: how another shape is brought to this one: "crop" at the centre, as the host's nodes do; "pad"
            with grey, which is what a shot's unknown frames are; or "stretch", as the release does.

    Returns:
        A new tensor [N, height, width, 3].
    """
    channels_first = images[..., :3].movedim(-1, 1)
    crop = "center" if fit == CROP else "disabled"
    if fit != PAD:
        return comfy.utils.common_upscale(channels_first, width, height, "bilinear", crop).movedim(1, -1)
    scale = min(width / images.shape[2], height / images.shape[1])
    inner = max(1, round(images.shape[2] * scale)), max(1, round(images.shape[1] * scale))
    whole = comfy.utils.common_upscale(channels_first, *inner, "bilinear", crop).movedim(1, -1)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    padded = whole.new_full((len(images), height, width, 3), GREY)
    padded[:, top : top + inner[1], left : left + inner[0]] = whole
    return padded


def encode(vae: VAE, pixels: Tensor) -> Tensor:
    """The raw latent of one video, as the host's nodes hand it on (no process_latent_in).

    Args:
        pixels: F = 4k+1 frames [F, H, W, 3], 0..1, H and W divisible by 16.

    Returns:
        [1, 16, f, h, w].

    Raises:
        StoryMemError: another VAE, a size not divisible by 16, or a latent that is not finite.
    """
    check_vae(vae)
    check_size(width=pixels.shape[2], height=pixels.shape[1])
    return check_finite(vae.encode(pixels[..., :3]), "VAE's latents", remedy=_PRECISION)


def encode_grey(vae: VAE, *, length: int, width: int, height: int) -> Tensor:
    """The condition of a cut: the raw latent of `length` grey frames [1, 16, f, h, w], made once and kept.

    Raises:
        StoryMemError: as `encode`, or the length is not 4k+1.
    """

    def grey() -> Tensor:
        return encode(vae, shot_pixels(None, length, height, width))

    return _kept.get(vae, f"grey {length} {width}x{height}", grey)


def encode_each(
    vae: VAE,
    images: Sequence[Tensor] | Tensor,
    fits: Sequence[str] | None = None,
    *,
    width: int,
    height: int,
) -> Tensor:
    """Each memory frame encoded ALONE, as a video of one frame: the host's VAE takes a batch for time.

    Args:
        images: M frames [H, W, 3], 0..1, oldest first; of any sizes.
        fits: how each is brought to the shot's shape (see `resize`); None: all are cropped.
        width, height: of the shot, divisible by 16.

    Returns:
        Raw latents [M, 16, h, w]; each is made once per VAE, size and pixels, and kept.

    Raises:
        StoryMemError: as `encode`.
    """

    def alone(image: Tensor, fit: str) -> Tensor:
        return encode(vae, resize(image.unsqueeze(0), width=width, height=height, fit=fit))

    size = f"{width}x{height}"
    pairs = list(zip(images, fits or [CROP] * len(images), strict=True))
    none = torch.zeros(0, LATENT_CHANNELS, 1, height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
    latents = [
        _kept.get(vae, f"{_digest(image)} {fit} {size}", partial(alone, image, fit)) for image, fit in pairs
    ]
    return torch.cat(latents or [none]).squeeze(2)


def decode(vae: VAE, latent: Tensor, *, shot: str = "") -> Tensor:
    """A shot's frames.

    Args:
        latent: raw, [1, 16, f, h, w].
        shot: the shot's id, for the message.

    Returns:
        fp32 on the CPU, [F, H, W, 3], 0..1.

    Raises:
        StoryMemError: another VAE, or latents or pixels that are not finite.
    """
    check_vae(vae)
    check_finite(latent, "latents", shot=shot)
    frames = vae.decode(latent).flatten(0, 1).float().cpu()
    return check_finite(frames, "VAE's pixels", remedy=_PRECISION, shot=shot)


def _digest(image: Tensor) -> str:
    pixels = image.detach().float().cpu().contiguous()
    return f"{tuple(pixels.shape)} {hashlib.sha256(pixels.numpy().tobytes()).hexdigest()}"
