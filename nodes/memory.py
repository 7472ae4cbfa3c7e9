"""The memory bank, and the node that gives a model memory."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..storymem_core.host import files
from ..storymem_core.host.lora import log_doubts
from ..storymem_core.host.memory import give_memory
from ..storymem_core.keyframes import embedders
from ..storymem_core.keyframes.remember import memory_pictures, with_references
from ..storymem_core.memory.bank import MemoryBank
from ..storymem_core.memory.frame import CROP
from ..storymem_core.memory.references import names_of_images
from ..storymem_core.memory.saved import saved_memory, saved_version
from .common import (
    CATEGORY,
    EmbedderSocket,
    MemorySocket,
    fit_input,
    named_errors,
    seed_input,
    spacing_input,
)
from .preview import frames_preview


class StoryMemMemoryBank(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemMemoryBank",
            display_name="Memory Bank",
            category=CATEGORY,
            description="The memory a story starts with: empty, reference images, or a bank loaded from a folder. "
            "The first frames (the sink) stay for good; the newest ones form a sliding window.",
            search_aliases=["memory", "keyframes", "reference", "mr2v", "sink"],
            inputs=[
                io.Autogrow.Input(
                    "references",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("reference", tooltip="A reference image, or a batch of several."),
                        prefix="reference_",
                        min=0,
                        max=10,
                    ),
                    optional=True,
                    tooltip="Reference images (MR2V). They are the oldest frames, so they become the sink.",
                ),
                io.Int.Input(
                    "sink", default=3, min=0, max=100, tooltip="How many of the first frames stay for good."
                ),
                io.Int.Input(
                    "capacity",
                    default=10,
                    min=1,
                    max=100,
                    tooltip="Maximum number of frames in the bank. The model was trained with 1 to 10.",
                ),
                io.String.Input(
                    "load_from",
                    default="",
                    optional=True,
                    tooltip="A story's folder inside the output folder (loads the memory after its last shot), or "
                    "the folder of a saved bank, such as 'my story/store/<key>/memory'. References are added "
                    "after the loaded frames.",
                ),
                EmbedderSocket.Input(
                    "embedder",
                    optional=True,
                    tooltip="Measures how similar two frames are. The default needs no download.",
                ),
                io.String.Input(
                    "names",
                    default="",
                    optional=True,
                    tooltip="Names of the references in order, separated by commas: hero, castle. All images of "
                    "one input share its name.",
                ),
                fit_input(),
            ],
            outputs=[
                MemorySocket.Output(
                    display_name="memory", tooltip="The bank, for Story Loop or Apply Memory."
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(
        cls, sink, capacity, references=None, load_from="", embedder=None, names="", fit=CROP
    ) -> io.NodeOutput:
        embedder = embedder or embedders.default()
        batches = [batch for batch in (references or {}).values() if batch is not None]
        saved = saved_memory(files.output_root(), load_from) if load_from else MemoryBank()
        bank = with_references(
            replace(saved, sink=sink, capacity=capacity),
            [image for batch in batches for image in batch],
            embedder,
            names_of_images(names, [len(batch) for batch in batches]),
            fit,
        )
        return io.NodeOutput(bank, ui=frames_preview([frame.pixels for frame in bank.frames], cls))

    @classmethod
    def fingerprint_inputs(cls, load_from="", **_: object) -> str | float:
        # What lies in the folder changes without the graph. Of a wired name nothing is known yet: look again.
        if load_from is None:
            return float("nan")
        return saved_version(files.output_root(), load_from) if load_from else ""


class StoryMemApplyMemory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StoryMemApplyMemory",
            display_name="Apply Memory",
            category=CATEGORY,
            description="Adds memory to any Wan2.2 image-to-video workflow. The model sees the memory frames "
            "before the shot; the sampler sees an ordinary shot. Apply it to both experts.",
            search_aliases=["memory", "storymem", "reference", "consistency", "rope"],
            inputs=[
                io.Model.Input("model", tooltip="A Wan2.2 I2V expert, preferably with its M2V LoRA."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE. It encodes each memory frame separately."),
                io.MultiType.Input(
                    "memory",
                    types=[MemorySocket, io.Image],
                    tooltip="A memory bank, or an IMAGE batch with the oldest image first.",
                ),
                io.Latent.Input(
                    "latent",
                    tooltip="The shot's latent. Its size sets the size at which the memory is encoded.",
                ),
                spacing_input(),
                seed_input(),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model",
                    tooltip="The model with this memory. Any memory applied earlier is replaced.",
                )
            ],
        )

    @classmethod
    @named_errors
    def execute(cls, model, vae, memory, latent, spacing, seed) -> io.NodeOutput:
        frames = memory_pictures(memory)
        (patched,) = give_memory((model,), vae, frames, latent["samples"], seed=seed, spacing=spacing)
        log_doubts({None: patched}, memory=len(frames), spacing=spacing)
        return io.NodeOutput(patched, ui=frames_preview([frame.pixels for frame in frames], cls))


NODES = [StoryMemMemoryBank, StoryMemApplyMemory]
