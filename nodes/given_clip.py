"""A given clip as a story's first shot."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..storymem_core.host import files
from ..storymem_core.making import chain, given_clip
from .common import (
    CATEGORY,
    EmbedderSocket,
    FilterSocket,
    MemorySocket,
    StorySocket,
    fit_input,
    named_errors,
    size_inputs,
)
from .preview import frames_preview


class StoryMemGivenClip(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemGivenClip",
            display_name="Given Clip",
            category=CATEGORY,
            description="Uses your own clip as the first shot of a story. The film starts with it, its keyframes "
            "become the first memory, and the script can continue from its last frames.",
            search_aliases=["extend video", "continue video", "video to video", "v2v", "first shot"],
            inputs=[
                io.Image.Input(
                    "images", tooltip="Frames of the clip, from Get Video Components or any other IMAGE batch."
                ),
                io.String.Input(
                    "project",
                    default="story",
                    tooltip="The story's folder inside the output folder. The loop that follows uses the same folder.",
                ),
                *size_inputs()[:2],
                io.Float.Input(
                    "clip_fps",
                    default=16.0,
                    min=1.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Frame rate of the clip: the fps output of Get Video Components.",
                ),
                io.Float.Input(
                    "fps",
                    default=16.0,
                    min=1.0,
                    max=120.0,
                    step=1.0,
                    tooltip="Frame rate of the film. Frames are left out or repeated so that the clip keeps its speed.",
                ),
                io.Int.Input(
                    "keyframes",
                    default=3,
                    min=1,
                    max=10,
                    tooltip="Maximum number of frames of the clip that enter the memory.",
                ),
                fit_input(),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="What the clip shows, for the contact sheet and story.json.",
                ),
                MemorySocket.Input(
                    "memory",
                    optional=True,
                    tooltip="The memory before the clip, for example reference images. Leave unconnected to start "
                    "with an empty one.",
                ),
                EmbedderSocket.Input("embedder", optional=True, tooltip="Measures how similar two frames are."),
                FilterSocket.Input(
                    "filter", optional=True, tooltip="Keeps bad frames out of the memory. Leave unconnected to "
                    "allow all frames."
                ),
            ],
            outputs=[
                StorySocket.Output(
                    display_name="story", tooltip="The story so far, for Story Loop, Story Loop Open or Story Shot."
                ),
                MemorySocket.Output(display_name="memory", tooltip="The memory after the clip."),
            ],
        )  # fmt: skip

    @classmethod
    @named_errors
    def execute(cls, images, **inputs: Any) -> io.NodeOutput:
        story = given_clip.add_clip(files.output_root(), images, **inputs)
        return io.NodeOutput(story, story.memory(), ui=frames_preview(chain.glimpse(story), cls))

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The project's folder, not the host's cache, is the memory of a story: look there each time.
        return float("nan")


NODES = [StoryMemGivenClip]
