"""LoRA files of any origin -> ComfyUI's key layout with the right scale.

A LoRA adds scale * B @ A to a weight. PEFT's scale is alpha / r, or alpha / sqrt(r) with use_rslora;
ComfyUI's is alpha / r with the `.alpha` tensor of the layer, 1 without. StoryMem's released files are PEFT
with rslora, r = alpha = 128, and tell neither: taken as they are, ComfyUI finds no layer, and renamed they
act 11.3 times too weakly. So the scale is decided here, from what is known of the file, and told.
"""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import StoryMemError

Scaling = Literal["auto", "rslora", "plain", "comfyui"]
State = dict[str, Tensor]


@dataclass(frozen=True)
class LoraReport:
    """What a LoRA file is taken for.

    Attributes:
        file: path as it was given.
        layout: "peft" or "comfyui".
        rank, alpha, scale: of PEFT's formula, scale * B @ A; None where layers differ or the
            host's loader decides.
        why: the rule that gave the scale, in words.
        mode: "mi2v" (one start frame), "mm2v" (several) or None if nothing tells.
        expert: "high" or "low" noise, or None if nothing tells.
        spacing: S of the memory's positions in training, or None if nothing tells.
    """

    file: str
    layout: str
    rank: int | None
    alpha: float | None
    scale: float | None
    why: str
    mode: str | None
    expert: str | None
    spacing: float | None = None


@dataclass(frozen=True)
class LoraFile:
    """Tensors in ComfyUI's layout: `diffusion_model.<layer>.lora_A.weight`, `.lora_B.weight`, `.alpha`."""

    state: State
    report: LoraReport


@dataclass(frozen=True)
class _Rule:
    """How B @ A is scaled: alpha (None: the rank of each layer), by rank or by its root."""

    kind: str
    why: str
    alpha: float | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)

    def alpha_of(self, layer: str, rank: int, told: Tensor | None) -> float:
        if told is not None:
            return float(told)
        for pattern in self.alpha_pattern:
            if re.match(rf"(.*\.)?({pattern})$", layer):
                return float(self.alpha_pattern[pattern])
        return float(rank if self.alpha is None else self.alpha)

    def scale(self, alpha: float, rank: int) -> float:
        return alpha / (math.sqrt(rank) if self.kind == "rslora" else rank)


def read(path: str | Path, scaling: Scaling = "auto") -> LoraFile:
    """Read a LoRA file (.safetensors, or .pth/.pt/.bin with tensors alone).

    Args:
        scaling: "auto" leaves ComfyUI's layout as it is; else it decides by metadata, by adapter_config.json
            beside the file, by an .alpha in every layer, or by the names of the released files; "rslora" and
            "plain" take PEFT's formulas (with alpha = r where the file tells none); "comfyui" takes
            .alpha / r, or 1 without .alpha.

    Raises:
        StoryMemError: the file is missing, damaged or no LoRA, or its scale is ambiguous.
    """
    path = Path(path)
    if not path.is_file():
        raise StoryMemError(
            "the LoRA file does not exist", value=str(path), remedy="Choose a file in models/loras."
        )
    beside = path.parent / "adapter_config.json"
    try:
        state, metadata = _load(path)
        config = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoryMemError(
            f"the LoRA file is damaged or of an unknown kind: {reason}",
            value=str(path),
            remedy="Download it again and compare its size.",
        ) from error
    return convert(state, path=path, metadata=metadata, config=config, scaling=scaling)


def convert(
    state: Mapping[str, Tensor],
    *,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    scaling: Scaling = "auto",
) -> LoraFile:
    """Tensors as a file holds them -> ComfyUI's layout. `state` and its tensors are left as they are.

    Args:
        path: where they come from, for names that tell and for messages.
        metadata: of the safetensors file.
        config: PEFT's adapter_config.json.
    """
    told = _told(metadata or {})
    layout = "peft" if any(_PEFT_NAME.match(name) for name in state) else "comfyui"
    mode, expert = _mode_and_expert(Path(path), told)
    spacing = float(told["S"]) if isinstance(told.get("S"), int | float) else None
    if layout == "comfyui" and scaling in ("auto", "comfyui"):
        if not any(_FACTOR.search(name) for name in state):
            raise StoryMemError(
                "the file contains no LoRA weights that StoryMem recognises",
                value=str(path),
                remedy="Choose a Wan2.2 LoRA, as released by StoryMem, in PEFT's or in ComfyUI's layout.",
            )
        why = "ComfyUI's layout: its loader takes .alpha / r, or 1 without .alpha"
        report = LoraReport(str(path), layout, None, None, None, why, mode, expert, spacing)
        return LoraFile(dict(state), report)
    layers = _layers(state, path, prefix=_PREFIX if layout == "peft" else _NO_PREFIX)
    rule = _rule(scaling, told, config or {}, layers, Path(path))
    converted: State = {}
    scales: set[tuple[int, float, float]] = set()
    for layer, parts in layers.items():
        rank = parts["A"].shape[0]
        name = f"diffusion_model.{layer}" if layout == "peft" else layer
        converted |= {f"{name}.lora_A.weight": parts["A"], f"{name}.lora_B.weight": parts["B"]}
        if rule.kind == "comfyui" and "alpha" not in parts:
            scales.add((rank, float(rank), 1.0))
            continue
        alpha = rule.alpha_of(layer, rank, parts.get("alpha"))
        scale = rule.scale(alpha, rank)
        converted[f"{name}.alpha"] = torch.tensor(scale * rank, dtype=torch.float32)
        scales.add((rank, alpha, scale))
    ranks, alphas, factors = (set(values) for values in zip(*scales, strict=True))
    report = LoraReport(
        str(path), layout, _only(ranks), _only(alphas), _only(factors), rule.why, mode, expert, spacing
    )
    return LoraFile(converted, report)


