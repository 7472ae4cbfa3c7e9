"""Stories of the small world -> the latents that training reads, in shards on the disk.

A shard holds some stories, all of its clips encoded. Shards that are there are kept, so a run that is stopped
goes on where it was. Each worker process draws and encodes shards of its own, on one core.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from ..conditioning.start import shot_pixels
from ..disk import remove_unfinished, replacing
from ..frames.counts import latent_frames
from ..models.small_models import LATENT_MEAN, LATENT_STD
from ..models.wan_shapes import LATENT_CHANNELS
from ..small_world import clip, grammar, stories, words
from ..small_world.looks import Cast
from ..small_world.owners import Owner
from ..small_world.parts import EVERYTHING, Among
from ..small_world.scene import FPS, Scene
from . import vae_forward

STORIES = 16
"""Of a shard: seconds of a worker's time, so that little is lost when it is stopped."""
TARGETS = 3
"""Clips of a story that are learned; of the others two frames are enough, since many heroes matter more."""
TEXTS = 4
"""Wordings per target."""
KEPT = 2
"""Memory frames per clip."""
STARTS = ((1, 1, 0), (1, 5, 0))
"""Start frames of a story's targets, before they are shuffled: even and odd seeds. 0 can only be a cut."""


_AT_ONCE = 2**24
"""Numbers in a film beyond which it is encoded four frames at a time: slower, in far less memory."""


class Drawn(NamedTuple):
    """A story in pixels, uint8: its n clips, and K of them of F frames to learn from."""

    video: np.ndarray
    """[K, F, H, W, 3]."""
    start: np.ndarray
    """[K]: start frames that the condition has; 0 for none."""
    text: np.ndarray
    """[K, TEXTS, tokens]: ids of the small text encoder."""
    take: np.ndarray
    """[K]: clips that continue one another have the same number."""
    memory: np.ndarray
    """[n, KEPT, H, W, 3]: frames of each clip, in order of time."""
    memory_take: np.ndarray
    """[n]."""
    characters: np.ndarray
    """[K, F, H, W], bool: whose pixel is a character's."""
    reference: np.ndarray
    """[H, W, 3]: the hero on a plain ground."""


def cache(
    vae: Callable[[], Any],
    folder: Path,
    seeds: Sequence[int],
    *,
    size: int,
    length: int,
    minutes: float | None = None,
    among: Among = EVERYTHING,
    device: str = "cpu",
    workers: int | None = None,
) -> bool:
    """Draw and encode stories into `folder`; whether all are there.

    Args:
        vae: opens the trained VAE; called in each worker, so it must be picklable.
        seeds: of the stories; STORIES to a shard.
        size, length: of the clips.
        among: what fields of their scenes are chosen from, as in `scene.random`.
        minutes: no shard is begun after so many.
        workers: processes; as many as there are cores if None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    until = None if minutes is None else time.time() + 60 * minutes
    shards = [seeds[first : first + STORIES] for first in range(0, len(seeds), STORIES)]
    missing = [shard for shard in shards if not shard_path(folder, shard[0]).exists()]
    count = min(workers or _cores(), len(missing))
    shares = [(vae, folder, missing[k::count], size, length, among, until, device) for k in range(count)]
    if count == 1:
        _work(*shares[0])
    elif count:
        # Not fork: torch's threads and CUDA do not survive it.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, spawn, initializer=_end_with_parent) as pool:
            for work in [pool.submit(_work, *share) for share in shares]:
                work.result()
    return all(shard_path(folder, shard[0]).exists() for shard in shards)


def _end_with_parent() -> None:
    """Let this worker not outlive a killed training: it would draw on beside the next one."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in workers only

    def watch() -> None:
        parent.join()
        os._exit(1)  # the main thread may be busy for minutes

    threading.Thread(target=watch, daemon=True).start()


def shard_path(folder: Path, first_seed: int) -> Path:
    """The shard that begins with this story."""
    return folder / f"stories_{first_seed:08}.safetensors"


def draw(seed: int, size: int, length: int, among: Among = EVERYTHING) -> Drawn:
    """A story for training, drawn; the same for the same seed. Nothing is spoiled: no text asks for that."""
    story = stories.sample(seed, among)
    scenes = [replace(scene, spoil="none") for scene in story.clips]
    rng = np.random.default_rng((seed, size, length))
    targets = np.sort(rng.permutation(len(scenes))[:TARGETS])
    take = np.cumsum([scene.start == 0 for scene in scenes])
    texts = [[words.encode(grammar.prompt(scenes[index], rng)) for _ in range(TEXTS)] for index in targets]
    films = [clip.render(scenes[index], story.cast, size=size, length=length) for index in targets]
    return Drawn(
        video=np.stack([film.frames for film in films]),
        start=rng.permutation(STARTS[seed % len(STARTS)]),
        text=np.array(texts, np.int32),
        take=take[targets],
        memory=np.stack([
            [frame(scene, story.cast, index, size) for index in _kept(scene, length, rng)] for scene in scenes
        ]),
        memory_take=take,
        characters=np.stack([film.owners >= Owner.HERO_BODY for film in films]),
        reference=clip.reference(story.cast.hero, size=size),
    )  # fmt: skip


