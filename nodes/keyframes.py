"""Keyframes: which frames of a shot tell most, and the memory after it."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.host.clip_vision import embedder as clip_vision_embedder
from ..storymem_core.keyframes import embedders
from ..storymem_core.keyframes.remember import as_bank, remember
from ..storymem_core.memory.bank import quantise
from .common import CATEGORY, EmbedderSocket, FilterSocket, MemorySocket, named_errors
from .preview import frames_preview


class StoryMemEmbedderLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemEmbedderLoader",
            display_name="Load Frame Embedder",
            category=CATEGORY,
            description="Loads what measures the likeness of two frames. Each embedder has its own, calibrated threshold.",
            search_aliases=["clip", "similarity", "open_clip", "efficientnet"],
            inputs=[
                io.Combo.Input(
                    "embedder",
                    options=list(embedders.NAMES),
                    tooltip="efficientnet-lite0 needs no download; open_clip is the paper's ViT-B/32; first frame only measures "
                    "nothing and keeps each shot's first frame.",
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
                    display_name="embedder", tooltip="For Keyframe Select, Memory Bank, Story Loop."
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, embedder, pretrained="openai") -> io.NodeOutput:
        loaded = embedders.OpenClip(pretrained) if embedder == "open_clip" else embedders.get(embedder)
        return io.NodeOutput(loaded, ui=ui.PreviewText(f"{loaded.name}: alike above {loaded.threshold:.2f}"))


class StoryMemClipVisionEmbedder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemClipVisionEmbedder",
            display_name="CLIP Vision as Embedder",
            category=CATEGORY,
            description="Lets a CLIP_VISION of the host measure the likeness of frames: CLIP, SigLIP or DINO, as Load CLIP "
            "Vision gives it. Its threshold is found on pictures of your own.",
            search_aliases=["clip vision", "embedder", "similarity", "siglip", "dino"],
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip="The picture encoder, from Load CLIP Vision."),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Frames more alike than this show the same view. 0: found on images; 0.90 for ViT-B/32 without.",
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Four pictures or more, each of another place and like your films, to find the threshold on.",
                ),
            ],
            outputs=[
                EmbedderSocket.Output(
                    display_name="embedder", tooltip="For Keyframe Select, Memory Bank, Story Loop."
                ),
                io.Float.Output(
                    display_name="threshold", tooltip="The threshold, to note down and give next time."
                ),
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, clip_vision, threshold, images=None) -> io.NodeOutput:
        chosen, source = clip_vision_embedder(clip_vision, threshold, images)
        told = f"{chosen.name}: alike above {chosen.threshold:.2f}, {source}"
        return io.NodeOutput(chosen, chosen.threshold, ui=ui.PreviewText(told))


class StoryMemKeyframeSelect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemKeyframeSelect",
            display_name="Keyframe Select",
            category=CATEGORY,
            description="Picks the frames of a shot that tell most (unlike the one kept before, and good enough), and "
            "gives the memory as it stands after the shot.",
            search_aliases=["keyframes", "memory update", "frame selection"],
            inputs=[
                io.Image.Input("images", tooltip="The shot's decoded frames."),
                io.Int.Input("limit", default=3, min=1, max=100, tooltip="Most keyframes of one shot."),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Frames more alike than this count as the same. 0: the embedder's calibrated value.",
                ),
                io.String.Input(
                    "shot",
                    default="shot",
                    optional=True,
                    tooltip="The shot's name, kept with each frame.",
                ),
                MemorySocket.Input(
                    "memory", optional=True, tooltip="The bank that the shot saw; none for an empty one."
                ),
                EmbedderSocket.Input("embedder", optional=True, tooltip="How likeness is measured."),
                FilterSocket.Input(
                    "filter", optional=True, tooltip="Keeps spoiled frames out; none keeps all."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="keyframes", tooltip="The frames that enter the memory."),
                MemorySocket.Output(display_name="memory", tooltip="The bank after this shot."),
                io.String.Output(display_name="report", tooltip="What was kept, what was rejected and why."),
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
