"""A story's folder: looked into, its takes chosen, its shots kept or locked."""

from __future__ import annotations

from comfy_api.latest import io

from ..storymem_core.frames.pixels import as_images
from ..storymem_core.host import files
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
            description="Opens a story's folder: shows each shot with its takes and marks stale shots, chooses "
            "takes, keeps or locks shots. Your choices are saved in the folder and every run follows them. Put it "
            "before Story Loop.",
            search_aliases=["take", "re-roll", "lock", "resume", "stale", "project"],
            inputs=[
                io.String.Input(
                    "project", default="story", tooltip="The story's folder inside the output folder."
                ),
                io.Combo.Input(
                    "action",
                    options=["look", *story_project.ACTIONS],
                    default="look",
                    tooltip="look: change nothing. take: use another take of a shot; if it does not exist yet, "
                    "the next run makes it. keep: leave a shot as it is although its memory has changed. redo: "
                    "make it again if it is stale. lock: never change it, until unlock.",
                ),
                io.String.Input(
                    "shot",
                    default="",
                    tooltip="Which shots: a number as on the sheet, an id, a range such as 2-4, several separated "
                    "by commas, or all. With look: the shots to show on the sheet; empty shows the last 40.",
                ),
                io.Int.Input(
                    "take",
                    default=1,
                    min=1,
                    max=9999,
                    tooltip="The take number for the action take. Take 1 uses the script's own seed. Asking for "
                    "the same take twice makes it only once.",
                ),
                io.Boolean.Input(
                    "draft",
                    default=False,
                    optional=True,
                    tooltip="Open the project's draft instead of its film.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="project", tooltip="The name of the folder, for Story Loop."),
                StorySocket.Output(
                    display_name="story",
                    tooltip="The shots that exist so far, for a Shot Stitch at any time.",
                ),
                ScriptSocket.Output(
                    display_name="script",
                    tooltip="The script of the last run, so that you can continue without its text.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="One line per shot: its take, and whether it is kept, locked or stale.",
                ),
                io.Image.Output(display_name="takes", tooltip="One frame of each take, one row per shot."),
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
