"""Keyframes: which frames of a shot tell most, and the memory after it."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.frames.pixels import quantise
from ..storymem_core.host.clip_vision import embedder as clip_vision_embedder
from ..storymem_core.keyframes import embedders
from ..storymem_core.keyframes.remember import as_bank, remember
from .common import CATEGORY, EmbedderSocket, FilterSocket, MemorySocket, named_errors
from .preview import frames_preview


class StoryMemEmbedderLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemEmbedderLoader",
            display_name="Load Frame Embedder",
            category=CATEGORY,
            description="Loads an embedder, which measures how similar two frames are. Each embedder has its own "
            "calibrated threshold.",
            search_aliases=["clip", "similarity", "open_clip", "efficientnet"],
            inputs=[
                io.Combo.Input(
                    "embedder",
                    options=list(embedders.NAMES),
                    tooltip="efficientnet-lite0 needs no download. open_clip is the paper's ViT-B/32. first frame "
                    "only compares nothing and keeps the first frame of each shot.",
                ),
                io.String.Input(
                    "pretrained",
                    default="openai",
                    optional=True,
                    tooltip="For open_clip: a tag such as openai, or the path of a local checkpoint.",
                ),
            ],
            outputs=[
                EmbedderSocket.Output(
                    display_name="embedder", tooltip="Connect to Keyframe Select, Memory Bank or Story Loop."
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, embedder, pretrained="openai") -> io.NodeOutput:
        loaded = embedders.OpenClip(pretrained) if embedder == "open_clip" else embedders.get(embedder)
        return io.NodeOutput(
            loaded, ui=ui.PreviewText(f"{loaded.name}: similar above {loaded.threshold:.2f}")
        )


class StoryMemClipVisionEmbedder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemClipVisionEmbedder",
            display_name="CLIP Vision as Embedder",
            category=CATEGORY,
            description="Uses a CLIP_VISION model from Load CLIP Vision (CLIP, SigLIP or DINO) to measure how "
            "similar two frames are. The threshold is calibrated on your own images.",
            search_aliases=["clip vision", "embedder", "similarity", "siglip", "dino"],
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip="The vision model, from Load CLIP Vision."),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Frames more similar than this count as the same view. 0 calibrates it on images, or "
                    "uses 0.90 for ViT-B/32 if no images are connected.",
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="At least four images to calibrate the threshold on, each of a different place and "
                    "similar to your films.",
                ),
            ],
            outputs=[
                EmbedderSocket.Output(
                    display_name="embedder", tooltip="Connect to Keyframe Select, Memory Bank or Story Loop."
                ),
                io.Float.Output(
                    display_name="threshold",
                    tooltip="The threshold in use. Note it down and enter it next time.",
                ),
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, clip_vision, threshold, images=None) -> io.NodeOutput:
        chosen, source = clip_vision_embedder(clip_vision, threshold, images)
        told = f"{chosen.name}: similar above {chosen.threshold:.2f}, {source}"
        return io.NodeOutput(chosen, chosen.threshold, ui=ui.PreviewText(told))


class StoryMemKeyframeSelect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemKeyframeSelect",
            display_name="Keyframe Select",
            category=CATEGORY,
            description="Picks the most informative frames of a shot (different enough from the last one kept, "
            "and good enough) and outputs the memory after the shot.",
            search_aliases=["keyframes", "memory update", "frame selection"],
            inputs=[
                io.Image.Input("images", tooltip="The shot's decoded frames."),
                io.Int.Input(
                    "limit", default=3, min=1, max=100, tooltip="Maximum number of keyframes of the shot."
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Frames more similar than this count as the same. 0 uses the embedder's calibrated value.",
                ),
                io.String.Input(
                    "shot",
                    default="shot",
                    optional=True,
                    tooltip="Name of the shot, stored with each frame.",
                ),
                MemorySocket.Input(
                    "memory",
                    optional=True,
                    tooltip="The memory that the shot was generated with. Leave unconnected if it had none.",
                ),
                EmbedderSocket.Input(
                    "embedder", optional=True, tooltip="Measures how similar two frames are."
                ),
                FilterSocket.Input(
                    "filter",
                    optional=True,
                    tooltip="Keeps bad frames out of the memory. Leave unconnected to allow all frames.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="keyframes", tooltip="The frames that enter the memory."),
                MemorySocket.Output(display_name="memory", tooltip="The memory after this shot."),
                io.String.Output(
                    display_name="report", tooltip="Which frames were kept, and which were rejected and why."
                ),
            ],
        )

    @classmethod
    @named_errors
    def execute(
        cls, images, limit, threshold, shot="shot", memory=None, embedder=None, filter=None
    ) -> io.NodeOutput:
        result = remember(
            as_bank(memory), quantise(images.cpu()[..., :3]), embedder or embedders.default(), filter,
            shot=shot, limit=limit, threshold=threshold or None,
        )  # fmt: skip
        kept = images[[frame.origin.frame for frame in result.kept]]
        shown = frames_preview([frame.pixels for frame in result.kept], cls)
        return io.NodeOutput(kept, result.bank, result.report, ui=shown)


NODES = [StoryMemEmbedderLoader, StoryMemClipVisionEmbedder, StoryMemKeyframeSelect]
