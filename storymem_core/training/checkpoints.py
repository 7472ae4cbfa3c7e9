"""What a stage needs to go on: weights, their average and the optimizer's moments, in one file per step.

Under FSDP each process holds a part of each tensor (a DTensor): it is gathered when stored and dealt out
again when read. Only trained parameters are stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ..disk import canonical, remove_unfinished, replacing
from ..errors import StoryMemError

KEPT = 2
_PATTERN = "step_*.safetensors"


class State:
    """The tensors of a run, all of them changed in place.

    Attributes:
        parameters: name -> trained parameter.
        mean: name -> its running average, fp32.
        optimizer: its moments belong to the state.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer):
        self.parameters = parameters
        self.optimizer = optimizer
        self.mean = {name: parameter.detach().float().clone() for name, parameter in parameters.items()}

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
        """The state of a model's trained parameters."""
        trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        return cls(trained, optimizer)

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the averages towards the parameters: mean = decay * mean + (1 - decay) * parameter."""
        for name, parameter in self.parameters.items():
            self.mean[name].lerp_(parameter.detach().float(), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model has its averaged weights inside the block."""
        kept = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.settle()
        try:
            yield
        finally:
            self._put(kept)

    def settle(self) -> None:
        """The model has its averaged weights from now on."""
        self._put(self.mean)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name, whole and on the CPU. All processes must call this together."""
        return {name: _whole(tensor) for name, tensor in self._parts().items()}

    @torch.no_grad()
    def fill(self, values: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for name, parameter in self.parameters.items():
            parameter.copy_(_dealt(values[f"weight/{name}"], parameter))
            self.mean[name].copy_(_dealt(values[f"mean/{name}"], parameter))
            moments = self.optimizer.state[parameter]
            for key in [key for key in values if key.startswith("moment/") and key.endswith(f"/{name}")]:
                value = values[key]
                like = parameter if value.shape == parameter.shape else None
                moments[key.split("/")[1]] = value if like is None else _dealt(value, like).to(like.device)

    def shapes(self) -> dict[str, list[int]]:
        """name -> shape of each trained parameter."""
        return {name: list(parameter.shape) for name, parameter in self.parameters.items()}

    def _parts(self) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            parts[f"weight/{name}"] = parameter.detach()
            parts[f"mean/{name}"] = self.mean[name]
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                parts[f"moment/{moment}/{name}"] = value
        return parts


def save(folder: Path, state: State, step: int, identity: Mapping[str, Any], *, write: bool = True) -> None:
    """Store a step; the older of the kept checkpoints goes once the new one is whole.

    Args:
        folder: of the stage.
        state: to store.
        step: how many steps were done.
        identity: plain values that a run must share to resume from this file.
        write: False on all processes but one.

    Raises:
        StoryMemError: the disk is full. The checkpoints that are there stay.
    """
    tensors = state.tensors()
    if not write:
        return
    told = {"step": step, "identity": dict(identity)}
    with replacing(_path(folder, step)) as path:
        save_file(tensors, path, {"checkpoint": canonical(told)})
    for old in _all(folder)[:-KEPT]:
        old.unlink()


def load(folder: Path, state: State, identity: Mapping[str, Any]) -> int:
    """Fill a state from the newest checkpoint and say its step; 0 without a checkpoint.

    Raises:
        StoryMemError: the checkpoint is of another size or recipe, or cannot be read.
    """
    remove_unfinished(folder / "checkpoints")
    found = _all(folder)
    if not found:
        return 0
    tensors, told = _read(found[-1])
    want = json.loads(canonical(dict(identity)))
    differ = sorted(key for key in {*want, *told["identity"]} if want.get(key) != told["identity"].get(key))
    if differ:
        raise StoryMemError(
            f"the checkpoint {found[-1]} was made by another recipe: {', '.join(differ)} differ",
            value={key: told["identity"].get(key) for key in differ},
            remedy="Train into another folder, or take the same size, seed and options as before.",
        )
    shapes = state.shapes()
    strange = {name.removeprefix("weight/") for name in tensors if name.startswith("weight/")} - set(shapes)
    if strange:
        raise StoryMemError(
            f"the checkpoint {found[-1]} is of a larger model: this one has no {min(strange)}",
            value=f"{len(strange)} tensors more",
            remedy="Train into another folder, or take the model that the checkpoint was made with.",
        )
    for name, shape in shapes.items():
        stored = tensors.get(f"weight/{name}")
        if stored is None or list(stored.shape) != shape:
            raise StoryMemError(
                f"the checkpoint {found[-1]} does not fit the model: {name} should have the shape {shape}",
                value=None if stored is None else list(stored.shape),
                remedy="Train into another folder, or take the size that the checkpoint was made with.",
            )
    state.fill(tensors)
    return int(told["step"])


def averages(folder: Path) -> dict[str, Tensor]:
    """The averaged weights of a stage's newest checkpoint.

    Raises:
        StoryMemError: the stage has no checkpoint, or it cannot be read.
    """
    found = _all(folder)
    if not found:
        raise StoryMemError(
            "this has not been trained yet",
            value=str(folder),
            remedy="Train it first. The order is vae, decoder, base, lora; of these each expert has its own.",
        )
    tensors, _ = _read(found[-1])
    means = {name: tensor for name, tensor in tensors.items() if name.startswith("mean/")}
    return {name.removeprefix("mean/"): tensor for name, tensor in means.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return tensors, json.loads(file.metadata()["checkpoint"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StoryMemError(
            "a checkpoint cannot be read",
            value=str(path),
            remedy="Remove this file: training goes on from the checkpoint before it.",
        ) from error


def _path(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step_{step:07}.safetensors"


def _all(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob(_PATTERN))


def _whole(tensor: Tensor) -> Tensor:
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu().contiguous()


def _dealt(whole: Tensor, like: Tensor) -> Tensor:
    if isinstance(like, DTensor):
        return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements)
    return whole
