"""The story script as a node."""

from __future__ import annotations

from textwrap import shorten

from comfy_api.latest import io, ui

from ..storymem_core.script import script
from .common import CATEGORY, ScriptSocket, named_errors

EXAMPLE = """# A fox goes home

A small red fox with a blue scarf wakes up in a snowy forest at dawn. Wide shot, still camera.

[continue] The red fox with the blue scarf stretches and trots off between the trees. Camera follows slowly.

---

[cut] The red fox with the blue scarf looks over a frozen lake at noon. Close-up."""


class StoryMemScript(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemScript",
            display_name="Story Script",
            category=CATEGORY,
            description="Reads a story script: ST-Bench JSON, JSON5, or plain text with one shot per paragraph. "
            "In plain text, '---' starts a scene, [cut] or [continue] says how a shot starts, and '@Name: looks' "
            "before the first shot describes a character. All errors are reported at once.",
            search_aliases=["story", "storyboard", "shots", "screenplay"],
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default=EXAMPLE,
                    dynamic_prompts=False,
                    tooltip="The story script. Memory carries no text: describe the characters' looks in every "
                    "shot, or once as '@Name: looks'.",
                )
            ],
            outputs=[
                ScriptSocket.Output(display_name="script", tooltip="The script, for Story Loop."),
                io.String.Output(display_name="name", tooltip="The story's name, from its title."),
                io.Int.Output(display_name="shots", tooltip="How many shots the story has."),
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, text: str) -> io.NodeOutput:
        story = script.parse(text)
        return io.NodeOutput(story, story.name, len(story.shots), ui=ui.PreviewText(_summary(story)))


def _summary(story: script.Script) -> str:
    lines = [
        f"{number}. scene {shot.scene}, {'cut' if shot.cut else 'continued'}: "
        f"{shorten(script.full_prompt(story, shot), 240)}"
        for number, shot in enumerate(story.shots, 1)
    ]
    return "\n".join([f"{story.name}: {len(story.shots)} shots", *lines])


NODES = [StoryMemScript]
