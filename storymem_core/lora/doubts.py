"""What is suspicious about a LoRA's use: it runs, and does not do what its maker meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def warnings(
    report: Mapping[str, Any],
    *,
    expert: str | None = None,
    overlap: int | None = None,
    spacing: float | None = None,
) -> tuple[str, ...]:
    """What is suspicious about a file's use, for people; empty if nothing is.

    Args:
        report: the fields of a LoraReport, as the host's adapter notes them on a model.
        expert: "high" or "low", the model that it is applied to; None to leave this unchecked.
        overlap: start frames of a continued shot: 1 needs an MI2V file, 5 and more MM2V; None as above.
        spacing: S of the shot's memory; None as above.
    """
    found = []
    file, trained_for = report["file"], report["mode"]
    if expert and report["expert"] and report["expert"] != expert:
        found.append(f"{file} is for the {report['expert']}-noise expert, not for the {expert}-noise one")
    mode = {None: None, 1: "mi2v"}.get(overlap, "mm2v")
    if mode and trained_for and trained_for != mode:
        found.append(
            f"{file} was trained for {trained_for.upper()}; an overlap of {overlap} needs {mode.upper()}"
        )
    trained_with = report.get("spacing")
    if spacing is not None and trained_with is not None and trained_with != spacing:
        found.append(f"{file} was trained with a spacing of {trained_with:g}, but {spacing:g} is set")
    return tuple(found)


def missing(expert: str | None = None) -> str:
    """That a model has no M2V LoRA and sees memory, for people.

    Args:
        expert: "high" or "low"; None where it is not known.
    """
    model = f"the {expert}-noise model" if expert else "this model"
    loaded = f"StoryMem M2V LoRA has loaded no LoRA on {model}"
    return f"{loaded}: unless one is merged into it, it cannot read memory"
