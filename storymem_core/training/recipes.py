"""Sizes and schedules of the trained models: `tiny` for two CPU cores, `small` for a GPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from ..small_world.parts import EVERYTHING, MIDDLE, Among


@dataclass(frozen=True)
class Schedule:
    """How a stage is trained.

    Attributes:
        steps: in all; the cosine of the learning rate runs over them.
        batch: samples a step (clips, pictures or stories: the stage says which).
        lr: peak learning rate of AdamW, after `warmup` steps.
        floor: share of `lr` that is left at the last step.
        clip: greatest norm of the gradient.
        ema: decay of the averaged weights, which are what a stage hands on.
        optimizer: "adamw" or "muon".
        precision: "no" (fp32) or "bf16" (autocast).
        checkpoint_every, probe_every: steps.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 200
    floor: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    optimizer: str = "adamw"
    precision: str = "bf16"
    checkpoint_every: int = 500
    probe_every: int = 100

    def identity(self) -> dict[str, Any]:
        """All that shapes the weights: how often a run is looked at does not."""
        told: dict[str, Any] = asdict(self)
        return {key: told[key] for key in told if not key.endswith("_every")}


class Phase(NamedTuple):
    """A part of the VAE's training: its share of the steps, clips a step, frames of each, and how many times
    smaller than a frame's side a crop is (1: whole frames)."""

    share: float
    clips: int
    frames: int
    parts: int = 1


@dataclass(frozen=True)
class VaePart:
    """A part of the VAE's training with a schedule of its own.

    Attributes:
        schedule: its batch is not used, the phases have their own.
        phases: pictures first, then longer clips.
        noise: standard deviation of the noise on latents in training, as a model's own errors are.
        halved: share of the steps that decode latents of half the size to clips of half the size: it makes
            latents smooth in space, which a diffusion model learns sooner (EQ-VAE, arXiv 2502.09509).
    """

    schedule: Schedule
    phases: tuple[Phase, ...]
    noise: float
    halved: float


@dataclass(frozen=True)
class DecoderPart:
    """The stage after the VAE: its decoder alone, on whole clips of what the models learn.

    Attributes:
        schedule: its batch is clips a step.
        noise: as in `VaePart`.
        stories: so many are drawn of the recipe's scenes.
        others: so many more of all the world, so that nothing is forgotten.
    """

    schedule: Schedule
    noise: float
    stories: int = 250
    others: int = 45


@dataclass(frozen=True)
class VaeRecipe:
    """The VAE (stride 4x8x8, 16 latent channels).

    Attributes:
        coarse: much noise gives every direction of the latents to what is large and smooth.
        fine: little noise then adds detail to them. With the noise of `coarse` pictures stood still at 23 dB.
        decoder: no longer changes the latents. Without an encoder in it a step takes half the time, and gains
            as much as one of the whole VAE.
        base_dim: channels at full resolution.
        size_weight: of the latents' mean square in the loss; with the noise, it keeps them near unit size.
        stories: so many are drawn for `coarse` and `fine`.
    """

    coarse: VaePart
    fine: VaePart
    decoder: DecoderPart
    base_dim: int = 16
    size_weight: float = 1e-3
    stories: int = 500

    @property
    def parts(self) -> dict[str, VaePart]:
        """Those of the whole VAE by name, in their order."""
        return {"coarse": self.coarse, "fine": self.fine}


@dataclass(frozen=True)
class BaseRecipe:
    """The base pair, without memory: one trunk over all t, then both experts, each on its own range.

    Attributes:
        trunk, expert: schedules of the trunk and of each expert.
        dim, ffn, blocks: of the transformer; heads are 128 wide.
        boundary: of t between the experts.
        shift: of t towards noise.
        first_frame: share of samples that are given their first frame.
        drop_text: share of samples without text.
        stories: so many are drawn and encoded, three clips of each; the last 32 are kept for the log.
    """

    trunk: Schedule
    expert: Schedule
    dim: int = 256
    ffn: int = 1024
    blocks: int = 5
    boundary: float = 0.9
    shift: float = 3.0
    first_frame: float = 0.5
    drop_text: float = 0.1
    stories: int = 1280


