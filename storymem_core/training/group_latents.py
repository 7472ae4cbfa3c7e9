"""Groups of a person's own clips as cached latents, and the batches drawn from them.

A file per group: all that a target needs, so that nothing else is read for it. `GroupLatents.shots` gives the
trainer what `data.Latents.shots` gives it of the small world.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..conditioning.start import shot_pixels
from ..disk import digest, replacing
from ..errors import StoryMemError
from . import a14b, video_files
from .curation import Curated
from .data import Mix
from .grouping import Clip, Group, Relative
from .layout import KNOWN, Shots
from .story_latents import latents

VERSION = 2
"""Of all that is encoded; raise it when the same clips would give something else."""

STARTS = {"mi2v": 1, "mm2v": 5}
"""Start frames that a shot is given: what the one before ends with."""


def cache_latents(
    curated: Curated,
    videos: str | Path,
    out: str | Path,
    vae: AutoencoderKLWan,
    *,
    size: tuple[int, int] = (832, 480),
    say: Callable[[str], None] = print,
) -> None:
    """Encode every group that `out` does not have yet; groups that are gone or changed are removed.

    Args:
        curated: what `curation.curate` gave.
        videos: the folder that it was made from.
        out: for latents of this size alone.
        vae: on the device that encodes.
        size: width and height, divisible by 16. Each target keeps its own orientation: where it is upright
            and the size is not, or the other way round, the two are swapped for all of its group.

    Raises:
        StoryMemError: a size that Wan does not make, a video that changed, or a full disk.
    """
    _check(size)
    out, videos = Path(out), Path(videos)
    clips = {clip.id: clip for clip in curated.clips}
    wanted = {_path(out, group, clips, videos, size): group for group in curated.groups}
    for path in out.glob("group_*.safetensors"):
        if path not in wanted:
            path.unlink()
    missing = [(path, group) for path, group in wanted.items() if not path.is_file()]
    if not missing:
        return
    length = curated.clips[0].length
    grey = cache(lambda width, height: _encoded(vae, shot_pixels(None, length, height, width)))
    for number, (path, group) in enumerate(missing, 1):
        own = turned(size, video_files.shape(videos / clips[group.target].video))
        tensors = {**encode(vae, group, clips, videos, own), "m2v": grey(*own)}
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"target": group.target})
        say(f"latents of group {number} of {len(missing)}")


def turned(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Width and height, swapped where that fits the orientation of a picture of this width and height."""
    (width, height), (wide, high) = size, shape
    return (height, width) if (wide - high) * (width - height) < 0 else size


def encode(
    vae: AutoencoderKLWan, group: Group, clips: dict[str, Clip], videos: Path, size: tuple[int, int]
) -> dict[str, Tensor]:
    """A group's latents, fp16.

    Returns:
        video, and the conditions mi2v and mm2v: [C, f, h, w]; memory [m, C, h, w], as `_in_time` orders it.
    """
    target = clips[group.target]
    video = torch.from_numpy(video_files.clip(videos / target.video, target.start, target.length, size)) / 255
    length, height, width, _ = video.shape

    stills = [
        torch.from_numpy(np.ascontiguousarray(picture)) / 255
        for relative in _in_time(group, clips)
        for picture in _pictures(clips[relative.clip], relative.frames, videos, size)
    ]
    return {
        "video": _encoded(vae, video),
        **{
            name: _encoded(vae, shot_pixels(video[:count], length, height, width))
            for name, count in STARTS.items()
        },
        # Each picture alone, as a video of one frame.
        "memory": torch.stack([_encoded(vae, still[None])[:, 0] for still in stills]),
    }


