"""Models that are compiled one after the other in one process: each of them really is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from storymem_core.training import compiling


class Telling(nn.Module):
    """Gives 1 where it is compiled and 0 where it is not; each size is a variant of its code."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))

    def forward(self) -> Tensor:
        return self.weight.sum() + (1 if torch.compiler.is_compiling() else 0)


def test_no_model_is_left_uncompiled_because_of_those_before_it(monkeypatch: pytest.MonkeyPatch):
    plain: Any = nn.Module.compile
    # Without a compiler for C++, which a machine may lack; what counts variants is the same.
    monkeypatch.setattr(nn.Module, "compile", lambda self, **how: plain(self, backend="eager", **how))
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 2)
    told = []
    for size in range(2, 8):
        model = Telling(size)
        compiling.compile_again([model], dynamic=False)
        told.append(float(model()))
    assert told == [1.0] * 6
