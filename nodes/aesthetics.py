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
            description="Scores frames and keeps the good ones. Give it to Keyframe Select or the Story Loop as a filter, "
            "or let it filter an IMAGE batch by itself.",
            search_aliases=["quality", "sharpness", "blur", "score", "hpsv3"],
            inputs=[
                io.Combo.Input(
                    "scorer",
                    options=list(aesthetics.NAMES),
                    tooltip="How a frame is scored. technical-quality needs no download: sharpness, exposure, contrast.",
                ),
                io.Float.Input(
                    "min_score",
                    default=0.0,
                    min=0.0,
                    max=aesthetics.HIGHEST,
                    step=0.05,
                    tooltip="Frames below it never enter the memory. technical-quality scores from 0 to 1. "
                    "0: the scorer's own threshold.",
                ),
                io.Image.Input("images", optional=True, tooltip="Frames to filter here and now."),
            ],
            outputs=[
                FilterSocket.Output(display_name="filter", tooltip="For Keyframe Select or the Story Loop."),
                io.Image.Output(
                    display_name="images", tooltip="The frames that pass; nothing without frames."
                ),
                io.String.Output(display_name="report", tooltip="Each frame's score."),
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
