"""The cached latents, and what is drawn from them for a step: shots, each with memory of its own story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import StoryMemError
from ..small_world.words import TEXTS
from .layout import KNOWN, Shots

REFERENCES = 0.15
"""Share of shots with memory whose oldest memory frame is the hero's reference (MR2V)."""


@dataclass(frozen=True)
class Mix:
    """What is asked of a batch.

    Attributes:
        layouts: share of each of `layout.KNOWN`; they add up to 1.
        memory: M of the batch.
        drop_text: share of shots whose text is empty.
        strange: take the memory from another story.
        near: let the memory show the shot itself too.
        on_characters: weight of a character's latents in the loss beyond a place's.
    """

    layouts: Mapping[str, float]
    memory: int = 0
    drop_text: float = 0.0
    strange: bool = False
    near: bool = False
    on_characters: float = 0.0


@dataclass(frozen=True)
class Latents:
    """N stories, each with K clips to learn and memory frames of n clips; see `story_latents.encode`."""

    video: Tensor
    """[N, K, C, f, h, w], fp16, as all latents."""
    condition: Tensor
    known: Tensor
    """[N, K]."""
    text: Tensor
    """[N, K, wordings, tokens]."""
    take: Tensor
    """[N, K]."""
    memory: Tensor
    """[N, n, KEPT, C, h, w]."""
    memory_take: Tensor
    """[N, n]."""
    reference: Tensor
    """[N, C, h, w]."""
    characters: Tensor
    """[N, K, f, h, w]: share of a latent's pixels that is a character's."""
    grey: Tensor
    """[N, C, f, h, w]."""

    @classmethod
    def read(cls, folder: Path) -> Latents:
        """All shards of a folder.

        Raises:
            StoryMemError: there are none, or one is damaged.
        """
        shards = []
        for path in sorted(folder.glob("stories_*.safetensors")):
            try:
                shards.append(load_file(path))
            except (SafetensorError, OSError) as error:
                raise StoryMemError(
                    "a file of cached latents is damaged",
                    value=str(path),
                    remedy="Remove this file and run the stage again: it is made anew.",
                ) from error
        if not shards:
            raise StoryMemError(
                "there are no cached latents",
                value=str(folder),
                remedy="Train the stage base: it makes them first.",
            )
        names = [field.name for field in fields(cls)]
        lacking = sorted({name for shard in shards for name in {*names} - shard.keys()})
        if lacking:
            raise StoryMemError(
                "the cached latents are of an earlier version of the trainer",
                value=f"{folder}, without {', '.join(lacking)}",
                remedy="Remove this folder and run the stage base again: they are made anew.",
            )
        return cls(**{name: torch.cat([shard[name] for shard in shards]) for name in names})

    def __len__(self) -> int:
        return len(self.video)

    def part(self, first: int, end: int) -> Latents:
        """The stories first .. end - 1."""
        return Latents(**{field.name: getattr(self, field.name)[first:end] for field in fields(self)})

    def shots(self, count: int, mix: Mix, generator: torch.Generator) -> Shots:
        """A batch by chance: fp32, its text as ids.

        The memory of a shot comes from other takes of its story, in order of time; with `mix.near` it may
        come from the shot's own.
        """
        layouts = torch.tensor([mix.layouts.get(name, 0.0) for name in KNOWN])
        layout = torch.multinomial(layouts, count, replacement=True, generator=generator)
        known = torch.tensor(list(KNOWN.values()))[layout]
        story, clip = self._targets(known, generator)
        wording = torch.randint(self.text.shape[2], (count,), generator=generator)
        text = self.text[story, clip, wording].long()
        text[torch.rand(count, generator=generator) < mix.drop_text] = torch.tensor(TEXTS.encode(""))
        given = known.reshape(-1, 1, 1, 1, 1) > 0
        condition = torch.where(given, self.condition[story, clip], self.grey[story])
        return Shots(
            video=self.video[story, clip].float(),
            condition=condition.float(),
            known=known,
            memory=self._memories(story, self.take[story, clip], mix, generator),
            text=text,
            weight=1 + mix.on_characters * self.characters[story, clip][:, None].float(),
        )

    def _targets(self, known: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Story and clip, [B] each, of shots that can be given so many latent frames; all can be cuts."""
        chance = torch.rand(len(known), generator=generator)
        found = torch.empty(len(known), 2, dtype=torch.long)
        for frames in known.unique().tolist():
            fit = (self.known == frames if frames else self.known >= 0).nonzero()
            asked = known == frames
            found[asked] = fit[(chance[asked] * len(fit)).long()]
        return found[:, 0], found[:, 1]

    def _memories(self, story: Tensor, take: Tensor, mix: Mix, generator: torch.Generator) -> Tensor:
        """[B, C, M, h, w]."""
        channels, height, width = self.reference.shape[1:]
        if mix.memory == 0:
            return torch.empty(len(story), channels, 0, height, width)
        sources = (story + 1) % len(self) if mix.strange else story
        rows = zip(sources.tolist(), take.tolist(), strict=True)
        chosen = [
            self._memory(source, None if mix.near else own, mix.memory, generator) for source, own in rows
        ]
        # fp32 first: a CPU's autocast does not stack fp16.
        return torch.stack([frames.float() for frames in chosen]).transpose(1, 2)

    def _memory(self, story: int, take: int | None, count: int, generator: torch.Generator) -> Tensor:
        """`count` memory frames of a story, none of this take: [M, C, h, w]."""
        others = self.memory[story]
        if take is not None:
            others = others[self.memory_take[story] != take]
        others = others.flatten(0, 1)
        picked = torch.randperm(len(others), generator=generator)[:count].sort().values
        if len(picked) < count:
            raise StoryMemError(
                f"the stories have {len(picked)} memory frames beside a shot, fewer than are asked for",
                value=count,
                remedy="Lower the recipe's memory.",
            )
        frames = others[picked]
        if torch.rand(1, generator=generator) < REFERENCES:
            frames[0] = self.reference[story]
        return frames
