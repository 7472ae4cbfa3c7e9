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
            description="Shows a memory on one picture: each frame with its number for edits, sink, window or pinned, where "
            "it comes from, its age, its score and what it is most like.",
            search_aliases=["memory", "contact sheet", "bank", "keyframes", "preview"],
            inputs=[
                MemorySocket.Input("memory", tooltip="The memory of a bank, an edit or a shot."),
                StorySocket.Input(
                    "story", optional=True, tooltip="Its story: shots are then told by their numbers."
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The picture, 1720 pixels wide.")],
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
            description="Edits a memory by hand: pin, unpin, drop, restore, move, cap per shot, and add pictures. The "
            "memory that comes in stays as it is.",
            search_aliases=["pin", "drop", "reorder", "memory edit", "keyframes"],
            inputs=[
                MemorySocket.Input("memory", tooltip="The memory to edit, of a bank or of a shot."),
                io.String.Input(
                    "edits",
                    multiline=True,
                    default="",
                    tooltip="A line each: pin 2, hero · unpin 2 · drop 4 · restore 9 · move 5 to 1 · cap 2. Numbers "
                    "are those on the Memory Preview.",
                ),
                io.Image.Input(
                    "images", optional=True, tooltip="Pictures to add, as the newest frames of the window."
                ),
                io.String.Input(
                    "name",
                    default="",
                    optional=True,
                    tooltip="What the added pictures are called, such as hero.",
                ),
                EmbedderSocket.Input(
                    "embedder", optional=True, tooltip="How likeness is measured; that of the memory."
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
