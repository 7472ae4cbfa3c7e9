"""torch.compile, where there is what it needs: a C++ compiler that a fresh machine may lack."""

from __future__ import annotations

import warnings
from functools import cache

import torch


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
