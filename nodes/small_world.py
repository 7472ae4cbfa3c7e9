"""The small world's heroes as reference images."""

from __future__ import annotations

from comfy_api.latest import io

from ..storymem_core.frames.pixels import as_images
from ..storymem_core.small_world.clip import reference
from ..storymem_core.small_world.stories import unseen_cast
from .common import CATEGORY, named_errors
from .preview import frames_preview


class StoryMemSmallWorldHero(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemSmallWorldHero",
            display_name="Small World Hero",
            category=CATEGORY,
            description="Draws a hero of the small world on a plain background, as a reference image for the "
            "models that come with StoryMem. Each seed gives a different hero.",
            search_aliases=["character", "reference", "demo", "storymem"],
            inputs=[
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Sets the hero's colours, build, hat, pattern and face.",
                ),
                io.Int.Input(
                    "size",
                    default=64,
                    min=16,
                    max=1024,
                    step=16,
                    tooltip="Width and height in pixels. Use the film's size.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The hero, as a reference for Memory Bank.")
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, seed: int, size: int) -> io.NodeOutput:
        hero = reference(unseen_cast(seed).hero, size=size)
        return io.NodeOutput(as_images(hero[None]), ui=frames_preview([hero], cls))


NODES = [StoryMemSmallWorldHero]
