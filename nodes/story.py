"""A whole story: one node per shot, and the loop that makes them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io, ui
from comfy_execution.graph_utils import GraphBuilder

from ..storymem_core.host import files
from ..storymem_core.lora.extra_lora import NONE
from ..storymem_core.making import chain
from ..storymem_core.making.draft import STEPS
from ..storymem_core.making.steps import Step
from ..storymem_core.memory.references import ALL
from ..storymem_core.sampling import T2V
from .common import (
    CATEGORY,
    EmbedderSocket,
    FilterSocket,
    MemorySocket,
    ScriptSocket,
    StorySocket,
    colour_match_input,
    end_image_input,
    film_inputs,
    named_errors,
    sampling_inputs,
    seed_input,
    size_inputs,
    spacing_input,
)
from .preview import frames_preview


def _model_inputs() -> list[io.Input]:
    return [
        io.Model.Input("high_noise_model", tooltip="The high-noise I2V expert with its M2V LoRA."),
        io.Model.Input("low_noise_model", tooltip="The low-noise I2V expert with its M2V LoRA."),
        io.Clip.Input("clip", tooltip="The text encoder: umt5-xxl with type wan, or the small one."),
        io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
    ]


def story_inputs() -> list[io.Input]:
    """What a whole story has of its own."""
    return [
        io.String.Input(
            "negative_prompt",
            multiline=True,
            default="",
            tooltip="What no shot should show. A shot's own negative prompt in the script replaces it.",
        ),
        io.Int.Input(
            "overlap",
            default=1,
            min=1,
            max=13,
            step=4,
            tooltip="Number of frames a continued shot takes over from the previous shot: 1 is MI2V; 5, 9 and 13 are MM2V.",
        ),
        io.Int.Input(
            "keyframes",
            default=3,
            min=1,
            max=10,
            tooltip="Maximum number of frames per shot that enter the memory.",
        ),
    ]


def optional_inputs() -> list[io.Input]:
    """What a story begins with, and how it remembers."""
    return [
        MemorySocket.Input(
            "memory",
            optional=True,
            tooltip="The memory before the first shot. Leave unconnected to start with an empty one.",
        ),
        EmbedderSocket.Input("embedder", optional=True, tooltip="Measures how similar two frames are."),
        FilterSocket.Input(
            "filter",
            optional=True,
            tooltip="Keeps bad frames out of the memory. Leave unconnected to allow all frames.",
        ),
        io.Image.Input(
            "start_frames",
            optional=True,
            tooltip="The frames the first shot continues from, if it does not start with a cut.",
        ),
    ]


def _own_inputs() -> list[io.Input]:
    """What a shot may have of its own."""
    loras = [NONE, *files.names("loras")]
    return [
        io.Image.Input(
            "start_image", optional=True, tooltip="The first frame of the shot; only for a cut."
        ),
        end_image_input(),
        io.String.Input(
            "references",
            default=ALL,
            optional=True,
            tooltip="Names of the reference images the shot sees, separated by commas. * means all, empty means none.",
        ),
        io.Float.Input(
            "lora_strength", default=1.0, min=-10.0, max=10.0, step=0.05, optional=True, advanced=True,
            tooltip="Strength of the M2V LoRA in this shot, multiplied by the strength set in its loader.",
        ),
        io.Combo.Input(
            "extra_lora_high", options=loras, default=NONE, optional=True, advanced=True,
            tooltip="An additional LoRA for this shot, on the high-noise expert.",
        ),
        io.Combo.Input(
            "extra_lora_low", options=loras, default=NONE, optional=True, advanced=True,
            tooltip="An additional LoRA for this shot, on the low-noise expert.",
        ),
        io.Float.Input(
            "extra_lora_strength", default=1.0, min=-10.0, max=10.0, step=0.05, optional=True, advanced=True,
            tooltip="Strength of the extra LoRA.",
        ),
    ]  # fmt: skip


def edits_input(
    made_again: str = "see other images are made again; the others keep their frames",
) -> io.Input:
    """made_again: which shots of the story are made again when its edits change."""
    return io.String.Input(
        "memory_edits",
        multiline=True,
        default="",
        optional=True,
        tooltip="Memory edits for the whole story, one per line: pin hero · add 2:40 (frame 40 of shot 2) · drop 2:57 · "
        f"cap 2. See Memory Edit. Only shots that {made_again}. A shot held by a chosen take or keep keeps its frames, a locked "
        "one everything, until redo or unlock in Story Project.",
    )


def story_input() -> io.Input:
    return StorySocket.Input(
        "story",
        optional=True,
        tooltip="An earlier story that the script continues. Its shots come first in the film, and its memory is "
        "the starting memory.",
    )


class StoryMemShot(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemShot",
            display_name="Story Shot",
            category=CATEGORY,
            description="Makes one shot of a story and stores it: conditions, samples, decodes and selects "
            "keyframes. A shot that is already stored is not made again. It passes on the story so far, not its "
            "frames.",
            search_aliases=["shot", "scene", "story step"],
            inputs=[
                *_model_inputs(),
                io.String.Input("prompt", multiline=True, default="", tooltip="What the shot shows."),
                io.Boolean.Input(
                    "cut",
                    default=True,
                    tooltip="On: a hard cut. Off: the shot continues from the end of the previous shot.",
                ),
                io.String.Input(
                    "project",
                    default="story",
                    tooltip="The story's folder inside the output folder; the first shot sets it. Another seed or "
                    "script in the same folder replaces the film there; the stored shots stay.",
                ),
                *size_inputs(),
                seed_input(),
                *sampling_inputs(),
                spacing_input(),
                *story_inputs(),
                StorySocket.Input(
                    "story", optional=True, tooltip="The story so far. Leave unconnected for the first shot."
                ),
                *optional_inputs(),
                io.String.Input(
                    "shot_id",
                    default="",
                    optional=True,
                    tooltip="Id of the shot. If empty, it is shot-1, shot-2, ... by position.",
                ),
                io.Int.Input(
                    "scene",
                    default=1,
                    min=1,
                    max=1_000_000,
                    optional=True,
                    tooltip="Scene number, for the record only.",
                ),
                edits_input(),
                *_own_inputs(),
            ],
            outputs=[
                StorySocket.Output(
                    display_name="story",
                    tooltip="The story including this shot, for the next Story Shot or for Shot Stitch.",
                ),
                MemorySocket.Output(display_name="memory", tooltip="The memory after this shot."),
            ],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    @named_errors
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        story, memory = chain.add_shot(files.output_root(), **inputs)
        shown: dict[str, Any] = frames_preview(chain.glimpse(story), cls)
        own = cls.hidden.unique_id
        # A loop's shots show what they have on the loop's node, where its own report must stay.
        if cls.hidden.dynprompt.get_display_node_id(own) == own:
            shown["text"] = (chain.told(story),)
        return io.NodeOutput(story, memory, ui=shown)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The project's folder, not the host's cache, is the memory of a story: look there each time.
        return float("nan")


class StoryMemStoryLoop(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoop",
            display_name="Story Loop",
            category=CATEGORY,
            description="Makes every shot of a script, each with the memory of the shots before it, and stitches "
            "the film. It expands into Story Shot nodes, so progress, errors and resuming work per shot.",
            search_aliases=["story", "film", "multi shot", "long video"],
            inputs=[
                ScriptSocket.Input("script", tooltip="The story script."),
                *_model_inputs(),
                io.String.Input(
                    "project", default="", tooltip="The story's folder inside the output folder; if empty, the "
                    "story's name is used. Another seed or script in the same folder replaces the film there; the "
                    "stored shots stay.",
                ),
                *size_inputs(),
                seed_input(),
                *sampling_inputs(),
                spacing_input(),
                *story_inputs(),
                *film_inputs(),
                *optional_inputs(),
                io.Model.Input(
                    "t2v_high_noise_model",
                    optional=True,
                    tooltip="Text-to-video pair for the first shot. Without it the I2V pair makes the first shot.",
                ),
                io.Model.Input("t2v_low_noise_model", optional=True, tooltip="Text-to-video pair for the first shot."),
                io.Float.Input(
                    "t2v_shift", default=T2V.shift, min=0.1, max=100.0, step=0.1, optional=True, advanced=True,
                    tooltip="Shift of the first shot if the text-to-video pair makes it.",
                ),
                io.Float.Input(
                    "t2v_boundary", default=T2V.boundary, min=0.0, max=1.0, step=0.005, optional=True, advanced=True,
                    tooltip="Boundary of the first shot if the text-to-video pair makes it.",
                ),
                edits_input(),
                colour_match_input(),
                io.String.Input(
                    "only",
                    default="",
                    optional=True,
                    tooltip="Which shots of the script to make: numbers, ids or ranges, separated by commas, such "
                    "as 1,3-5. Empty makes all. The others are left out of the film and of the memory. Numbers in "
                    "memory_edits still refer to the whole script.",
                ),
                io.Boolean.Input(
                    "draft",
                    default=False,
                    optional=True,
                    tooltip="Make a draft first: the story at half the size and in few steps, in the folder "
                    "'draft' inside the project folder, with its own memory. Switch it off to make the film, with "
                    "`only` set to the shots you want to keep.",
                ),
                io.Int.Input(
                    "draft_steps", default=STEPS, min=2, max=1000, optional=True, advanced=True, tooltip="Maximum "
                    "number of steps for the draft."
                ),
                story_input(),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The finished film."),
                StorySocket.Output(display_name="story", tooltip="The story with all its shots, for a Shot Stitch "
                "of your own."),
                MemorySocket.Output(display_name="memory", tooltip="The memory after the last shot."),
            ],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id],
            is_output_node=True,
            enable_expand=True,
        )  # fmt: skip

    @classmethod
    @named_errors
    def execute(cls, fps: float, crossfade: int, colour_match: int = 0, **inputs: Any) -> io.NodeOutput:
        planned = chain.loop(files.output_root(), fps=fps, crossfade=crossfade, **inputs)
        steps = planned.steps
        # The sub-graph's nodes take links, not values: a model passed as a value would defeat the cache.
        links = cls.hidden.dynprompt.get_node(cls.hidden.unique_id)["inputs"]
        graph = GraphBuilder()
        before: dict[str, Any] = {}
        for number, step in enumerate(steps, 1):
            wired = {name: links[source] for name, source in step.wires.items() if source in links}
            wired |= {
                name: graph.node("LoadImage", f"{number}-{name}", image=file).out(0)
                for name, file in step.images.items()
            }
            shot = graph.node("StoryMemShot", str(number), **wired, **step.widgets, **before)
            before = {"story": shot.out(0)}
        stitched = {"fps": fps, "crossfade": crossfade, "colour_match": colour_match}
        film = graph.node("StoryMemShotStitch", "film", **before, **stitched)
        doubts = [f"warning: {doubt}" for doubt in planned.doubts]
        draft = _draft(inputs, steps[0].widgets)
        shown = ui.PreviewText("\n".join([*doubts, *draft, *map(_line, steps)]))
        return io.NodeOutput(film.out(0), shot.out(0), shot.out(1), expand=graph.finalize(), ui=shown)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        return float("nan")


def _draft(inputs: Mapping[str, Any], shot: Mapping[str, Any]) -> list[str]:
    return [f"draft: {shot['width']}x{shot['height']}, {shot['steps']} steps"] if inputs.get("draft") else []


def _line(step: Step) -> str:
    shot = step.widgets
    start = "cut" if shot["cut"] else "continued"
    kept = f" ({step.kept})" if step.kept else ""
    return (
        f"{step.number}. scene {shot['scene']}, {start}, {shot['length']} frames, seed {shot['seed']}{kept}: "
        f"{shot['prompt']}"
    )


NODES = [StoryMemShot, StoryMemStoryLoop]
