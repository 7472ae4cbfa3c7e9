"""The film of a story."""

from __future__ import annotations

from comfy_api.latest import InputImpl, io

from ..storymem_core.film import publish
from ..storymem_core.host import files, graph
from .common import CATEGORY, StorySocket, colour_match_input, film_inputs, named_errors


class StoryMemShotStitch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemShotStitch",
            display_name="Shot Stitch",
            category=CATEGORY,
            description="Joins a story's shots, read from disk, into one MP4. Repeated start frames are dropped; "
            "joins are hard cuts or cross-fades. Also writes the contact sheet and story.json. The film and the "
            "contact sheet contain the workflow.",
            search_aliases=["concat", "combine video", "film", "save video"],
            inputs=[
                StorySocket.Input("story", tooltip="The story so far, from Story Shot."),
                *film_inputs(),
                colour_match_input(),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The film, for Save Video and other nodes."),
                io.String.Output(display_name="path", tooltip="Path of film.mp4."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    @named_errors
    def execute(cls, story, fps, crossfade, colour_match=0) -> io.NodeOutput:
        told = graph.to_save(cls.hidden.prompt, cls.hidden.extra_pnginfo)
        film = publish.publish(story, fps=fps, crossfade=crossfade, colour_match=colour_match, graph=told)
        video = InputImpl.VideoFromFile(str(files.lasting(film)))
        return io.NodeOutput(video, str(film), ui=files.preview(film, animated=True))

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The folder on disk, not the host's cache, knows whether the film is there.
        return float("nan")


NODES = [StoryMemShotStitch]
