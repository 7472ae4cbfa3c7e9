"""A pack that the tests load beside ours: what takes time, reports steps, expands and fails, on demand."""

import time

from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension, io
from comfy_execution.graph_utils import GraphBuilder

from . import body
from .story import ProbeDamage, ProbeGate, ProbeSampling


class ProbeSteps(io.ComfyNode):
    """Some steps of some seconds each, then an error if one is given."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSteps",
            inputs=[io.Int.Input("steps"), io.Float.Input("seconds"), io.String.Input("error")],
            outputs=[io.Int.Output()],
            is_output_node=True,
            not_idempotent=True,
        )

    @classmethod
    def execute(cls, steps, seconds, error):
        progress = ProgressBar(steps)
        for _ in range(steps):
            time.sleep(seconds)
            throw_exception_if_processing_interrupted()
            progress.update(1)
        if error:
            raise ValueError(error)
        return io.NodeOutput(steps)


class ProbeLoop(io.ComfyNode):
    """Expands into as many ProbeSteps."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeLoop",
            inputs=[io.Int.Input("rounds"), io.Int.Input("steps")],
            outputs=[io.Int.Output()],
            is_output_node=True,
            enable_expand=True,
        )

    @classmethod
    def execute(cls, rounds, steps):
        graph = GraphBuilder()
        nodes = [graph.node("ProbeSteps", steps=steps, seconds=0.01, error="") for _ in range(rounds)]
        return io.NodeOutput(nodes[-1].out(0), expand=graph.finalize())


class Probes(ComfyExtension):
    async def get_node_list(self):
        return [ProbeSteps, ProbeLoop, ProbeSampling, ProbeGate, ProbeDamage, *body.NODES]


async def comfy_entrypoint():
    return Probes()
