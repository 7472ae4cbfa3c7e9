"""The M2V LoRA that teaches the model to read memory."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io, ui

from ..storymem_core.host import files
from ..storymem_core.host.lora import apply, named
from ..storymem_core.lora.files import Scaling
from .common import CATEGORY, named_errors


class StoryMemM2VLora(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemM2VLora",
            display_name="StoryMem M2V LoRA",
            category=CATEGORY,
            description="Applies the LoRA that reads memory to one expert, at the scale it was trained with. The "
            "released files are rank-stabilised (rsLoRA): loaded as a plain LoRA they act 11 times too weak.",
            search_aliases=["lora", "rslora", "peft", "mi2v", "mm2v"],
            inputs=[
                io.Model.Input("model", tooltip="The high-noise or the low-noise expert of Wan2.2 I2V."),
                io.Combo.Input(
                    "lora_name",
                    options=files.names("loras"),
                    tooltip="The LoRA file for this expert: backbone_high_noise or backbone_low_noise. Use MI2V "
                    "for an overlap of 1, MM2V for an overlap of 5.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="1 is the strength it was trained with; 0 leaves the model unchanged.",
                ),
                io.Combo.Input(
                    "scaling",
                    options=list(get_args(Scaling)),
                    default="auto",
                    advanced=True,
                    tooltip="How the scale follows from rank and alpha. auto reads it from the file and reports "
                    "why. If the file does not say, choose rslora (alpha / sqrt(rank)) or plain (alpha / rank).",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The expert with the LoRA applied."),
                io.String.Output(
                    display_name="report",
                    tooltip="The file layout, the scale and the reason for it, and how many keys matched.",
                ),
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, model, lora_name: str, strength: float, scaling: Scaling) -> io.NodeOutput:
        file = named(lora_name, scaling)
        applied = apply(model, file, strength)
        report = f"{lora_name}: {applied.matched} of {applied.total} layers matched\n{file.report.why}"
        return io.NodeOutput(applied.model, report, ui=ui.PreviewText(report))


NODES = [StoryMemM2VLora]
