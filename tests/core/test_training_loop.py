"""The training loop: resumed is unbroken, whatever stopped it, and nothing good is lost."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_training import SCHEDULE, Toy

from storymem_core.errors import StoryMemError
from storymem_core.training import checkpoints, journal
from storymem_core.training.loop import Result, learning_rate, train
from storymem_core.training.optimizer import orthogonal


def rows(folder):
    return [{key: row[key] for key in row if key != "seconds"} for row in journal.read(folder)]


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(params=["adamw", "muon"])
def schedule(request):
    return replace(SCHEDULE, optimizer=request.param)


def test_an_unbroken_run_learns_and_keeps_the_last_two_checkpoints(tmp_path, schedule):
    stage = Toy()
    assert train(stage, tmp_path, schedule) == Result(60, True)
    losses = [row["loss"] for row in rows(tmp_path)]
    assert len(losses) == 60 and sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert names(tmp_path) == ["step_0000050.safetensors", "step_0000060.safetensors"]
    assert same(dict(stage.model.named_parameters()), checkpoints.averages(tmp_path))
    assert [row["step"] for row in rows(tmp_path) if "sum" in row] == [20, 40, 60]
    assert (tmp_path / "plot.png").stat().st_size > 500


def test_a_run_in_pieces_repeats_the_losses_and_the_average_of_an_unbroken_one(tmp_path, schedule):
    train(Toy(), tmp_path / "whole", schedule)
    for _ in range(3):  # a stop after a single step each time, at no round number
        assert not train(Toy(), tmp_path / "pieces", schedule, minutes=0).finished
    assert train(Toy(), tmp_path / "pieces", schedule) == Result(60, True)
    assert rows(tmp_path / "pieces") == rows(tmp_path / "whole")
    assert same(checkpoints.averages(tmp_path / "pieces"), checkpoints.averages(tmp_path / "whole"))


def test_a_run_that_is_killed_outright_goes_on_as_if_it_had_not_been(tmp_path):
    script = Path(__file__).with_name("toy_training.py")
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "killed"), "0.02"])
    while len(rows(tmp_path / "killed")) < 24:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert names(tmp_path / "killed")[-1] < "step_0000060"
    train(Toy(), tmp_path / "killed", SCHEDULE)
    train(Toy(), tmp_path / "whole", SCHEDULE)
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert same(checkpoints.averages(tmp_path / "killed"), checkpoints.averages(tmp_path / "whole"))


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_of_the_step_it_came_in(tmp_path, sign):
    before = signal.getsignal(sign)
    threading.Timer(0.3, os.kill, (os.getpid(), sign)).start()
    result = train(Toy(pause=0.02), tmp_path, SCHEDULE)
    assert not result.finished and 0 < result.step < 60
    assert names(tmp_path)[-1] == f"step_{result.step:07}.safetensors"
    assert signal.getsignal(sign) is before


def test_a_second_signal_acts_at_once(tmp_path):
    class Impatient(Toy):
        def loss(self, model, step, generator):
            if step == 5:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(model, step, generator)

    # A shell that starts programs in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(Impatient(), tmp_path, SCHEDULE)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_stays(tmp_path):
    with pytest.raises(StoryMemError, match="no longer a number at step 34"):
        train(Toy(broken_at=34), tmp_path, SCHEDULE)
    assert names(tmp_path) == ["step_0000020.safetensors", "step_0000030.safetensors"]
    assert all(value.isfinite().all() for value in checkpoints.averages(tmp_path).values())
    assert train(Toy(), tmp_path, SCHEDULE).finished


def test_on_a_full_disk_the_checkpoints_that_are_there_stay(tmp_path, monkeypatch):
    save = checkpoints.save_file

    def full(tensors, path, metadata):
        if "40" in metadata["checkpoint"].split('"step"')[1]:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, path, metadata)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(StoryMemError, match="no space is left"):
        train(Toy(), tmp_path, SCHEDULE)
    assert names(tmp_path) == ["step_0000020.safetensors", "step_0000030.safetensors"]


def test_a_checkpoint_of_another_size_or_recipe_is_refused_and_kept(tmp_path):
    train(Toy(), tmp_path, SCHEDULE, minutes=0)
    before = names(tmp_path)
    with pytest.raises(StoryMemError, match=r"another recipe: width differ.*another folder"):
        train(Toy(width=16), tmp_path, SCHEDULE)
    with pytest.raises(StoryMemError, match="another recipe: lr, steps differ"):
        train(Toy(), tmp_path, replace(SCHEDULE, lr=1.0, steps=70))
    with pytest.raises(StoryMemError, match="another recipe: seed differ"):
        train(Toy(), tmp_path, SCHEDULE, seed=1)
    other = Toy(width=16)
    other.identity = {"width": 12}
    with pytest.raises(StoryMemError, match=r"does not fit the model: 0.weight .* the shape \[16, 16\]"):
        train(other, tmp_path, SCHEDULE)
    smaller = Toy()
    smaller.model = smaller.model[:-1]
    with pytest.raises(StoryMemError, match=r"of a larger model: this one has no \d"):
        train(smaller, tmp_path, SCHEDULE)
    assert names(tmp_path) == before
    assert train(Toy(), tmp_path, replace(SCHEDULE, probe_every=7)).finished  # looking more often is allowed


def test_a_damaged_checkpoint_and_a_missing_stage_say_what_to_do(tmp_path):
    with pytest.raises(StoryMemError, match=r"this has not been trained yet.*Train it first"):
        checkpoints.averages(tmp_path / "vae")
    train(Toy(), tmp_path, SCHEDULE, minutes=0)
    (tmp_path / "checkpoints" / names(tmp_path)[-1]).write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(StoryMemError, match=r"cannot be read.*from the checkpoint before it"):
        train(Toy(), tmp_path, SCHEDULE)


def test_what_is_random_depends_on_seed_and_step(tmp_path):
    for seed in (0, 1):
        train(Toy(), tmp_path / str(seed), replace(SCHEDULE, lr=1e-12, steps=4, warmup=0), seed=seed)
    first, other = ([row["loss"] for row in rows(tmp_path / str(seed))] for seed in (0, 1))
    assert len({*first, *other}) == 8


def test_the_learning_rate_rises_and_then_falls_by_half_a_cosine():
    schedule = replace(SCHEDULE, steps=110, warmup=10, lr=2.0, floor=0.1)
    assert [learning_rate(schedule, step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert learning_rate(schedule, 60) == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert learning_rate(schedule, 110) == pytest.approx(0.2)


@pytest.mark.parametrize("shape", [(6, 30), (30, 6)])
def test_orthogonal_updates_are_those_of_newton_and_schulz(shape):
    matrices = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = matrices / matrices.flatten(1).norm(dim=1).reshape(-1, 1, 1)
    for _ in range(5):
        outer = expected @ expected.mT
        expected = 3.4445 * expected + (-4.7750 * outer + 2.0315 * outer @ outer) @ expected
    assert torch.allclose(orthogonal(matrices), expected, atol=1e-9)
    sizes = torch.linalg.svdvals(orthogonal(matrices))
    assert float(sizes.min()) > 0.6 and float(sizes.max()) < 1.3 and not math.isnan(float(sizes.sum()))
