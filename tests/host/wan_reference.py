"""Wan's own model code (package `wan22`) as an oracle, with SDPA in place of flash attention."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor


def _attention(q: Tensor, k: Tensor, v: Tensor, k_lens: Tensor | None = None, **_: object) -> Tensor:
    """[B, L, heads, d] attention over whole sequences: the tests never pad, so `k_lens` is not needed."""
    q, k, v = (tensor.transpose(1, 2).float() for tensor in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def _model_class() -> type:
    # The package's __init__ imports every pipeline and their dependencies; only one file is wanted.
    (package_folder,) = importlib.util.find_spec("wan").submodule_search_locations
    folder = Path(package_folder) / "modules"
    package, attention = ModuleType("wan_reference_modules"), ModuleType("wan_reference_modules.attention")
    package.__path__ = [str(folder)]
    attention.flash_attention = _attention
    sys.modules |= {package.__name__: package, attention.__name__: attention}
    spec = importlib.util.spec_from_file_location(f"{package.__name__}.model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.WanModel


def load(
    state_dict: dict[str, Tensor], *, dim: int, ffn_dim: int, heads: int, layers: int
) -> torch.nn.Module:
    """Wan's own 36-channel model with the given weights, in fp32."""
    model = _model_class()(
        model_type="t2v", in_dim=36, out_dim=16, dim=dim, ffn_dim=ffn_dim, num_heads=heads, num_layers=layers
    )
    model.load_state_dict(state_dict)
    return model.float().eval()


def run(model: torch.nn.Module, x: Tensor, t: Tensor, context: Tensor, positions: Sequence[float]) -> Tensor:
    """One call at any temporal positions, one per latent frame of x.

    Args:
        x: [B, 36, frames, H, W]; t: [B] timesteps (0..1000); context: [B, 512, 4096].
    """
    head_dim = model.dim // model.num_heads
    time_dim = head_dim - 4 * (head_dim // 6)
    # Wan reads row i of its table for frame i: a table whose rows stand at our positions moves the frames.
    frequencies = 1.0 / 10000 ** (torch.arange(0, time_dim, 2, dtype=torch.float64) / time_dim)
    angles = torch.outer(torch.tensor(positions, dtype=torch.float64), frequencies)
    table = model.freqs.clone()
    table[: len(positions), : time_dim // 2] = torch.polar(torch.ones_like(angles), angles)
    usual, model.freqs = model.freqs, table
    try:
        tokens = x.shape[2] * (x.shape[3] // 2) * (x.shape[4] // 2)
        with torch.no_grad():
            return torch.stack(model(list(x), t[:, None].expand(-1, tokens), list(context), tokens))
    finally:
        model.freqs = usual