@dataclass(frozen=True)
class LoraRecipe:
    """The memory LoRA on q, k, v, o of both attentions and both ffn layers (StoryMem, arXiv 2512.19539).

    Attributes:
        schedule: of each expert's adapter.
        second: of the high-noise expert's, which starts from the other one's; None for the same.
        rank, alpha: rslora, scale alpha / sqrt(rank). The higher the better (`run.py bench adapters`); 60 is
            what 45 MB hold beside the pair.
        memory: most memory frames; 1..memory at random.
        spacing: of memory positions (S).
        near: share of batches whose memory may show the shot itself, which tells much and is soon read.
        on_characters: weight of a character's latents in the loss beyond a place's: only memory tells
            characters, and most of a shot is place, which the text tells.
        loss_on_memory: whether the slots' own velocity counts.
        drop_text: share of samples without text.
        checkpointing: recompute blocks in the backward pass to save memory.
    """

    schedule: Schedule
    second: Schedule | None = None
    rank: int = 60
    alpha: int = 60
    memory: int = 4
    spacing: float = 5.0
    near: float = 0.2
    on_characters: float = 8.0
    loss_on_memory: bool = False
    drop_text: float = 0.1
    checkpointing: bool = False


@dataclass(frozen=True)
class Recipe:
    """A size: square frames of `size` pixels, clips of `length` frames, all stages.

    `full` is the schedule of each expert where all of its weights learn memory, in place of an adapter.
    `scenes` is what of the world the diffusion models and the VAE's decoder learn, see
    `small_world.scene.random`; the VAE's encoder sees all.
    """

    name: str
    size: int
    vae: VaeRecipe
    base: BaseRecipe
    lora: LoraRecipe
    full: Schedule
    length: int = 17
    scenes: Among = EVERYTHING


_VAE = Schedule(
    steps=0, batch=1, lr=4e-3, warmup=100, ema=0.995, optimizer="muon", checkpoint_every=700, probe_every=350
)
TINY = Recipe(
    name="tiny",
    size=64,
    vae=VaeRecipe(
        coarse=VaePart(
            replace(_VAE, steps=5000),
            (Phase(0.45, 16, 1, 2), Phase(0.2, 4, 5, 2), Phase(0.25, 2, 17, 2), Phase(0.1, 1, 17)),
            noise=0.15,
            halved=0.15,
        ),
        fine=VaePart(
            replace(_VAE, steps=2500, lr=2e-3),
            (Phase(0.35, 16, 1, 2), Phase(0.35, 2, 17, 2), Phase(0.3, 1, 17)),
            noise=0.03,
            halved=0.0,
        ),
        decoder=DecoderPart(replace(_VAE, steps=14000, lr=2e-3, ema=0.998), noise=0.03, others=20),
    ),
    base=BaseRecipe(
        trunk=Schedule(steps=11500, batch=16, lr=2e-3),
        expert=Schedule(steps=300, batch=16, lr=2e-4, warmup=50),
        stories=1536,
    ),
    lora=LoraRecipe(
        Schedule(steps=8000, batch=16, lr=1.5e-3),
        second=Schedule(steps=1600, batch=16, lr=5e-4),
    ),
    full=Schedule(steps=4800, batch=16, lr=1.5e-3),
    scenes=MIDDLE,
)
SMALL = Recipe(
    name="small",
    size=128,
    vae=VaeRecipe(
        coarse=VaePart(
            replace(_VAE, steps=6000),
            (Phase(0.5, 32, 1, 2), Phase(0.2, 8, 5, 2), Phase(0.3, 2, 17)),
            noise=0.15,
            halved=0.15,
        ),
        fine=VaePart(
            replace(_VAE, steps=6000, lr=2e-3),
            (Phase(0.4, 32, 1, 2), Phase(0.6, 2, 17)),
            noise=0.03,
            halved=0.0,
        ),
        decoder=DecoderPart(replace(_VAE, batch=4, steps=2000, lr=2e-3, ema=0.998), noise=0.03),
    ),
    base=BaseRecipe(
        trunk=Schedule(steps=6000, batch=64, lr=8e-4),
        expert=Schedule(steps=1500, batch=64, lr=4e-4),
    ),
    lora=LoraRecipe(Schedule(steps=4000, batch=64, lr=1e-3), memory=8),
    full=Schedule(steps=4000, batch=64, lr=4e-4),
)
RECIPES = {recipe.name: recipe for recipe in (TINY, SMALL)}
