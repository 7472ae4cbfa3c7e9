"""The loop around a body of the user's own nodes: its two ends, and what stands around each shot's copy."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder

from ..storymem_core.host import files
from ..storymem_core.making import chain, loop_body, own_loop
from ..storymem_core.making.own_loop import Making
from .common import (
    CATEGORY,
    LoopSocket,
    MemorySocket,
    ScriptSocket,
    StorySocket,
    colour_match_input,
    film_inputs,
    length_input,
    named_errors,
    seed_input,
)
from .preview import frames_preview
from .story import edits_input, optional_inputs, story_input, story_inputs

NUMBER = 8
"""The place of `number` among the Open's outputs."""


def _shot_outputs() -> list[io.Output]:
    """What the body takes of each shot; the same places at the Open and at each shot's node."""
    return [
        io.String.Output(display_name="prompt", tooltip="What the shot shows."),
        io.String.Output(
            display_name="negative_prompt", tooltip="The shot's own negative prompt, or else the story's."
        ),
        io.Int.Output(display_name="seed", tooltip="The shot's seed."),
        io.Int.Output(display_name="length", tooltip="Number of frames the model should generate, 4k+1."),
        io.Boolean.Output(display_name="cut", tooltip="Whether the shot starts with a hard cut."),
        io.Image.Output(
            display_name="start_frames",
            tooltip="The frames the shot starts from: the last frames of the previous shot, or its own start "
            "image. Otherwise nothing.",
        ),
        MemorySocket.Output(display_name="memory", tooltip="The memory for this shot, for Apply Memory."),
        io.Int.Output(display_name="number", tooltip="The shot's place in the film, counted from 1."),
        io.Image.Output(display_name="end_image", tooltip="The image the shot ends on, if it has one."),
    ]


def _making_inputs() -> list[io.Input]:
    return [
        io.String.Input("body", default="", tooltip="Describes the nodes in the loop body."),
        io.Boolean.Input("numbered", default=False, tooltip="Whether the loop body uses the shot's number."),
        _interpolation_input(),
    ]


def _interpolation_input() -> io.Input:
    return io.Int.Input(
        "interpolation",
        default=1,
        min=1,
        max=own_loop.MOST_INTERPOLATED,
        tooltip="How many frames the loop body outputs per generated frame: 2 if it doubles the frame rate. Set "
        "the film's fps to match.",
    )


class StoryMemStoryLoopOpen(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopOpen",
            display_name="Story Loop Open",
            category=CATEGORY,
            description="Starts a loop around your own nodes. For each shot of the script it outputs prompt, "
            "seed, start frames and memory; Story Loop Close stores the frames your nodes make. Use any sampler, "
            "upscaler or interpolation.",
            search_aliases=["for loop", "own loop", "custom loop", "story"],
            inputs=[
                ScriptSocket.Input("script", tooltip="The story script."),
                io.String.Input(
                    "project", default="", tooltip="The story's folder inside the output folder; if empty, the "
                    "story's name is used. Another seed or script in the same folder replaces the film there; the "
                    "stored shots stay.",
                ),
                length_input(),
                seed_input(),
                *story_inputs(),
                *optional_inputs(),
                story_input(),
                edits_input("get a different memory are made again"),
            ],
            outputs=[
                LoopSocket.Output(display_name="loop", tooltip="Connect to Story Loop Close only."),
                *_shot_outputs(),
            ],
        )  # fmt: skip

    @classmethod
    @named_errors
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        loop = own_loop.opened(files.output_root(), **inputs)
        # The body itself does not run, only its copies in the Close's sub-graph.
        return io.NodeOutput(loop, *[ExecutionBlocker(None)] * len(_shot_outputs()))

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The project's folder, not the host's cache, is the memory of a story: look there each time.
        return float("nan")


