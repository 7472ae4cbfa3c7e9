"""Names and shapes of the tensors in Wan checkpoints, for any size (what a file must hold to be one).

The names are the format: ComfyUI and Wan's own code read sizes from these shapes. Nothing is imported from
either; a test compares the tables with the host's classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

Shapes = dict[str, tuple[int, ...]]

LATENT_CHANNELS, MASK_CHANNELS = 16, 4
T2V_CHANNELS = LATENT_CHANNELS
I2V_CHANNELS = LATENT_CHANNELS + MASK_CHANNELS + LATENT_CHANNELS
"""Input channels of Wan2.2's models: image-to-video reads noise, mask and condition, 36 in all."""
TEXT_WIDTH = 4096
_TIME_FREQUENCIES = 256


def diffusion_model(in_channels: int, *, dim: int, ffn: int, blocks: int) -> Shapes:
    """A Wan2.1/2.2 diffusion model without image embedding: 16 input channels for T2V, 36 for Wan2.2 I2V."""
    patch = (1, 2, 2)
    shapes: Shapes = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    shapes["patch_embedding.weight"] = (dim, in_channels, *patch)
    shapes["patch_embedding.bias"] = (dim,)
    linear("text_embedding.0", TEXT_WIDTH, dim)
    linear("text_embedding.2", dim, dim)
    linear("time_embedding.0", _TIME_FREQUENCIES, dim)
    linear("time_embedding.2", dim, dim)
    linear("time_projection.1", dim, 6 * dim)
    for index in range(blocks):
        block = f"blocks.{index}"
        shapes[f"{block}.modulation"] = (1, 6, dim)
        for attention in ("self_attn", "cross_attn"):
            for layer in "qkvo":
                linear(f"{block}.{attention}.{layer}", dim, dim)
            for layer in "qk":
                shapes[f"{block}.{attention}.norm_{layer}.weight"] = (dim,)
        shapes.update({f"{block}.norm3.weight": (dim,), f"{block}.norm3.bias": (dim,)})
        linear(f"{block}.ffn.0", dim, ffn)
        linear(f"{block}.ffn.2", ffn, dim)
    shapes["head.modulation"] = (1, 2, dim)
    linear("head.head", dim, LATENT_CHANNELS * 4)
    return shapes


def lora_layers(*, blocks: int) -> tuple[str, ...]:
    """The linear layers that StoryMem's LoRA adapts: all of each block (StoryMem, arXiv 2512.19539)."""
    attention = [f"{kind}.{layer}" for kind in ("self_attn", "cross_attn") for layer in "qkvo"]
    layers = [*attention, "ffn.0", "ffn.2"]
    return tuple(f"blocks.{index}.{layer}" for index in range(blocks) for layer in layers)


def vae(dim: int) -> Shapes:
    """The Wan 2.1 VAE (16 latent channels, stride 4x8x8) with `dim` channels at full resolution."""
    z = LATENT_CHANNELS
    widths = [dim, dim, 2 * dim, 4 * dim, 4 * dim]
    shapes: Shapes = {}
    for name, shape in [
        *_encoder(widths, z), *_conv("conv1", 2 * z, 2 * z, (1, 1, 1)),
        *_conv("conv2", z, z, (1, 1, 1)), *_decoder(widths, z),
    ]:  # fmt: skip
        shapes[name] = shape
    return shapes


_Named = Iterator[tuple[str, tuple[int, ...]]]
_CUBE = (3, 3, 3)


def _encoder(widths: list[int], z: int) -> _Named:
    yield from _conv("encoder.conv1", 3, widths[0], _CUBE)
    layer = 0
    for level, (narrow, wide) in enumerate(pairwise(widths)):
        for inputs in (narrow, wide):
            yield from _residual(f"encoder.downsamples.{layer}", inputs, wide)
            layer += 1
        if level < 3:
            yield from _conv(f"encoder.downsamples.{layer}.resample.1", wide, wide, (3, 3))
            if level > 0:
                yield from _conv(f"encoder.downsamples.{layer}.time_conv", wide, wide, (3, 1, 1))
            layer += 1
    yield from _middle("encoder.middle", widths[-1])
    yield from _head("encoder.head", widths[-1], 2 * z)


def _decoder(widths: list[int], z: int) -> _Named:
    outputs = widths[:0:-1]
    yield from _conv("decoder.conv1", z, outputs[0], _CUBE)
    yield from _middle("decoder.middle", outputs[0])
    layer, inputs = 0, outputs[0]
    for level, width in enumerate(outputs):
        for residual_inputs in (inputs, width, width):
            yield from _residual(f"decoder.upsamples.{layer}", residual_inputs, width)
            layer += 1
        if level < 3:
            yield from _conv(f"decoder.upsamples.{layer}.resample.1", width, width // 2, (3, 3))
            if level < 2:
                yield from _conv(f"decoder.upsamples.{layer}.time_conv", width, 2 * width, (3, 1, 1))
            layer += 1
        inputs = width // 2
    yield from _head("decoder.head", widths[0], 3)


def _middle(name: str, width: int) -> _Named:
    yield from _residual(f"{name}.0", width, width)
    yield f"{name}.1.norm.gamma", (width, 1, 1)
    yield from _conv(f"{name}.1.to_qkv", width, 3 * width, (1, 1))
    yield from _conv(f"{name}.1.proj", width, width, (1, 1))
    yield from _residual(f"{name}.2", width, width)


def _head(name: str, inputs: int, outputs: int) -> _Named:
    yield f"{name}.0.gamma", (inputs, 1, 1, 1)
    yield from _conv(f"{name}.2", inputs, outputs, _CUBE)


def _residual(name: str, inputs: int, outputs: int) -> _Named:
    yield f"{name}.residual.0.gamma", (inputs, 1, 1, 1)
    yield from _conv(f"{name}.residual.2", inputs, outputs, _CUBE)
    yield f"{name}.residual.3.gamma", (outputs, 1, 1, 1)
    yield from _conv(f"{name}.residual.6", outputs, outputs, _CUBE)
    if inputs != outputs:
        yield from _conv(f"{name}.shortcut", inputs, outputs, (1, 1, 1))


def _conv(name: str, inputs: int, outputs: int, kernel: tuple[int, ...]) -> _Named:
    yield f"{name}.weight", (outputs, inputs, *kernel)
    yield f"{name}.bias", (outputs,)
