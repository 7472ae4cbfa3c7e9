"""A memory on a picture, and edits of it by hand."""

from __future__ import annotations

from comfy_api.latest import io

from ..storymem_core.keyframes import embedders
from ..storymem_core.keyframes.remember import as_bank, with_references
from ..storymem_core.memory.edits import edited, parse
from ..storymem_core.memory.frame import CROP
from ..storymem_core.memory.references import names_of_images
from ..storymem_core.sheets import memory_sheet
from ..storymem_core.store.project import shot_ids
from .common import CATEGORY, EmbedderSocket, MemorySocket, StorySocket, fit_input, named_errors
from .preview import images_preview, picture


class StoryMemMemoryPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemMemoryPreview",
            display_name="Memory Preview",
            category=CATEGORY,
            description="Shows a memory as one image: each frame with its number for edits, its state (sink, "
            "window or pinned), its origin, age and score, and the frame it is most similar to.",
            search_aliases=["memory", "contact sheet", "bank", "keyframes", "preview"],
            inputs=[
                MemorySocket.Input("memory", tooltip="The memory from a bank, an edit or a shot."),
                StorySocket.Input(
                    "story",
                    optional=True,
                    tooltip="The story the memory belongs to. If connected, shots are shown by number.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The preview image, 1720 pixels wide.")],
            is_output_node=True,
        )

    @classmethod
    @named_errors
    def execute(cls, memory, story=None) -> io.NodeOutput:
        sheet = picture(memory_sheet.draw(as_bank(memory), () if story is None else shot_ids(story)))
        return io.NodeOutput(sheet, ui=images_preview(sheet, cls))


class StoryMemMemoryEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemMemoryEdit",
            display_name="Memory Edit",
            category=CATEGORY,
            description="Edits a memory by hand: pin, unpin, drop, restore, move, cap per shot, add images. The "
            "input memory is not changed.",
            search_aliases=["pin", "drop", "reorder", "memory edit", "keyframes"],
            inputs=[
                MemorySocket.Input("memory", tooltip="The memory to edit, from a bank or a shot."),
                io.String.Input(
                    "edits",
                    multiline=True,
                    default="",
                    tooltip="One edit per line: pin 2, hero · unpin 2 · drop 4 · restore 9 · move 5 to 1 · cap 2. "
                    "The numbers are those shown by Memory Preview.",
                ),
                io.Image.Input(
                    "images", optional=True, tooltip="Images to add as the newest frames of the window."
                ),
                io.String.Input(
                    "name",
                    default="",
                    optional=True,
                    tooltip="Name for the added images, such as hero.",
                ),
                EmbedderSocket.Input(
                    "embedder",
                    optional=True,
                    tooltip="Measures how similar two frames are. Use the same one as the memory.",
                ),
                fit_input(),
            ],
            outputs=[MemorySocket.Output(display_name="memory", tooltip="The memory after the edits.")],
        )

    @classmethod
    @named_errors
    def execute(cls, memory, edits, images=None, name="", embedder=None, fit=CROP) -> io.NodeOutput:
        bank = edited(as_bank(memory), parse(edits))
        if images is not None:
            names = names_of_images(name, [len(images)])
            bank = with_references(bank, images, embedder or embedders.default(), names, fit)
        return io.NodeOutput(bank, ui=images_preview(picture(memory_sheet.draw(bank)), cls))


NODES = [StoryMemMemoryPreview, StoryMemMemoryEdit]