class GroupLatents:
    """Cached groups with their texts; few are read at any time.

    Args:
        folder: where `cache_latents` wrote.
        captions: clip id -> text, as in captions.json.
        text: folder of the features that `a14b.cache_text` made of them.

    Raises:
        StoryMemError: nothing is cached there, a file is damaged, or a caption changed since it was cached.
    """

    def __init__(self, folder: str | Path, captions: dict[str, str], text: str | Path):
        self._files = sorted(Path(folder).glob("group_*.safetensors"))
        self._captions, self._text = captions, Path(text)
        if not self._files:
            raise StoryMemError(
                "there are no cached latents",
                value=str(folder),
                remedy="Cache the latents of the groups first.",
            )
        self._memory = torch.tensor(
            [_read(path, lambda file: file.get_slice("memory").get_shape()[0]) for path in self._files]
        )
        a14b.check_text(("", *map(self._caption, range(len(self)))), self._text)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def latent_frames(self) -> int:
        """f of the clips."""
        return int(_read(self._files[0], lambda file: file.get_slice("video").get_shape()[1]))

    def memory(self, most: int, generator: torch.Generator) -> int:
        """How much memory a step is to have, by chance: 1 to what some group has of it, at most `most`.

        With a number that few groups have, those would be learned by heart and the others hardly seen.
        """
        group = int(torch.randint(len(self), (), generator=generator))
        return int(torch.randint(1, min(most, int(self._memory[group])) + 1, (), generator=generator))

    def shots(self, count: int, mix: Mix, generator: torch.Generator) -> Shots:
        """A batch by chance: fp32, its text as bf16 features.

        No more memory is given than the richest group has, and only groups that have as much take part.
        """
        layouts = torch.tensor([mix.layouts.get(name, 0.0) for name in KNOWN])
        layout = torch.multinomial(layouts, count, replacement=True, generator=generator).tolist()
        frames = min(mix.memory, int(self._memory.max()))
        rich = (self._memory >= frames).nonzero().flatten()
        drawn = rich[torch.randint(len(rich), (count,), generator=generator)].tolist()
        sources = [self._next(rich, group) if mix.strange else group for group in drawn]
        names = [list(KNOWN)[index] for index in layout]
        dropped = (torch.rand(count, generator=generator) < mix.drop_text).tolist()
        return Shots(
            video=torch.stack([_tensor(self._files[group], "video") for group in drawn]),
            condition=torch.stack(
                [_tensor(self._files[group], name) for group, name in zip(drawn, names, strict=True)]
            ),
            known=torch.tensor([KNOWN[name] for name in names]),
            memory=torch.stack([self._frames(group, frames, generator) for group in sources]).transpose(1, 2),
            text=torch.stack(
                [self._features(group, drop) for group, drop in zip(drawn, dropped, strict=True)]
            ),
        )

    def _frames(self, group: int, count: int, generator: torch.Generator) -> Tensor:
        """`count` memory frames of a group: [M, C, h, w]."""
        memory = _tensor(self._files[group], "memory")
        return memory[torch.randperm(len(memory), generator=generator)[:count].sort().values]

    def _features(self, group: int, dropped: bool) -> Tensor:
        return a14b.text_features("" if dropped else self._caption(group), self._text)

    def _caption(self, group: int) -> str:
        return self._captions.get(_read(self._files[group], lambda file: file.metadata()["target"]), "")

    @staticmethod
    def _next(rich: Tensor, group: int) -> int:
        """Another group with memory enough, if there is one."""
        place = int((rich == group).nonzero())
        return int(rich[(place + 1) % len(rich)])


def _in_time(group: Group, clips: dict[str, Clip]) -> list[Relative]:
    """Relatives as a memory holds its frames: those of one video in order of time, and videos by their names.

    By likeness, as they are found, slots would tell how much they show of the target: a bank's do not.
    """
    return sorted(group.relatives, key=lambda item: (clips[item.clip].video, clips[item.clip].start))


def _pictures(clip: Clip, frames: tuple[int, ...], videos: Path, size: tuple[int, int]) -> list[np.ndarray]:
    return [video_files.clip(videos / clip.video, clip.start + frame, 1, size)[0] for frame in frames]


def _path(out: Path, group: Group, clips: dict[str, Clip], videos: Path, size: tuple[int, int]) -> Path:
    """A file for all that its latents come from; a video that was replaced is another one."""
    memory = [[*clips[relative.clip], relative.frames] for relative in _in_time(group, clips)]
    names = sorted({clips[id].video for id in (group.target, *(item.clip for item in group.relatives))})
    files = [[stat.st_size, stat.st_mtime_ns] for stat in map(os.stat, (videos / name for name in names))]
    return out / f"group_{digest([VERSION, clips[group.target], memory, files, size])[:32]}.safetensors"


def _tensor(path: Path, name: str) -> Tensor:
    return _read(path, lambda file: file.get_tensor(name)).float()


def _read(path: Path, what: Callable[[Any], Any]) -> Any:
    try:
        with safe_open(path, "pt") as file:
            return what(file)
    except (OSError, SafetensorError) as error:
        raise StoryMemError(
            "a file of cached latents is damaged",
            value=str(path),
            remedy="Remove this file and cache the latents again: it is made anew.",
        ) from error


@torch.no_grad()
def _encoded(vae: AutoencoderKLWan, pixels: Tensor) -> Tensor:
    """[F, H, W, 3] in 0..1 -> [C, f, h, w]."""
    return latents(vae, pixels[None])[0].contiguous()


def _check(size: tuple[int, int]) -> None:
    if min(size) < 16 or any(side % 16 for side in size):
        raise StoryMemError(
            "width and height must be divisible by 16", value=size, remedy="Wan2.2 makes 832 x 480."
        )
