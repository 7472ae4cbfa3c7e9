"""The film for other programs."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..storymem_core.film import export, sound
from ..storymem_core.host import files
from .common import CATEGORY, StorySocket, colour_match_input, film_inputs, named_errors


class StoryMemFilmExport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemFilmExport",
            display_name="Film Export",
            category=CATEGORY,
            description="Exports a story from its stored shots for use in other programs: the film and each shot "
            "as H.264, ProRes or PNG, an OpenTimelineIO file for editing programs, and an audio track under the "
            "film.",
            search_aliases=["prores", "png sequence", "otio", "timeline", "edit", "audio", "music"],
            inputs=[
                StorySocket.Input("story", tooltip="The story so far, from Story Loop or Story Shot."),
                io.Combo.Input(
                    "format",
                    options=list(export.FORMATS),
                    default="prores",
                    tooltip="h264: MP4. prores: ProRes 422 HQ in MOV, 10 bit, for editing. png: lossless image sequence.",
                ),
                *film_inputs(),
                colour_match_input(),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="Audio for the whole film, from Load Audio. It starts with the film and is cut off at "
                    "the film's end.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="path", tooltip="Path of the film: its file, or the folder of its images."
                )
            ],
            is_output_node=True,
        )

    @classmethod
    @named_errors
    def execute(cls, story, format, fps, crossfade, colour_match=0, audio=None) -> io.NodeOutput:
        heard = None if audio is None else sound.from_host(audio)
        settings = {"fps": fps, "crossfade": crossfade, "colour_match": colour_match}
        film = export.film_path(export.export(story, format, **settings, sound=heard))
        shown = files.preview(film, animated=True) if format == "h264" else ui.PreviewText(str(film))
        return io.NodeOutput(str(film), ui=shown)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The folder on disk, not the host's cache, knows whether the export is there.
        return float("nan")


NODES = [StoryMemFilmExport]
