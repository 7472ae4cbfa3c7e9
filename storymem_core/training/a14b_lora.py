"""The memory LoRA on Wan2.2-A14B: rank 128 on every linear layer of the blocks (StoryMem, arXiv 2512.19539).

The loop, the adapter, the layout of memory and the loss are those of the small world; only where weights,
latents and text come from differs. Under `accelerate launch` with accelerate_fsdp.yaml all GPUs share it.

    python -m storymem_core.training.a14b_lora --help
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StoryMemError
from ..lora.settings import LoraSettings
from . import a14b, checkpoints, curation, group_latents, loop, weight_files
from .adapter import with_adapter
from .data import Mix
from .group_latents import GroupLatents
from .memory_needed import table
from .objective import ranges, velocity_loss
from .recipes import LoraRecipe, Schedule
from .rope import with_memory_rope

RECIPE = LoraRecipe(
    Schedule(steps=10_000, batch=1, lr=1e-4, warmup=500, checkpoint_every=250),
    rank=128,
    alpha=128,
    memory=10,
    checkpointing=True,
)
LAYOUTS = {"m2v": 1 / 3, "mi2v": 1 / 3, "mm2v": 1 / 3}
SPANS = {span.expert: span for span in ranges(0.9)}
"""Wan2.2-I2V's boundary between the experts."""
SHIFT = 3.0


class MemoryLora:
    """The adapter of one expert, as a stage of `loop.train`.

    Args:
        model: the expert; it is frozen, and gets an adapter and memory's positions.
        data: cached groups.
        expert: "high" or "low".
        latent_frames: f of the cached clips.
    """

    def __init__(
        self,
        model: nn.Module,
        data: GroupLatents,
        expert: str,
        latent_frames: int,
        recipe: LoraRecipe = RECIPE,
    ):
        self.name, self.data, self.recipe, self.span = f"lora-{expert}", data, recipe, SPANS[expert]
        self.model = with_adapter(
            with_memory_rope(model, latent_frames, recipe.spacing), recipe.rank, recipe.alpha
        )
        self.identity: Mapping[str, Any] = {
            "rank": recipe.rank, "alpha": recipe.alpha, "memory": recipe.memory, "spacing": recipe.spacing,
            "loss_on_memory": recipe.loss_on_memory, "drop_text": recipe.drop_text, "frames": latent_frames,
        }  # fmt: skip

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The velocity's error on shots with 1 to `LoraRecipe.memory` frames of memory, as many for each."""
        recipe = self.recipe
        # The same on all GPUs: at each block they wait for the one with the most memory.
        memory = self.data.memory(recipe.memory, loop.generator(0, f"{self.name} memory", step))
        shots = self.data.shots(recipe.schedule.batch, Mix(LAYOUTS, memory, recipe.drop_text), generator)
        error = velocity_loss(model, shots, self.span, SHIFT, generator, on_memory=recipe.loss_on_memory)
        return {"loss": error}

    def probe(self, model: nn.Module, step: int) -> dict[str, float]:
        """None: the loss is logged at each step."""
        return {}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """None: a film of the A14B takes longer than the steps from one checkpoint to the next."""


