"""Refusals: what a node says to bad input, and the good input that a test spoils."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from node_calls import SIZE, SMALL, Pixels, call, prompts

STORY = {"story_name": "Ink", "scenes": [{"video_prompts": ["A desk.", "A pen."], "cut": [True, False]}]}
APPLY, SAMPLER, SHOT, LOOP = "StoryMemApplyMemory", "StoryMemM2VSampler", "StoryMemShot", "StoryMemStoryLoop"
STORIES = (SHOT, LOOP)
SIZED = ("StoryMemShotConditioning", SAMPLER, *STORIES)


def good(node: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Input that the node takes."""
    experts = {name: parts[name] for name in ("high_noise_model", "low_noise_model")}
    vae = {"vae": parts["vae"]}
    if node == "StoryMemShotConditioning":
        return {**prompts(parts), **vae, **SIZE}
    if node == SAMPLER:
        return {**experts, **prompts(parts), **vae, **SMALL}
    story = {**experts, **vae, **SMALL, "clip": parts["clip"], "embedder": Pixels()}
    if node == SHOT:
        return {**story, "prompt": "A desk.", "project": "Ink"}
    return {**story, "script": script(STORY)}


def script(document: Any) -> Any:
    """What the Script node makes of a text, or of a document as JSON."""
    return call("StoryMemScript", text=document if isinstance(document, str) else json.dumps(document))[0]


def apply_memory(parts: Mapping[str, Any], memory: Any) -> dict[str, Any]:
    """Input of Apply Memory."""
    latent = {"samples": torch.zeros(1, 16, 2, 4, 4)}
    return {"model": parts["high_noise_model"], "vae": parts["vae"], "memory": memory, "latent": latent}


def refused(node: str, inputs: Mapping[str, Any], says: str, value: object) -> str:
    """Check that a node refuses its input by one line that names node, problem, value and remedy.

    Args:
        says: pattern of the problem.
        value: the offending value.

    Returns:
        The message.
    """
    with pytest.raises(ValueError) as caught:
        call(node, **inputs)
    message = str(caught.value)
    assert type(caught.value).__name__ == "StoryMemError", message
    assert message.startswith((f"{node}: ", f"{node}, shot "))
    assert re.search(says, message), message
    assert f" (got {value!r}). " in message, message
    assert re.search(r"\)\. [A-Z].{7,}\.$", message), "no remedy"
    assert "\n" not in message
    return message
