"""Fingerprints tell change from sameness, in this process and in another."""

from __future__ import annotations

import os
import subprocess
import sys
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from storymem_core.store.fingerprint import RUN, RUNS, WHOLE, describe, fingerprint, sample

REPOSITORY = Path(__file__).resolve().parents[2]
DTYPES = [
    torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.int64, torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def places(count: int) -> list[int]:
    """Oracle: the elements that a large tensor is sampled at, written out."""
    return [start + i for start in (k * (count - RUN) // (RUNS - 1) for k in range(RUNS)) for i in range(RUN)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sample_is_raw_bytes_at_fixed_places(dtype):
    small, large = numbers(7, 5, dtype=dtype), numbers(300, 70, dtype=dtype)
    width = small.element_size()
    raw = large.reshape(-1).view(torch.uint8).numpy().reshape(-1, width)
    assert sample(small) == small.reshape(-1).view(torch.uint8).numpy().tobytes()
    if dtype != torch.complex64:
        assert sample(large) == raw[places(21000)].tobytes()
    assert len(sample(large)) == RUNS * RUN * width // (2 if dtype.is_complex else 1)


def test_sample_sees_both_ends_and_the_middle():
    base = numbers(100, 100)
    for place in (0, 9999, places(10000)[200]):
        changed = base.clone()
        changed.view(-1)[place] += 1
        assert sample(changed) != sample(base)
    unseen = base.clone()
    unseen.view(-1)[50] += 1
    assert sample(unseen) == sample(base), "the known limit"


def test_small_tensors_are_read_whole():
    base = numbers(WHOLE)
    for place in range(0, WHOLE, 370):
        changed = base.clone()
        changed[place] += 1
        assert sample(changed) != sample(base)


def test_layout_in_memory_does_not_count():
    for shape in ((300, 70), (6, 5)):
        tensor = numbers(*shape)
        assert sample(tensor.t().contiguous().t()) == sample(tensor)
    assert not numbers(300, 70).t().is_contiguous()


def test_odd_tensors():
    assert sample(torch.tensor(3.0)) == np.float32(3).tobytes()
    assert sample(torch.empty(0, 4)) == sample(torch.empty(9, 9, device="meta")) == b""
    assert sample(nn.Parameter(numbers(3))) == sample(numbers(3))


def test_sampling_reads_little(monkeypatch):
    """A model that lies on disk stays there: one page or two per place."""
    touched = []
    original = torch.Tensor.__getitem__

    def get(self, key):
        index = key[0] if isinstance(key, tuple) else key
        touched.append(len(index) if isinstance(index, torch.Tensor) else 0)
        return original(self, key)

    monkeypatch.setattr(torch.Tensor, "__getitem__", get)
    for copying in ("clone", "contiguous", "flatten", "cpu"):
        monkeypatch.setattr(torch.Tensor, copying, small_only(getattr(torch.Tensor, copying)))
    for tensor in (numbers(512, 1024), numbers(512, 1024).t()):
        touched.clear()
        sample(tensor)
        assert max(touched) == RUNS * RUN


def small_only(function):
    def guarded(self, *args):
        assert self.numel() <= RUNS * RUN, "a whole tensor is copied"
        return function(self, *args)

    return guarded


BASE = {"a.weight": numbers(40, 40), "a.bias": numbers(40)}


@pytest.mark.parametrize(
    "changed",
    [
        {"a.weight": numbers(40, 40) + 1, "a.bias": numbers(40)},
        {"a.weight": numbers(1600).reshape(20, 80), "a.bias": numbers(40)},
        {"a.weight": numbers(40, 40).view(torch.int32), "a.bias": numbers(40)},
        {"b.weight": numbers(40, 40), "a.bias": numbers(40)},
        {"a.weight": numbers(40, 40)},
        {},
    ],
    ids=["values", "shape", "dtype", "name", "missing", "empty"],
)
def test_fingerprint_differs(changed):
    assert fingerprint(changed) != fingerprint(BASE)


def test_fingerprint_is_equal():
    assert fingerprint(dict(reversed(BASE.items()))) == fingerprint(BASE)
    assert fingerprint(BASE, {"a": 1, "b": [2]}) == fingerprint(BASE, {"b": (2,), "a": 1})
    assert fingerprint(BASE, {"a": 1}) != fingerprint(BASE, {"a": 2}) != fingerprint(BASE)


def test_golden_value():
    """A stored story is found again by the next version: change this on purpose only."""
    tensors = {"w": torch.arange(20000.0).reshape(40, 500), "b": torch.tensor([1.5, -2.0]).half()}
    assert fingerprint(tensors, {"strength": 0.5}) == GOLDEN


GOLDEN = "0cbced12c996a32bc08d512543e66c4b36c387fe67e9632c8ef2962f11057fcd"


# Objects.


class Colour(Enum):
    RED = 1
    BLUE = 2


class Holder:
    def __init__(self, strength: float, weight: torch.Tensor | None = None):
        self.strength = strength
        self.weight = weight
        self._seen = 0

    def patch(self, x):
        return x * self.strength


def closure(strength: float):
    def patch(x, power=2):
        return x**power * strength

    return patch


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (closure(0.5), closure(0.6)),
        (Holder(0.5), Holder(0.6)),
        (Holder(0.5, numbers(3)), Holder(0.5, numbers(3) + 1)),
        (Holder(0.5).patch, Holder(0.6).patch),
        (Colour.RED, Colour.BLUE),
        (partial(max, 1), partial(max, 2)),
        (partial(max, 1), partial(min, 1)),
        ([closure(1)], [closure(1), closure(1)]),
        ({("block", 0): 1}, {("block", 1): 1}),
        ({1, 2}, {1, 3}),
        (torch.float16, torch.float32),
        (True, None),
    ],
)
def test_objects_that_differ(one, two):
    assert describe(one) != describe(two)
    assert fingerprint({}, one) != fingerprint({}, two)


@pytest.mark.parametrize(
    "make",
    [
        lambda: closure(0.5), lambda: Holder(0.5, numbers(3)), lambda: Holder(1).patch, lambda: {object(): 1},
        lambda: nn.Linear(2, 2), lambda: Colour.RED, lambda: partial(closure(1), 2), lambda: {"b", "a"},
        lambda: [object(), torch.device("cpu"), Holder(Holder(Holder(Holder(Holder(1)))))],
    ],
)  # fmt: skip
def test_objects_made_twice_are_equal(make):
    assert fingerprint({}, make()) == fingerprint({}, make())


def test_private_fields_and_opaque_classes_do_not_count():
    holder = Holder(0.5)
    holder._seen = 7
    assert describe(holder) == describe(Holder(0.5))
    assert describe([Holder(1)], (Holder,)) == describe([Holder(2)], (Holder,))


def test_an_object_that_holds_itself():
    holder = Holder(0.5)
    holder.weight = holder
    assert describe(holder) == describe(holder)


def test_equal_in_another_process():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from storymem_core.store.fingerprint import fingerprint\n"
        "print(fingerprint({'w': torch.arange(50000.0)}, {'s': {'x', 'y', 'z'}, 'f': print, 'o': object()}))"
    )
    seen = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code, str(REPOSITORY)],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen.add(run.stdout)
    assert len(seen) == 1
