"""The LoRA of StoryMem: every linear layer of the blocks (arXiv 2512.19539), rank-stabilised, by peft."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model

LAYERS = r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))"
"""q, k, v and o of self- and cross-attention and both layers of the feed-forward, by diffusers' names."""


def with_adapter(model: Any, rank: int, alpha: int, seed: int = 0) -> Any:
    """Put a fresh adapter into a WanTransformer3DModel, and freeze all else; the model is changed.

    The adapter is fp32 whatever the model is: AdamW's steps are too small for bf16.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, use_rslora=True, target_modules=LAYERS)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        trained = ".lora_" in name
        parameter.requires_grad_(trained)
        if trained:
            parameter.data = parameter.data.float()
    return model