class StoryMemStoryLoopClose(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopClose",
            display_name="Story Loop Close",
            category=CATEGORY,
            description="Ends a loop around your own nodes. It copies them for every shot, stores each shot's "
            "frames as soon as they exist, updates the memory and stitches the film. Copies for shots that are "
            "already stored do not run.",
            search_aliases=["for loop", "own loop", "custom loop", "story"],
            inputs=[
                LoopSocket.Input("loop", tooltip="From Story Loop Open."),
                # A raw, lazy link: only where it comes from is wanted, so the body itself must not run.
                io.Image.Input(
                    loop_body.FRAMES, lazy=True, raw_link=True, tooltip="The frames of a shot, from the last node "
                    "of the loop body."
                ),
                *film_inputs(),
                _interpolation_input(),
                colour_match_input(),
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
    def execute(cls, loop, images, fps, crossfade, interpolation, colour_match=0) -> io.NodeOutput:
        dynprompt, closing = cls.hidden.dynprompt, cls.hidden.unique_id
        prompt = {id: dynprompt.get_node(id) for id in sorted(dynprompt.all_node_ids())}
        opened = prompt[closing]["inputs"]["loop"]
        body = loop_body.find(prompt, closing, opened[0], files.input_sha256)
        making = Making(body.made_of, body.uses(NUMBER), interpolation)
        own_loop.check_film(loop, making, fps, crossfade)
        story = own_loop.stored_before(loop, making)
        shots = own_loop.left(loop, story)
        settings = {"body": making.body, "numbered": making.numbered, "interpolation": interpolation}
        graph = GraphBuilder()
        copies: dict[str, Any] = {}
        memory: Any = None if shots else own_loop.kept(story)
        for number, _ in enumerate(shots, len(story.keys) + 1):
            given = {"loop": opened, "story": story, **settings}
            shot = graph.node("StoryMemStoryLoopShot", f"{number}.shot", **given)
            prefix = f"{graph.prefix}{number}."
            copies |= body.copies(shot.id, prefix)
            frames = [prefix + body.frames[0], body.frames[1]]
            kept = graph.node("StoryMemStoryLoopKeep", f"{number}.keep", **given, images=frames)
            after = graph.node("StoryMemStoryLoopNext", f"{number}.next", story=shot.out(0), kept=kept.out(0))
            story, memory = after.out(0), after.out(1)
        stitched = {"fps": fps, "crossfade": crossfade, "colour_match": colour_match}
        film = graph.node("StoryMemShotStitch", "film", story=story, **stitched)
        return io.NodeOutput(film.out(0), story, memory, expand=graph.finalize() | copies)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # The project's folder, not the host's cache, is the memory of a story: look there each time.
        return float("nan")


class StoryMemStoryLoopShot(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopShot",
            display_name="Story Loop Shot",
            category=CATEGORY,
            description="Created by Story Loop Close before each copy of the loop body. It outputs the values of "
            "one shot, or stops the copy from running if the shot is already stored.",
            inputs=[
                LoopSocket.Input("loop", tooltip="From Story Loop Open."),
                StorySocket.Input("story", tooltip="The story before this shot."),
                *_making_inputs(),
            ],
            outputs=[
                StorySocket.Output(display_name="story", tooltip="The story with this shot, which may not be stored yet."),
                *_shot_outputs(),
            ],
            is_dev_only=True,
        )  # fmt: skip

    @classmethod
    @named_errors
    def execute(cls, loop, story, body, numbered, interpolation) -> io.NodeOutput:
        begun = own_loop.begin(loop, story, Making(body, numbered, interpolation))
        stored = own_loop.is_stored(story, begun)
        plan, (start, end) = begun.plan, own_loop.given_images(begun)
        values = (
            plan.prompt, plan.negative_prompt, plan.seed, plan.frames, plan.cut,
            start, own_loop.memory_seen(loop, story, begun), begun.number, end,
        )  # fmt: skip
        return io.NodeOutput(
            begun.added_to(story), *([ExecutionBlocker(None)] * len(values) if stored else values)
        )

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        return float("nan")


class StoryMemStoryLoopKeep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopKeep",
            display_name="Story Loop Keep",
            category=CATEGORY,
            description="Created by Story Loop Close after each copy of the loop body. It stores the shot's "
            "frames and selects its keyframes. It does not run if the shot is already stored.",
            inputs=[
                LoopSocket.Input("loop", tooltip="From Story Loop Open."),
                StorySocket.Input("story", tooltip="The story before this shot."),
                *_making_inputs(),
                io.Image.Input("images", tooltip="The shot's frames, from the loop body."),
            ],
            outputs=[io.Boolean.Output(display_name="kept", tooltip="True once the shot is stored.")],
            is_dev_only=True,
            is_input_list=True,  # called once, though a body gave a list
        )

    @classmethod
    @named_errors
    def execute(cls, loop, story, body, numbered, interpolation, images) -> io.NodeOutput:
        own_loop.keep(loop[0], story[0], Making(body[0], numbered[0], interpolation[0]), images)
        return io.NodeOutput(True)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        return float("nan")


class StoryMemStoryLoopNext(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopNext",
            display_name="Story Loop Next",
            category=CATEGORY,
            description="Created by Story Loop Close between two shots. It passes the story on once its newest "
            "shot is stored, by this run or an earlier one.",
            inputs=[
                StorySocket.Input("story", tooltip="The story including the shot."),
                # Raw: it is waited for, but blocked where the body did not run.
                io.Boolean.Input(
                    "kept", default=True, raw_link=True, tooltip="Signals that Story Loop Keep has run."
                ),
            ],
            outputs=[
                StorySocket.Output(display_name="story", tooltip="The story with this shot."),
                MemorySocket.Output(display_name="memory", tooltip="The memory after this shot."),
            ],
            is_dev_only=True,
        )

    @classmethod
    @named_errors
    def execute(cls, story, kept) -> io.NodeOutput:
        memory = own_loop.kept(story)
        return io.NodeOutput(story, memory, ui=frames_preview(chain.glimpse(story), cls))

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        return float("nan")


NODES = [
    StoryMemStoryLoopOpen, StoryMemStoryLoopClose,
    StoryMemStoryLoopShot, StoryMemStoryLoopKeep, StoryMemStoryLoopNext,
]  # fmt: skip
