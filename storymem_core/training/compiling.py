"""torch.compile, where there is what it needs: a C++ compiler that a fresh machine may lack."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache

import torch
from torch import nn


def compile_again(modules: Iterable[nn.Module], *, dynamic: bool) -> None:
    """Compile modules in place; what was compiled before is dropped.

    torch counts the variants of a class's code over all of its objects: after a stage or two the next model
    would be over the limit, and silently left as it is.
    """
    torch.compiler.reset()
    for module in modules:
        module.compile(dynamic=dynamic)


@cache
def can_compile() -> bool:
    """Whether there is a C++ compiler here, and all that it needs: found out by using it."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8))
    except Exception as error:
        # Whatever it is that lacks, the model is trained all the same, only slower.
        warnings.warn(f"torch.compile fails here, so training is slower: {error}", stacklevel=2)
        return False
    return True
