"""Memory inside the model: what is hooked into Wan so that the sampler sees an ordinary shot.

Three hooks work together; each finds the memory in the host's transformer_options under `MEMORY`:

- `insert_memory` wraps the diffusion model: it adds the M memory slots BEHIND the shot's f latent frames
  and cuts them off the output. Order in the sequence is free, since positions carry the meaning, and patches
  that count tokens from the shot's first one stay right.
- `rope_with_memory` stands in for the model's rope_encode: the shot's rows come from the function before it,
  the memory's rows from the same function asked for -M*S ... -S.
- `require_memory` wraps each call of the model and fails if the others did not run by the end of the first
  call of a sampling run: a film without memory must not pass for one with it. Later calls may do without:
  caches such as the host's EasyCache answer some of them in the model's place.

No ComfyUI here: the functions see tensors, a dict of options and the next function to call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import StoryMemError
from .positions import memory_positions
from .slots import memory_slots, path_noise

MEMORY = "storymem_memory"
"""Key in transformer_options of `memory_entry`."""

CALL = "storymem_call"
"""Key in transformer_options of one call's record: {"inserted", "placed": bool, "frames_behind": int}."""

MARKER = "storymem_marker"
"""Argument of M numbers for the model. It carries nothing but its length: torch.compile guards on arguments,
while the host's compile node tells it not to guard on transformer_options, so that without a marker a graph
compiled for one M would be taken for another."""

Options = dict[str, Any]


class Reached:
    """Whether memory has reached the model in this sampling run.

    The one thing here that changes. An object of its own class, because the host copies the dicts and lists
    of transformer_options on the way to the model.
    """

    def __init__(self) -> None:
        self.model = False


def memory_entry(clean: Tensor, frame_hashes: Sequence[str], *, seed: int) -> Options:
    """What the hooks need to know about M memory frames.

    Args:
        clean: z, memory latents in the model's normalised latent space (the host's process_latent_in of the
            raw encoding), [1, C, M, H, W].
        frame_hashes: sha256 (hex) of each frame's pixels, oldest first.
        seed: of the memory's noise path; the shot's seed.
    """
    _, channels, _, height, width = clean.shape
    return {
        "clean": clean.detach().float().cpu(),
        "noise": path_noise(seed, frame_hashes, (channels, height, width)),
        "reached": Reached(),
    }


def new_run(options: Options) -> None:
    """Say that a sampling run begins: memory has to reach the model again."""
    options[MEMORY]["reached"].model = False


def memory_frames(options: Options) -> int:
    """M, the number of memory frames that a model's transformer_options hold; 0 without memory."""
    return options[MEMORY]["clean"].shape[2] if MEMORY in options else 0


def require_memory(
    executor: Callable[..., Tensor],
    x: Tensor,
    t: Tensor,
    c_concat: Tensor | None = None,
    c_crossattn: Tensor | None = None,
    control: Any = None,
    transformer_options: Options | None = None,
    **kwargs: Any,
) -> Tensor:
    """Wrap one call of the model (ComfyUI: WrappersMP.APPLY_MODEL).

    Raises:
        StoryMemError: memory was given, but another patch kept the hooks from running.
    """
    options = transformer_options or {}
    frames = memory_frames(options)
    if frames == 0:
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
    call = {"inserted": False, "placed": False}
    marker = torch.zeros(frames, device=x.device)
    out = executor(
        x, t, c_concat, c_crossattn, control, {**options, CALL: call}, **{**kwargs, MARKER: marker}
    )
    reached = options[MEMORY]["reached"]
    reached.model = reached.model or all(call[hook] for hook in ("inserted", "placed"))
    if reached.model:
        return out
    for hook, patched in (("inserted", "the diffusion model"), ("placed", "the model's rope_encode")):
        if not call[hook]:
            raise StoryMemError(
                f"memory did not reach the model: another patch of {patched} replaces StoryMem's",
                value=f"{frames} memory frames",
                remedy="Apply StoryMemApplyMemory after that patch, or remove the patch.",
                node="StoryMemApplyMemory",
            )
    return out


def insert_memory(
    executor: Callable[..., Tensor],
    x: Tensor,
    timestep: Tensor,
    context: Tensor,
    clip_fea: Tensor | None = None,
    time_dim_concat: Tensor | None = None,
    transformer_options: Options | None = None,
    **kwargs: Any,
) -> Tensor:
    """Wrap the diffusion model (ComfyUI: WrappersMP.DIFFUSION_MODEL): f frames in, f + M inside, f out.

    Args:
        x: noisy latent, mask and condition of the shot, [B, 36, f, H, W].
        transformer_options: its "sigmas" are the noise level t in [0, 1]; `timestep` is scaled by the model.

    Returns:
        [B, 16, f, H, W].
    """
    kwargs.pop(MARKER, None)
    options = transformer_options or {}
    memory = options.get(MEMORY)
    if memory is None:
        return executor(x, timestep, context, clip_fea, time_dim_concat, options, **kwargs)
    call = options.get(CALL, {"placed": False})
    call["inserted"] = True
    # The host appends its own frames after ours; they must keep their rows.
    call["frames_behind"] = 0 if time_dim_concat is None else time_dim_concat.shape[2]
    clean, noise, t = (
        tensor.to(x.device) for tensor in (memory["clean"], memory["noise"], options["sigmas"])
    )
    slots = memory_slots(clean, noise, t, x.shape[0]).to(x.dtype)
    with_memory = torch.cat([x, slots], dim=2)
    out = executor(
        with_memory, timestep, context, clip_fea, time_dim_concat, {**options, CALL: call}, **kwargs
    )
    return out[:, :, : x.shape[2]]


def rope_with_memory(
    previous: Callable[..., Tensor], spacing: float, t: int, h: int, w: int, **kwargs: Any
) -> Tensor:
    """Rotary frequencies of a sequence that holds memory (stands in for the model's rope_encode).

    The shot's rows are the previous function's own. The memory's rows come from the same function, asked for
    one frame at a time that starts at -(M-i)*S, so that whatever another patch does to h, w or the base
    frequency holds for memory too. They are computed in fp32: bf16 would round -11.7 to -11.6875.

    Args:
        previous: the rope_encode that stood here before; unknown arguments are passed on to it.
        spacing: S >= 0, in latent frames. An argument and not in transformer_options, because torch.compile
            guards on it here (see MARKER).
        t, h, w: latent frames (M included), height and width in latent pixels.

    Returns:
        [1, tokens, ...], tokens in the order shot, memory, frames that the host appends.
    """
    options = kwargs.get("transformer_options") or {}
    call = options.get(CALL)
    if call is None or not call.get("inserted") or call["placed"]:
        # No memory, or a later sequence of the same call (the host's in-context references).
        return previous(t, h, w, **kwargs)
    call["placed"] = True
    frames = memory_frames(options)
    shot = previous(t - frames, h, w, **kwargs)
    start = kwargs.get("t_start", 0)
    one_frame = {**kwargs, "steps_t": None, "dtype": torch.float32}
    rows = [
        previous(1, h, w, **{**one_frame, "t_start": start + position})
        for position in memory_positions(frames, spacing)
    ]
    shot_tokens = shot.shape[1] - call["frames_behind"] * rows[0].shape[1]
    return torch.cat([shot[:, :shot_tokens], *(row.to(shot) for row in rows), shot[:, shot_tokens:]], dim=1)