def frame(scene: Scene, cast: Cast, index: int, size: int) -> np.ndarray:
    """One frame of a clip, uint8 [size, size, 3], without drawing the others."""
    moment = replace(scene, start=scene.start + index / FPS)
    return clip.render(moment, cast, size=size, length=1).frames[0]


def encode(vae: Any, drawn: Drawn, grey: Tensor) -> dict[str, Tensor]:
    """A story's latents, fp16, and its plain numbers: what a shard holds, per story.

    Args:
        grey: the condition of a clip without start frames, [C, f, h, w].

    Returns:
        video and condition [K, C, f, h, w], memory [n, KEPT, C, h, w], reference [C, h, w], and of `Drawn`
        text, take, memory_take; known [K]: latent frames that the condition gives; grey; characters
        [K, f, h, w]: the share of each latent's pixels that is a character's.
    """
    video = torch.from_numpy(drawn.video).float().div(255)
    count, length, height, width, _ = video.shape
    started = np.flatnonzero(drawn.start)
    given = [shot_pixels(video[i, : drawn.start[i]], length, height, width) for i in started]
    films = latents(vae, torch.stack([*video, *given]))
    images = np.concatenate([drawn.memory.reshape(-1, 1, height, width, 3), drawn.reference[None, None]])
    stills = latents(vae, torch.from_numpy(images).float().div(255))[:, :, 0]
    condition = grey.repeat(count, 1, 1, 1, 1)
    condition[started] = films[count:]
    return {
        "video": films[:count],
        "condition": condition,
        "known": torch.tensor([latent_frames(int(n)) if n else 0 for n in drawn.start]),
        "text": torch.from_numpy(drawn.text),
        "take": torch.from_numpy(drawn.take),
        "memory": stills[:-1].unflatten(0, drawn.memory.shape[:2]),
        "memory_take": torch.from_numpy(drawn.memory_take),
        "reference": stills[-1],
        "grey": grey,
        "characters": shares(
            torch.from_numpy(drawn.characters), (films.shape[2], films.shape[3], films.shape[4])
        ),
    }


def shares(pixels: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Marked pixels [K, F, H, W] -> what share of each latent's they are, fp16 [K, f, h, w].

    Args:
        size: f, h and w. The first latent frame stands for one frame, each other for four.
    """
    frames, height, width = size
    first, rest = pixels[:, None, :1].float(), pixels[:, None, 1:].float()
    rest = adaptive_avg_pool3d(rest, (frames - 1, height, width))
    return torch.cat([adaptive_avg_pool3d(first, (1, height, width)), rest], 2)[:, 0].half()


@torch.no_grad()
def latents(vae: Any, pixels: Tensor) -> Tensor:
    """Pixels [B, F, H, W, 3] in 0..1 -> the model's latents [B, C, f, h, w], fp16 on the CPU."""
    device = next(vae.parameters()).device
    films = pixels.to(device).permute(0, 4, 1, 2, 3).mul(2).sub(1)
    with torch.autocast(device.type, torch.bfloat16):
        if films[0].numel() <= _AT_ONCE:
            raw = vae_forward.encode(vae, films)[:, :LATENT_CHANNELS]
        else:
            raw = vae.encode(films).latent_dist.mode()
    shape = (1, -1, 1, 1, 1)
    mean, std = (torch.tensor(values, device=device).reshape(shape) for values in (LATENT_MEAN, LATENT_STD))
    return ((raw.float() - mean) / std).half().cpu()


def _work(
    open_vae: Callable[[], Any],
    folder: Path,
    shards: Sequence[Sequence[int]],
    size: int,
    length: int,
    among: Among,
    until: float | None,
    device: str,
) -> None:
    """A worker's share of the shards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    vae = open_vae().to(device).eval()
    grey = latents(vae, shot_pixels(None, length, size, size)[None])[0]
    for seeds in shards:
        if until is not None and time.time() > until:
            break
        rows = [encode(vae, draw(seed, size, length, among), grey) for seed in seeds]
        with replacing(shard_path(folder, seeds[0])) as path:
            save_file({name: torch.stack([row[name] for row in rows]).contiguous() for name in rows[0]}, path)
    torch.set_num_threads(threads)


def _kept(scene: Scene, length: int, rng: np.random.Generator) -> list[int]:
    """An early and a late frame; a newcomer is there in the late one."""
    arrived = 2 if scene.newcomer else length // 2
    return [int(rng.integers(length // 2)), int(rng.integers(length - arrived, length))]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
