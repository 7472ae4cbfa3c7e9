"""Probes inside a story: what a model samples, a model that waits, a stored shot that gets damaged."""

import hashlib
import json
import time
from functools import partial
from pathlib import Path

import folder_paths
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.patcher_extension import WrappersMP
from comfy_api.latest import io

STORY = io.Custom("STORYMEM_STORY")


class ProbeSampling(io.ComfyNode):
    """Each time that the model samples: a line of its noise and its result, in <output>/<name>.jsonl."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSampling",
            inputs=[io.Model.Input("model"), io.String.Input("name")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, name):
        probed = model.clone()
        probed.add_wrapper(WrappersMP.OUTER_SAMPLE, partial(_told, name))
        return io.NodeOutput(probed)


def _told(name, executor, noise, *args, **kwargs):
    sampled = executor(noise, *args, **kwargs)
    line = {"noise": _sha256(noise), "latent": _sha256(sampled), "shape": list(noise.shape)}
    with Path(folder_paths.get_output_directory(), f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    return sampled


def _sha256(tensor):
    return hashlib.sha256(tensor.float().cpu().contiguous().numpy().tobytes()).hexdigest()


class ProbeDamage(io.ComfyNode):
    """Cuts the frames of a story's newest shot short, then hands the story on."""

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="ProbeDamage", inputs=[STORY.Input("story")], outputs=[STORY.Output()])

    @classmethod
    def execute(cls, story):
        frames = Path(story.folder, "store", story.keys[-1], "frames.mkv")
        frames.write_bytes(frames.read_bytes()[:-1])
        return io.NodeOutput(story)


class ProbeGate(io.ComfyNode):
    """The model waits before it samples: <output>/<name>.waiting appears, and <name>.open lets it go on."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeGate",
            inputs=[io.Model.Input("model"), io.String.Input("name")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, name):
        gated = model.clone()
        gated.add_wrapper(WrappersMP.OUTER_SAMPLE, partial(_wait, name))
        return io.NodeOutput(gated)


def _wait(name, executor, *args, **kwargs):
    gate = Path(folder_paths.get_output_directory(), name)
    gate.with_suffix(".waiting").touch()
    while not gate.with_suffix(".open").exists():
        throw_exception_if_processing_interrupted()
        time.sleep(0.02)
    return executor(*args, **kwargs)
