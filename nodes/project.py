"""A story's folder: looked into, its takes chosen, its shots kept or locked."""

from __future__ import annotations

from comfy_api.latest import io

from ..storymem_core.host import files
from ..storymem_core.keyframes.remember import as_images
from ..storymem_core.making.draft import project_name
from ..storymem_core.store import story_project
from .common import CATEGORY, ScriptSocket, StorySocket, named_errors
from .preview import images_preview


class StoryMemStoryProject(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryProject",
            display_name="Story Project",
            category=CATEGORY,
            description="Opens a story's folder: shows each shot with its takes and what of it is stale, chooses takes, keeps "
            "or locks shots. What is chosen lies in the folder, and every run honours it. Put it before the Story Loop.",
            search_aliases=["take", "re-roll", "lock", "resume", "stale", "project"],
            inputs=[
                io.String.Input(
                    "project", default="story", tooltip="The story's folder below the output folder."
                ),
                io.Combo.Input(
                    "action",
                    options=["look", *story_project.ACTIONS],
                    default="look",
                    tooltip="look changes nothing. take: another take of a shot; one that is not there is made by the next run. "
                    "keep: a shot stays though its memory changes. redo: it is made again where it is stale. "
                    "lock: it stays whatever changes, until unlock.",
                ),
                io.String.Input(
                    "shot",
                    default="",
                    tooltip="Which shots: a number as on the sheet, an id, a range like 2-4, several with commas, or all. With look: which of them the sheet shows; empty shows all.",
                ),
                io.Int.Input(
                    "take",
                    default=1,
                    min=1,
                    max=9999,
                    tooltip="The take, for the action take. 1 is the script's own seed. Asking for it twice makes it once.",
                ),
                io.Boolean.Input(
                    "draft", default=False, optional=True, tooltip="Open the project's draft, not its film."
                ),
            ],
            outputs=[
                io.String.Output(display_name="project", tooltip="The folder's name, for the Story Loop."),
                StorySocket.Output(
                    display_name="story", tooltip="The shots that are there, for a Shot Stitch at any time."
                ),
                ScriptSocket.Output(
                    display_name="script", tooltip="The script that was told last, to go on without its text."
                ),
                io.String.Output(
                    display_name="report", tooltip="A line per shot: take, kept or locked, stale."
                ),
                io.Image.Output(display_name="takes", tooltip="A frame of each take, a row per shot."),
            ],
            is_output_node=True,
        )

    @classmethod
    @named_errors
    def execute(cls, project, action, shot, take, draft=False) -> io.NodeOutput:
        seen = story_project.use(files.output_root(), project_name(project, draft), action, shot, take)
        sheet = as_images(seen.sheet[None])
        shown = {**images_preview(sheet, cls), "text": (seen.report,)}
        return io.NodeOutput(project, seen.story, seen.script, seen.report, sheet, ui=shown)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # What lies in the folder changes without the graph.
        return float("nan")


NODES = [StoryMemStoryProject]