def train(stage: MemoryLora, out: Path, *, minutes: float | None = None, device: str = "") -> loop.Result:
    """Train an expert's adapter under `out`/high or `out`/low, or go on with it; see `loop.train`."""
    folder = out / stage.span.expert
    return loop.train(stage, folder, stage.recipe.schedule, minutes=minutes, device=device)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; the exit code: 0, or 2 after an error that is told."""
    given = _parser().parse_args(words)
    try:
        given.run(given)
    except StoryMemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m storymem_core.training.a14b_lora", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, told: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=told)
        found.set_defaults(run=run)
        return found

    command("memory", lambda given: print(table()), "how much memory it takes of each GPU")
    curate = command("curate", _curate, "find clips and groups in a folder of videos")
    curate.add_argument("--length", type=int, default=81, help="frames of a clip")
    curate.add_argument("--low", type=float, help="least cosine of clips that belong together")
    cache = command("cache", _cache, "encode the groups' latents and the captions")
    cache.add_argument("--size", type=int, nargs=2, default=(832, 480), metavar=("WIDTH", "HEIGHT"))
    lora = command("lora", _lora, "train an expert's adapter, or go on with it")
    lora.add_argument("--expert", choices=sorted(SPANS), required=True)
    lora.add_argument(
        "--blocks", type=_positive(int), help="only the first so many, to try whether all works"
    )
    lora.add_argument("--steps", type=_positive(int), default=RECIPE.schedule.steps, metavar="N")
    lora.add_argument("--lr", type=_positive(float), default=RECIPE.schedule.lr, help="peak learning rate")
    lora.add_argument(
        "--memory",
        type=int,
        choices=range(1, RECIPE.memory + 1),
        default=RECIPE.memory,
        metavar="M",
        help="most memory frames of a step; fewer take less of a GPU's memory",
    )
    lora.add_argument("--minutes", type=float, help="stop after so many; the same command goes on")
    export_ = command("export", _export, "write the trained adapters as LoRA files")
    for one in (curate, cache):
        one.add_argument("--videos", type=Path, required=True)
    for one in (cache, lora):
        one.add_argument("--model", type=Path, required=True, help="Wan2.2-I2V-A14B in diffusers' layout")
        one.add_argument("--device", default="", help="cpu, or empty for a GPU")
    for one in (curate, cache, lora, export_):
        one.add_argument("--out", type=Path, required=True, help="where all of it is kept")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"  # argparse names it where it refuses a value
    return number


def _curate(given: argparse.Namespace) -> None:
    curation.curate(given.videos, given.out, length=given.length, low=given.low)


def _cache(given: argparse.Namespace) -> None:
    device = given.device or "cuda"
    a14b.cache_text(_captions(given.out).values(), given.model, given.out / "text", device=device)
    vae = a14b.load_vae(given.model).to(device)
    group_latents.cache_latents(
        curation.load(given.out), given.videos, given.out / "latents", vae, size=tuple(given.size)
    )


def _lora(given: argparse.Namespace) -> None:
    data = GroupLatents(given.out / "latents", _captions(given.out), given.out / "text")
    model = a14b.load_expert(given.model, given.expert, blocks=given.blocks)
    schedule = replace(RECIPE.schedule, steps=given.steps, lr=given.lr)
    recipe = replace(RECIPE, schedule=schedule, memory=given.memory)
    stage = MemoryLora(model, data, given.expert, data.latent_frames, recipe)
    # A try on a few blocks is no beginning of the whole: their checkpoints must never meet.
    folder = "lora" if given.blocks is None else f"lora_of_{given.blocks}_blocks"
    try:
        result = train(stage, given.out / folder, minutes=given.minutes, device=given.device)
    except torch.OutOfMemoryError as error:
        raise StoryMemError(
            f"the GPU's memory is full: {str(error).splitlines()[0]}",
            value=f"--memory {given.memory}",
            remedy=f"Give a smaller --memory, and move {given.out / folder / given.expert} away if it is "
            "there; or share the model between more GPUs. The command `memory` prints what each takes.",
        ) from error
    print(f"{result.step} steps{'' if result.finished else ': the same command goes on from here'}")


def _export(given: argparse.Namespace) -> None:
    """Those that are there, as far as they are trained: `out`/memory_{expert}_noise[_comfyui].safetensors."""
    trained = [expert for expert in SPANS if (given.out / "lora" / expert).is_dir()]
    for expert in trained or SPANS:
        adapter = checkpoints.averages(given.out / "lora" / expert)
        settings = LoraSettings(RECIPE.rank, RECIPE.alpha, expert, spacing=RECIPE.spacing)
        peft, host = (given.out / f"memory_{expert}_noise{layout}.safetensors" for layout in ("", "_comfyui"))
        print(*weight_files.write_lora(peft, host, adapter, settings), sep="\n")


def _captions(out: Path) -> dict[str, str]:
    captions = curation.captions(out)
    if not captions:
        raise StoryMemError(
            "no clips are here yet", value=str(out), remedy="Run the curation of your videos first."
        )
    return captions


if __name__ == "__main__":
    sys.exit(main())
