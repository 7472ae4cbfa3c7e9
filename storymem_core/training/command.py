"""`train`: the stages in their order, each going on where it stopped, in the time that is given."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..disk import read_json, write_json
from ..errors import StoryMemError
from .progress import watching
from .recipes import RECIPES, Recipe

STAGES = ("vae", "decoder", "base", "lora", "export")
"""Of `all`, in their order."""
NEEDED = {
    "vae": (), "decoder": ("vae",), "base": ("vae",), "lora": ("vae", "base"), "export": STAGES[:-1],
    "full": ("vae", "base"),
}  # fmt: skip
"""Every stage -> those that must be done before. `full` runs only when it is named."""
ALL = "all"
_RECORD = "training.json"
"""In the output folder: the size that is trained there, and which stages are done."""

Say = Callable[[str], None]
StageFunction = Callable[[Recipe, Path, "float | None"], bool]
"""A stage of a size in the output folder, for so many minutes at most: whether it is done to its end."""


def main(words: Sequence[str] | None = None) -> int:
    """The command line of `python -m storymem_core.training`; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m storymem_core.training", description=__doc__)
    parser.add_argument("stage", choices=(*NEEDED, ALL))
    parser.add_argument("recipe", metavar="SIZE", help=", ".join(sorted(RECIPES)))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where all of it is kept")
    parser.add_argument("--minutes", type=float, metavar="N", help="stop in time (default: never)")
    given = parser.parse_args(words)
    return train(given.stage, given.recipe, given.out, given.minutes, _print)


def train(stage: str, recipe: str, out: Path, minutes: float | None, say: Say) -> int:
    """Train one stage, or all, as far as the minutes go; the exit code: 0, or 2 after an error that is told.

    Args:
        stage: one of NEEDED, or "all".
        recipe: name of a size.
        out: a folder for this training alone; `out/models` becomes laid out like ComfyUI's models folder.
        minutes: in all; None for as long as it takes.
        say: told a line each.
    """
    try:
        _train(stage, recipe, out, minutes, say)
    except StoryMemError as error:
        say(f"error: {error}")
        return 2
    return 0


def _train(stage: str, recipe: str, out: Path, minutes: float | None, say: Say) -> None:
    began = time.monotonic()
    size = _recipe(recipe)
    if minutes is not None and not minutes > 0:
        remedy = "Leave --minutes out to train to the end."
        raise StoryMemError("a time in minutes is above 0", value=minutes, remedy=remedy)
    done = _done(out, recipe)
    _require_earlier(stage, done, out)
    functions = _functions()
    for name in STAGES if stage == ALL else (stage,):
        if name in done and stage == ALL:
            say(f"stage {name}: done before")
            continue
        left = None if minutes is None else minutes - (time.monotonic() - began) / 60
        say(f"stage {name} ...")
        with watching(out, say):
            finished = (left is None or left > 0) and functions[name](size, out, left)
        if not finished:
            say(f"stopped in stage {name}: nothing is lost, the same command goes on from here")
            return
        done = (*done, name)
        write_json(out / _RECORD, {"recipe": recipe, "done": sorted({*done}, key=[*NEEDED].index)})
    say(f"done: {out / 'models' if 'export' in done else out}")


def _functions() -> Mapping[str, StageFunction]:
    # Here: a mistyped size is told without waiting for torch and diffusers.
    from .base import train_base
    from .decoder import train_decoder
    from .export import export_models
    from .memory_lora import train_full, train_lora
    from .vae import train_vae

    return {
        "vae": train_vae, "decoder": train_decoder, "base": train_base, "lora": train_lora,
        "export": export_models, "full": train_full,
    }  # fmt: skip


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        remedy = f"Choose one of {', '.join(sorted(RECIPES))}."
        raise StoryMemError("there is no such size to train", value=name, remedy=remedy)
    return RECIPES[name]


def _done(out: Path, recipe: str) -> tuple[str, ...]:
    """The stages that are done in the folder, after making sure that it is one for this size."""
    record = read_json(out / _RECORD) or {"recipe": recipe, "done": []}
    if record["recipe"] != recipe:
        raise StoryMemError(
            f"the folder holds the training of another size: {record['recipe']}",
            value=f"{recipe} in {out}",
            remedy="Give another folder with --out, or the size that it was begun with.",
        )
    try:
        write_json(out / _RECORD, record)
    except OSError as error:
        raise StoryMemError(
            f"the output folder cannot be written: {error.strerror}",
            value=str(out),
            remedy="Give another folder with --out.",
        ) from error
    return tuple(record["done"])


def _require_earlier(stage: str, done: Sequence[str], out: Path) -> None:
    missing = [name for name in NEEDED.get(stage, ()) if name not in done]
    if missing:
        raise StoryMemError(
            f"the stage {stage} needs the stage {missing[0]}, which is not finished there",
            value=str(out),
            remedy=f"Train the stage {missing[0]} first, or all.",
        )


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
