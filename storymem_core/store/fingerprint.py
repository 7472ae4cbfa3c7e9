"""What something is made of, as a short text that is the same in another process and on another day (pure).

A stored shot is used again only if all that made it is unchanged, and the models are the largest part of it.
Reading 14 billion weights at every shot would cost minutes, so a tensor counts by its name, shape, type and a
fixed sample of its bytes.

Known limits: a change that leaves every sampled value alone goes unseen (files that are trained or merged
differ nearly everywhere, so this needs intent). Functions count by name and by the plain values and tensors
that they hold, not by their code; unknown objects by their fields, a few levels deep.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

WHOLE = 8192
"""Tensors of so many values are read whole; larger ones at RUNS places, RUN values each: few enough places
that a model which lies on disk stays there."""

RUNS, RUN = 16, 32
_INTEGER = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(tensors: Mapping[str, Tensor], facts: object = None) -> str:
    """sha256 (hex) over named tensors and over any plain facts beside them.

    Args:
        tensors: of any type, shape and device; their order does not count.
        facts: plain values and containers, or anything else that `describe` can tell.
    """
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        sha256.update(_header(name, tensors[name]))
        sha256.update(sample(tensors[name]))
    sha256.update(json.dumps(describe(facts), sort_keys=True).encode())
    return sha256.hexdigest()


def sample(tensor: Tensor) -> bytes:
    """Raw bytes at places that depend on the tensor's size alone; none of a tensor without data ("meta").

    The memory layout does not count: a transposed copy of the transposed tensor gives the same bytes.
    """
    if tensor.is_meta or tensor.numel() == 0:
        return b""
    # Subclasses redefine operators (quantised files that unpack themselves); their bytes are wanted.
    plain = tensor.detach().as_subclass(Tensor)
    plain = torch.view_as_real(plain) if plain.is_complex() else plain
    raw = plain.view(_INTEGER[plain.element_size()]).reshape(plain.shape or (1,))
    count = raw.numel()
    if count <= WHOLE:
        return raw.cpu().contiguous().numpy().tobytes()
    starts = torch.tensor([place * (count - RUN) // (RUNS - 1) for place in range(RUNS)])
    places = (starts[:, None] + torch.arange(RUN)).flatten().to(raw.device)
    picked = raw.view(-1)[places] if raw.is_contiguous() else raw[torch.unravel_index(places, raw.shape)]
    return picked.cpu().numpy().tobytes()


def describe(value: object, opaque: tuple[type, ...] = (), depth: int = 3) -> Any:
    """A value as JSON, without anything that a restart changes (addresses, devices, order of sets).

    Plain values stand for themselves, tensors for their fingerprint, containers for what they hold, functions
    for their name and what they close over, other objects for their class and fields.

    Args:
        opaque: classes whose objects count by class alone, beside torch's modules: they change while in use.
        depth: levels of objects and functions to go into.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (torch.dtype, bytes)):
        return str(value)
    if isinstance(value, Tensor):
        return hashlib.sha256(_header("", value) + sample(value)).hexdigest()
    if isinstance(value, Mapping):
        return {_key(key): describe(entry, opaque, depth) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(entry, opaque, depth) for entry in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(describe(entry, opaque, depth), sort_keys=True) for entry in value)
    if isinstance(value, (type, BuiltinFunctionType)):
        return _name(value)
    if isinstance(value, Enum):
        return [_name(type(value)), value.name]
    if depth == 0 or isinstance(value, (*opaque, nn.Module)):
        return _name(type(value))
    if isinstance(value, partial):
        return describe([value.func, value.args, value.keywords], opaque, depth - 1)
    if isinstance(value, MethodType):
        return describe([value.__func__, value.__self__], opaque, depth - 1)
    if isinstance(value, FunctionType):
        return [_name(value), describe(_held(value), opaque, depth - 1)]
    fields = {key: entry for key, entry in getattr(value, "__dict__", {}).items() if not key.startswith("_")}
    return [_name(type(value)), describe(fields, opaque, depth - 1)]


def _header(name: str, tensor: Tensor) -> bytes:
    return json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode()


def _name(thing: Any) -> str:
    # The host names a pack's modules by its path; where a pack is installed does not count.
    module = str(getattr(thing, "__module__", "")).replace("/", ".").rpartition(".")[2]
    return f"{module}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _key(key: object) -> str:
    return str(key) if isinstance(key, (str, int, float, tuple)) else _name(type(key))


def _held(function: FunctionType) -> list[object]:
    """What a function closes over and its default arguments."""
    held: list[object] = list(function.__defaults__ or ())
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a name that is not bound yet
            held.append(cell.cell_contents)
    return held
