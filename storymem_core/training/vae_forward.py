"""diffusers' AutoencoderKLWan on a whole clip at once, instead of four frames at a time with caches.

The numbers are the same (a test compares them); a training step on a CPU takes a third of the time: the
kernels see long clips, and for pictures the parts of the kernels that would meet only padding are left out.
Letters: B clips, C channels, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_wan import WanAttentionBlock, WanResidualBlock
from torch import Tensor, nn

Autoencoder = Any
"""diffusers' AutoencoderKLWan: its attributes are made at run time, where no type checker sees them."""


def encode(vae: Autoencoder, clips: Tensor) -> Tensor:
    """Clips [B, 3, 1 + 4k, H, W] in -1..1 -> mean and log variance [B, 2 * 16, 1 + k, H / 8, W / 8]."""
    encoder = vae.encoder
    x = _convolve(encoder.conv_in, clips)
    for layer in encoder.down_blocks:
        x = _layer(layer, x)
    return _convolve(vae.quant_conv, _head(encoder, _middle(encoder.mid_block, x)))


def decode(vae: Autoencoder, latents: Tensor) -> Tensor:
    """Latents [B, 16, 1 + k, H / 8, W / 8] -> clips [B, 3, 1 + 4k, H, W], not clamped to -1..1."""
    decoder = vae.decoder
    x = _middle(decoder.mid_block, _convolve(decoder.conv_in, _convolve(vae.post_quant_conv, latents)))
    for block in decoder.up_blocks:
        for layer in (*block.resnets, *(block.upsamplers or ())):
            x = _layer(layer, x)
    return _head(decoder, x)


def _layer(layer: Any, x: Tensor) -> Tensor:
    if isinstance(layer, WanResidualBlock):
        return _residual(layer, x)
    if isinstance(layer, WanAttentionBlock):
        return _attend(layer, x)
    return (_up if layer.mode.startswith("up") else _down)(layer, x)


def _convolve(layer: nn.Conv3d, x: Tensor) -> Tensor:
    """A causal convolution: the last slice lies on the present frame, zeros stand before the first."""
    before, side = layer.kernel_size[0] - 1, layer.kernel_size[1] // 2
    if before and x.shape[2] == 1:
        return F.conv2d(x[:, :, 0], layer.weight[:, :, -1], layer.bias, padding=side)[:, :, None]
    return F.conv3d(F.pad(x, (0, 0, 0, 0, before, 0)), layer.weight, layer.bias, padding=(0, side, side))


def _norm(layer: Any, x: Tensor) -> Tensor:
    """RMS over the channels, in any number of dimensions after them."""
    gamma = layer.gamma.reshape(-1, *[1] * (x.ndim - 2)).to(x.dtype)
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-12) * gamma


def _residual(block: WanResidualBlock, x: Tensor) -> Tensor:
    shortcut = x if isinstance(block.conv_shortcut, nn.Identity) else _convolve(block.conv_shortcut, x)
    x = _convolve(block.conv1, F.silu(_norm(block.norm1, x)))
    return shortcut + _convolve(block.conv2, F.silu(_norm(block.norm2, x)))


def _middle(block: Any, x: Tensor) -> Tensor:
    return _residual(block.resnets[1], _attend(block.attentions[0], _residual(block.resnets[0], x)))


def _head(coder: Any, x: Tensor) -> Tensor:
    return _convolve(coder.conv_out, F.silu(_norm(coder.norm_out, x)))


def _per_frame(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    clips, channels, count, height, width = x.shape
    y = function(x.transpose(1, 2).reshape(clips * count, channels, height, width))
    return y.reshape(clips, count, *y.shape[1:]).transpose(1, 2)


def _attend(block: WanAttentionBlock, x: Tensor) -> Tensor:
    def attend(frames: Tensor) -> Tensor:
        qkv = block.to_qkv(_norm(block.norm, frames)).flatten(2).transpose(1, 2)[:, None]
        seen = F.scaled_dot_product_attention(*qkv.chunk(3, -1))
        return block.proj(seen[:, 0].transpose(1, 2).reshape(frames.shape))

    return x + _per_frame(attend, x)


def _down(layer: Any, x: Tensor) -> Tensor:
    x = _per_frame(layer.resample, x)
    if layer.mode == "downsample3d" and x.shape[2] > 1:
        pairs = F.conv3d(x, layer.time_conv.weight, layer.time_conv.bias, stride=layer.time_conv.stride)
        x = torch.cat([x[:, :, :1], pairs], 2)  # the first frame stays alone
    return x


def _up(layer: Any, x: Tensor) -> Tensor:
    if layer.mode == "upsample3d" and x.shape[2] > 1:
        first, rest = x[:, :, :1], x[:, :, 1:]
        clips, channels, count, height, width = rest.shape
        both = _convolve_time(layer.time_conv, rest).reshape(clips, 2, channels, count, height, width)
        rest = both.permute(0, 2, 3, 1, 4, 5).reshape(clips, channels, 2 * count, height, width)
        x = torch.cat([first, rest], 2)

    def enlarge(frames: Tensor) -> Tensor:
        return layer.resample[1](F.interpolate(frames, scale_factor=2, mode="nearest-exact"))

    return _per_frame(enlarge, x)


def _convolve_time(layer: nn.Conv3d, x: Tensor) -> Tensor:
    return F.conv3d(F.pad(x, (0, 0, 0, 0, 2, 0)), layer.weight, layer.bias)
