"""What the page and the server are told of the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from node_calls import declared

REPOSITORY = Path(__file__).resolve().parents[2]
# Saved workflows name these ids.
IDS = (
    "StoryMemScript", "StoryMemMemoryBank", "StoryMemKeyframeSelect", "StoryMemAestheticFilter",
    "StoryMemEmbedderLoader", "StoryMemTextEncoderLoader", "StoryMemM2VLora", "StoryMemApplyMemory",
    "StoryMemShotConditioning", "StoryMemM2VSampler", "StoryMemShotStitch", "StoryMemShot",
    "StoryMemStoryLoop", "StoryMemMemoryEdit", "StoryMemMemoryPreview", "StoryMemClipVisionEmbedder",
    "StoryMemStoryProject",
    "StoryMemStoryLoopOpen", "StoryMemStoryLoopClose", "StoryMemStoryLoopShot", "StoryMemStoryLoopKeep",
    "StoryMemStoryLoopNext", "StoryMemGivenClip", "StoryMemFilmExport",
    "StoryMemSmallWorldHero",
)  # fmt: skip
SOCKETS = {
    "CLIP_VISION",
    "MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE", "VIDEO", "STORYMEM_SCRIPT", "STORYMEM_MEMORY",
    "STORYMEM_EMBEDDER", "STORYMEM_FILTER", "STORYMEM_STORY", "STORYMEM_LOOP", "AUDIO",
    "STORYMEM_MEMORY,IMAGE",
}  # fmt: skip
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


def test_the_pack_has_these_nodes_and_no_others(pack, small_models):
    module = f"custom_nodes.{REPOSITORY.name}"
    ours = {name for name, cls in pack.items() if getattr(cls, "RELATIVE_PYTHON_MODULE", "") == module}
    assert ours == set(IDS)
    assert {name for name in pack if name.startswith("StoryMem")} == set(IDS)


@pytest.mark.parametrize("node", IDS)
def test_a_node_explains_itself(pack, node):
    schema = pack[node].GET_SCHEMA()
    assert schema.category == "StoryMem"
    assert schema.display_name and len(schema.description) > 40
    for given in (*schema.inputs, *schema.outputs):
        assert given.tooltip and given.tooltip.rstrip().endswith("."), given
        assert len(given.tooltip) > 7
    assert all(output.display_name for output in schema.outputs)


@pytest.mark.parametrize("node", IDS)
def test_a_nodes_widgets_have_valid_defaults_and_ranges(pack, small_models, node):
    for name, (kind, options) in declared(node).items():
        if kind in SOCKETS or kind.startswith("COMFY_"):
            continue
        assert kind in WIDGETS, name
        if kind in ("INT", "FLOAT"):
            assert options["min"] <= options["default"] <= options["max"], name
        if kind == "INT":
            assert (options["default"] - options["min"]) % options.get("step", 1) == 0, name
        if name == "seed":  # a seed that moves by itself would make a stopped story anew
            assert options["control_after_generate"] == "fixed"
        if kind == "COMBO":
            assert options["options"], name
            assert options.get("default", options["options"][0]) in options["options"], name
        if kind in ("STRING", "BOOLEAN"):
            assert "default" in options, name


@pytest.mark.parametrize("node", IDS)
def test_only_sockets_that_may_stay_empty_are_optional(pack, node):
    needed = pack[node].INPUT_TYPES()["required"]
    assert {name for name, (kind, _) in needed.items() if kind in SOCKETS} == REQUIRED[node]


REQUIRED = {
    "StoryMemScript": set(),
    "StoryMemMemoryBank": set(),
    "StoryMemMemoryEdit": {"memory"},
    "StoryMemMemoryPreview": {"memory"},
    "StoryMemClipVisionEmbedder": {"clip_vision"},
    "StoryMemKeyframeSelect": {"images"},
    "StoryMemAestheticFilter": set(),
    "StoryMemEmbedderLoader": set(),
    "StoryMemTextEncoderLoader": set(),
    "StoryMemM2VLora": {"model"},
    "StoryMemApplyMemory": {"model", "vae", "memory", "latent"},
    "StoryMemShotConditioning": {"positive", "negative", "vae"},
    "StoryMemM2VSampler": {"high_noise_model", "low_noise_model", "positive", "negative", "vae"},
    "StoryMemShotStitch": {"story"},
    "StoryMemShot": {"high_noise_model", "low_noise_model", "clip", "vae"},
    "StoryMemStoryProject": set(),
    "StoryMemStoryLoop": {"script", "high_noise_model", "low_noise_model", "clip", "vae"},
    "StoryMemStoryLoopOpen": {"script"},
    "StoryMemStoryLoopClose": {"loop", "images"},
    "StoryMemStoryLoopShot": {"loop", "story"},
    "StoryMemStoryLoopKeep": {"loop", "story", "images"},
    "StoryMemStoryLoopNext": {"story"},
    "StoryMemGivenClip": {"images"},
    "StoryMemFilmExport": {"story"},
    "StoryMemSmallWorldHero": set(),
}


def test_widgets_of_one_name_have_one_meaning(pack):
    """The loop's widgets are handed to its shots: what the one takes the other must take."""
    loop, shot = declared("StoryMemStoryLoop"), declared("StoryMemShot")
    for name in loop.keys() & shot.keys() - {"project", "story"}:
        assert loop[name] == shot[name], name
    sampler = declared("StoryMemM2VSampler")
    widgets = {name for name in sampler.keys() & shot.keys() if sampler[name][0] in WIDGETS}
    assert len(widgets) == 12
    for name in widgets:
        assert sampler[name] == shot[name], name
