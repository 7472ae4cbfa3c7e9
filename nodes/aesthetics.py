"""The aesthetic filter: keeps spoiled frames out of the memory."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.keyframes import aesthetics
from ..storymem_core.keyframes.filter import create, passing
from .common import CATEGORY, FilterSocket, named_errors
from .preview import images_preview


class StoryMemAestheticFilter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemAestheticFilter",
            display_name="Aesthetic Filter",
            category=CATEGORY,
            description="Scores frames and keeps the good ones. Connect it to the filter input of Keyframe Select "
            "or Story Loop, or use it on its own to filter an IMAGE batch.",
            search_aliases=["quality", "sharpness", "blur", "score", "hpsv3"],
            inputs=[
                io.Combo.Input(
                    "scorer",
                    options=list(aesthetics.NAMES),
                    tooltip="How frames are scored. technical-quality measures sharpness, exposure and contrast, "
                    "and needs no download.",
                ),
                io.Float.Input(
                    "min_score",
                    default=0.0,
                    min=0.0,
                    max=aesthetics.HIGHEST,
                    step=0.05,
                    tooltip="Frames that score lower never enter the memory. technical-quality scores from 0 to "
                    "1. 0 uses the scorer's own threshold.",
                ),
                io.Image.Input("images", optional=True, tooltip="Frames to filter with this node directly."),
            ],
            outputs=[
                FilterSocket.Output(
                    display_name="filter", tooltip="Connect to Keyframe Select or Story Loop."
                ),
                io.Image.Output(
                    display_name="images",
                    tooltip="The frames that pass the filter; empty if no images are connected.",
                ),
                io.String.Output(display_name="report", tooltip="The score of each frame."),
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, scorer, min_score, images=None) -> io.NodeOutput:
        chosen = create(scorer, min_score)
        if images is None:
            return io.NodeOutput(chosen, None, chosen.summary, ui=ui.PreviewText(chosen.summary))
        passed, report = passing(chosen, images)
        return io.NodeOutput(chosen, passed, report, ui=images_preview(passed, cls))


NODES = [StoryMemAestheticFilter]
