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
            display_name="negative_prompt", tooltip="The shot's own negative prompt, or the story's."
        ),
        io.Int.Output(display_name="seed", tooltip="The shot's seed."),
        io.Int.Output(display_name="length", tooltip="Frames that the model is to make, 4k+1."),
        io.Boolean.Output(display_name="cut", tooltip="Whether the shot is a hard cut."),
        io.Image.Output(
            display_name="start_frames",
            tooltip="What the shot goes on from: the last frames of the one before, or its own start image. Else nothing.",
        ),
        MemorySocket.Output(display_name="memory", tooltip="What the shot remembers, for Apply Memory."),
        io.Int.Output(display_name="number", tooltip="The shot's place in the film, from 1."),
        io.Image.Output(display_name="end_image", tooltip="What the shot ends on; nothing if it is open."),
    ]


def _making_inputs() -> list[io.Input]:
    return [
        io.String.Input("body", default="", tooltip="What the loop's body is made of."),
        io.Boolean.Input("numbered", default=False, tooltip="Whether the body uses the shot's number."),
        _interpolation_input(),
    ]


def _interpolation_input() -> io.Input:
    return io.Int.Input(
        "interpolation",
        default=1,
        min=1,
        max=own_loop.MOST_INTERPOLATED,
        tooltip="How many frames the body makes of one: 2 where it doubles the rate. Set the film's fps to match.",
    )


class StoryMemStoryLoopOpen(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemStoryLoopOpen",
            display_name="Story Loop Open",
            category=CATEGORY,
            description="Begins a loop around nodes of your own: for each shot of the script they are given its prompt, "
            "seed, start and memory, and Story Loop Close stores what they make. Use any sampler, upscaler, interpolation.",
            search_aliases=["for loop", "own loop", "custom loop", "story"],
            inputs=[
                ScriptSocket.Input("script", tooltip="The story."),
                io.String.Input(
                    "project", default="", tooltip="The story's folder below the output folder; empty: the story's name."
                    " Another seed or script in the same folder replaces the film there; the stored shots stay.",
                ),
                length_input(),
                seed_input(),
                *story_inputs(),
                *optional_inputs(),
                story_input(),
                edits_input("are given another memory are made again"),
            ],
            outputs=[
                LoopSocket.Output(display_name="loop", tooltip="For Story Loop Close, and nothing else."),
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
            description="Ends a loop around nodes of your own: makes a copy of them for every shot, stores the frames "
            "of each the moment they exist, moves the memory on, and stitches the film. A stored shot's copy does not run.",
            search_aliases=["for loop", "own loop", "custom loop", "story"],
            inputs=[
                LoopSocket.Input("loop", tooltip="From the Story Loop Open."),
                # A raw, lazy link: only where it comes from is wanted, so the body itself must not run.
                io.Image.Input(
                    loop_body.FRAMES, lazy=True, raw_link=True, tooltip="A shot's frames, as the body makes them."
                ),
                *film_inputs(),
                _interpolation_input(),
                colour_match_input(),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The film."),
                StorySocket.Output(display_name="story", tooltip="All shots, for a stitch of your own."),
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
            description="Made by Story Loop Close, in front of each copy of the body: gives it one shot's values, or "
            "keeps it from running where the shot is stored.",
            inputs=[
                LoopSocket.Input("loop", tooltip="From the Story Loop Open."),
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
            description="Made by Story Loop Close, behind each copy of the body: stores the shot's frames and selects "
            "its keyframes. It does not run where the shot is stored.",
            inputs=[
                LoopSocket.Input("loop", tooltip="From the Story Loop Open."),
                StorySocket.Input("story", tooltip="The story before this shot."),
                *_making_inputs(),
                io.Image.Input("images", tooltip="The shot's frames, as the body made them."),
            ],
            outputs=[io.Boolean.Output(display_name="kept", tooltip="That the shot is stored.")],
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
            description="Made by Story Loop Close, between two shots: hands the story on once its newest shot is stored, "
            "whether by this run or by an earlier one.",
            inputs=[
                StorySocket.Input("story", tooltip="The story with the shot."),
                # Raw: it is waited for, but blocked where the body did not run.
                io.Boolean.Input(
                    "kept", default=True, raw_link=True, tooltip="That Story Loop Keep has run."
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
