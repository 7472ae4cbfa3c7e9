"""The small text encoder as a CLIP."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.host import files
from ..storymem_core.host.text_encoder import load
from .common import CATEGORY, named_errors


class StoryMemTextEncoderLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemTextEncoderLoader",
            display_name="Load Small Text Encoder",
            category=CATEGORY,
            description="Loads a small text encoder with Wan's text width (4096) as a CLIP, for StoryMem's small "
            "models. For Wan2.2 itself use Load CLIP with umt5-xxl and type wan.",
            search_aliases=["clip", "small clip", "tiny text encoder"],
            inputs=[
                io.Combo.Input(
                    "text_encoder",
                    options=files.names("text_encoders"),
                    tooltip="A small StoryMem text encoder in models/text_encoders.",
                )
            ],
            outputs=[
                io.Clip.Output(
                    display_name="clip", tooltip="Text encoder for CLIP Text Encode and Story Loop."
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, text_encoder: str) -> io.NodeOutput:
        clip = load(files.path("text_encoders", text_encoder))
        size = sum(weight.numel() for weight in clip.cond_stage_model.parameters()) / 1e6
        return io.NodeOutput(clip, ui=ui.PreviewText(f"{text_encoder}: {size:.1f} million parameters"))


NODES = [StoryMemTextEncoderLoader]
