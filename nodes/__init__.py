"""The nodes: a schema and one call into the core each. A file per topic, each ending in a list NODES."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from ..storymem_core.host import weights
from . import (
    aesthetics,
    conditioning,
    export,
    film,
    given_clip,
    keyframes,
    lora,
    memory,
    memory_edits,
    own_loop,
    project,
    sampling,
    script,
    small_world,
    story,
    text_encoder,
)


class StoryMemExtension(ComfyExtension):
    async def on_load(self) -> None:
        weights.offer()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        topics = (
            script, memory, memory_edits, keyframes, aesthetics, text_encoder, lora, conditioning, sampling, film,
            story, own_loop, given_clip, export, project, small_world,
        )  # fmt: skip
        return [node for topic in topics for node in topic.NODES]
