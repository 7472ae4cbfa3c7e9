"""Probes in a loop's body: what makes frames without a model, and tells each time that it runs."""

import json
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io

MEMORY = io.Custom("STORYMEM_MEMORY")


def _tell(name, **line):
    with Path(folder_paths.get_output_directory(), f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


class ProbeLoad(io.ComfyNode):
    """What stands outside of a body and takes long: a line in <output>/<name>.jsonl for each run."""

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="ProbeLoad", inputs=[io.String.Input("name")], outputs=[io.Float.Output()])

    @classmethod
    def execute(cls, name):
        _tell(name, loaded=True)
        return io.NodeOutput(0.5)


class ProbeDraw(io.ComfyNode):
    """A shot's frames, by its seed: the start frames, then coloured squares. A line for each shot."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeDraw",
            inputs=[
                io.String.Input("name"),
                io.String.Input("prompt"),
                io.Int.Input("seed", max=2**64 - 1),
                io.Int.Input("length"),
                io.Float.Input("brightness"),
                io.Image.Input("start_frames", optional=True),
                MEMORY.Input("memory", optional=True),
                io.Int.Input("number", default=0, optional=True),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, name, prompt, seed, length, brightness, start_frames=None, memory=None, number=0):
        start = None if start_frames is None else [round(float(frame.mean()), 4) for frame in start_frames]
        frames = () if memory is None else getattr(memory, "load", lambda: memory)().frames
        _tell(name, prompt=prompt, seed=seed, start=start, memory=len(frames), number=number)
        chance = torch.Generator().manual_seed(seed % 2**32 + len(prompt))
        squares = torch.rand(length, 3, 4, 4, generator=chance) * brightness
        drawn = torch.nn.functional.interpolate(squares, (32, 32))
        if start_frames is not None:
            small = torch.nn.functional.interpolate(start_frames.movedim(-1, 1), (32, 32), mode="area")
            drawn[: len(small)] = small
        return io.NodeOutput(drawn.movedim(1, -1))


NODES = [ProbeLoad, ProbeDraw]
