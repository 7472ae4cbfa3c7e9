"""The conditioning of one shot."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.host import conditioning
from ..storymem_core.script.plan import mode
from .common import CATEGORY, end_image_input, named_errors, size_inputs


class StoryMemShotConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemShotConditioning",
            display_name="Shot Conditioning",
            category=CATEGORY,
            description="Conditions a shot on how it starts: a hard cut (no start frames; grey frames are encoded "
            "and nothing is masked as known), the last frame of the previous shot (MI2V), or its last five "
            "(MM2V).",
            search_aliases=["i2v", "image to video", "mi2v", "mm2v", "start image", "first frame"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="The shot's prompt."),
                io.Conditioning.Input("negative", tooltip="What the shot should not show."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
                *size_inputs(),
                io.Image.Input(
                    "start_frames",
                    optional=True,
                    tooltip="None for a cut, 1 frame for MI2V, 4k+1 frames (5, 9, 13) for MM2V. Frames of another "
                    "size are scaled and cropped at the centre.",
                ),
                end_image_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive", tooltip="The prompt with the shot's start frames."
                ),
                io.Conditioning.Output(
                    display_name="negative", tooltip="The negative prompt with the shot's start frames."
                ),
                io.Latent.Output(
                    display_name="latent", tooltip="An empty latent of the shot's size, for the sampler."
                ),
            ],
        )

    @classmethod
    @named_errors
    def execute(
        cls, positive, negative, vae, width, height, length, start_frames=None, end_image=None
    ) -> io.NodeOutput:
        size = {"width": width, "height": height, "length": length}
        end = None if end_image is None else end_image[:1]
        shot = conditioning.condition_shot(positive, negative, vae, start_frames, **size, end=end)
        told = _summary(start_frames, end_image, length, shot.latent["samples"])
        return io.NodeOutput(*shot, ui=ui.PreviewText(told))


def _summary(start_frames, end_image, length, latent) -> str:
    known = 0 if start_frames is None else len(start_frames)
    begin = f"continues from {known} frame{'s' if known > 1 else ''}" if known else "starts with a cut"
    end = "" if end_image is None else ", ends on an image"
    return f"{mode(not known, known)}: {length} frames, {begin}{end}; latent {tuple(latent.shape)}"


NODES = [StoryMemShotConditioning]