def _load(path: Path) -> tuple[State, dict[str, str]]:
    if path.suffix in (".safetensors", ".sft"):
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError("it does not hold a dict of tensors")
    return state, {}


# One key table: what a layer's tensor is called -> what it is. Prefixes that wrappers add are dropped.
_PREFIX, _NO_PREFIX = re.compile(r"^(?:module\.|base_model\.model\.)*"), re.compile(r"^")
_PEFT_NAME = re.compile(r"^(?!(?:.*\.)?diffusion_model\.).*\.lora_[AB]\.(?:\w+\.)?weight$")
_PARTS = {
    re.compile(r"\.lora_(?:A\.(?:\w+\.)?|down\.)weight$"): "A",
    re.compile(r"\.lora_(?:B\.(?:\w+\.)?|up\.)weight$"): "B",
    re.compile(r"\.alpha$"): "alpha",
}
_FACTOR = re.compile(r"[._](?:lora|hada|lokr|oft|diff|diff_b|set_weight|w_norm|b_norm)(?:[._]|$)")


def _layers(
    state: Mapping[str, Tensor], path: str | Path, *, prefix: re.Pattern[str]
) -> dict[str, dict[str, Tensor]]:
    """{layer: {"A": [r, in], "B": [out, r], maybe "alpha": []}}, sorted by layer."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name in sorted(state):
        bare = prefix.sub("", name)
        for pattern, part in _PARTS.items():
            if pattern.search(bare):
                layers.setdefault(pattern.sub("", bare), {})[part] = state[name]
                break
        else:
            raise StoryMemError(
                f"the LoRA contains a tensor that is not a LoRA weight: {name}",
                value=str(path),
                remedy="Only layers adapted by A and B are supported; convert the file to ComfyUI's layout.",
            )
    if broken := [layer for layer, parts in layers.items() if not {"A", "B"} <= parts.keys()]:
        raise StoryMemError(
            f"the LoRA contains only one half of {len(broken)} layers, for example {broken[0]}",
            value=str(path),
            remedy="Download it again and compare its size.",
        )
    return layers


def _rule(
    scaling: Scaling,
    told: Mapping[str, Any],
    config: Mapping[str, Any],
    layers: Mapping[str, Mapping[str, Tensor]],
    path: Path,
) -> _Rule:
    """The one place that decides about a scale."""
    sources = {"the file's metadata": told, "adapter_config.json beside the file": config}
    known = next(((source, values) for source, values in sources.items() if "lora_alpha" in values), None)
    alpha = float(known[1]["lora_alpha"]) if known else None
    pattern = known[1].get("alpha_pattern") or {} if known else {}
    if scaling == "comfyui":
        return _Rule(scaling, "chosen by the user: .alpha / r, or 1 without .alpha")
    if scaling != "auto":
        of = f"alpha told by {known[0]}" if known else "alpha = r where the file tells none"
        return _Rule(scaling, f"{scaling}, chosen by the user, {of}", alpha, pattern)
    if known:
        kind = "rslora" if known[1].get("use_rslora") else "plain"
        return _Rule(kind, f"{kind}, told by {known[0]}", alpha, pattern)
    if all("alpha" in parts for parts in layers.values()):
        return _Rule("plain", "plain, alpha of each layer stands in the file")
    if _RELEASED_FOLDER.search(path.parent.name) or _RELEASED_FILE.search(path.stem):
        return _Rule("rslora", "rslora with alpha = r, as StoryMem's released files are, told by its name")
    raise StoryMemError(
        "the LoRA file gives neither alpha nor whether it is rslora, so its scale is ambiguous",
        value=str(path),
        remedy='Choose the scaling "rslora" for StoryMem\'s files, "plain" for an ordinary PEFT LoRA, or '
        "keep the released folder (Wan2.2-MI2V-A14B/backbone_high_noise), whose name says it.",
    )


_RELEASED_FOLDER = re.compile(r"^Wan2\.2-M[IM]2V-A14B$")
_RELEASED_FILE = re.compile(r"^backbone_(?:high|low)_noise$")


def _told(metadata: Mapping[str, str]) -> dict[str, Any]:
    """A LoRA's settings in safetensors metadata: flat, or as JSON by diffusers ("transformer.r") or PEFT."""
    told: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        if key in ("lora_adapter_metadata", "adapter_config") and isinstance(parsed, dict):
            told |= {name.removeprefix("transformer."): entry for name, entry in parsed.items()}
        elif key in ("r", "lora_alpha", "use_rslora", "mode", "expert", "S"):
            told[key] = parsed
    return told


def _mode_and_expert(path: Path, told: Mapping[str, Any]) -> tuple[str | None, str | None]:
    names = path.parts[-3:][::-1]
    mode = _first(r"(?i)mi2v|mm2v", (str(told.get("mode", "")), *names))
    expert = _first(r"(?i)(?<![a-z])(?:high|low)(?=$|[^a-z]|noise)", (str(told.get("expert", "")), *names))
    return mode, expert


def _first(pattern: str, texts: tuple[str, ...]) -> str | None:
    """The match of the first text that has any; None if that text matches in two ways."""
    matches = ({match.lower() for match in re.findall(pattern, text)} for text in texts)
    return _only(next(filter(None, matches), set()))


def _only(values: set[Any]) -> Any:
    return next(iter(values)) if len(values) == 1 else None
