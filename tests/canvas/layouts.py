"""How the workflows stand on the canvas: which nodes form a group, in which order, beside which notes.

Sizes and positions follow from it (drawing.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Node = str
"""A node's id in the API graph."""


@dataclass(frozen=True)
class Note:
    """A text on the canvas, in Markdown."""

    title: str
    text: str
    width: int
    height: int


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes, left to right; each column top to bottom.

    Attributes:
        room: height that stays free at the bottom, for what its nodes show after a run.
    """

    title: str
    columns: tuple[tuple[Node | Note, ...], ...]
    room: int = 0


@dataclass(frozen=True)
class Row:
    """Groups side by side."""

    parts: tuple[Group | Note, ...]


@dataclass(frozen=True)
class Layout:
    """Columns of groups, left to right; each column top to bottom, its last nodes as wide as the column.

    Attributes:
        sizes: node -> least width and height, where its texts or its preview need more than the page gives.
    """

    columns: tuple[tuple[Group | Note | Row, ...], ...]
    sizes: Mapping[Node, tuple[int, int]] = field(default_factory=dict)


DEMO = Note(
    "StoryMem demo",
    """## A film in eight shots

Press **Run**. Every shot sees the memory of the shots before it: up to three keyframes of each, the first
three for ever, the newest sliding through. Shots appear one by one on **Story Loop**, then the film.

- The film, its shots, keyframes and contact sheet are in the output folder, in *Tok and the Lost Light*.
- Run it again: every shot is found there, nothing is computed. Change one prompt: only that shot and those
  that saw it are made again.
- The small checkpoints are **untrained**: the pictures are noise, everything around them is real. For
  pictures open the template *story_wan22*.
""",
    480,
    250,
)

WAN22_FILES = Note(
    "Which files go where",
    """## Files

```
models/
├── diffusion_models/
│   ├── wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors
│   ├── wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors
│   ├── wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors
│   └── wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors
├── text_encoders/
│   └── umt5_xxl_fp8_e4m3fn_scaled.safetensors
├── vae/
│   └── wan_2.1_vae.safetensors
└── loras/StoryMem/Wan2.2-MI2V-A14B/
    ├── backbone_high_noise.safetensors
    └── backbone_low_noise.safetensors
```

- **Wan2.2 and its VAE** (Apache-2.0): Hugging Face *Comfy-Org/Wan_2.2_ComfyUI_Repackaged*; the **text
  encoder** (Apache-2.0): *Comfy-Org/Wan_2.1_ComfyUI_repackaged*.
- **StoryMem LoRA pair** (non-commercial; read the terms that come with it): Hugging Face
  *Kevin-thu/StoryMem*. Keep the folder's name: it alone tells MI2V from MM2V.

The T2V pair makes the first shot only. Unplug it to save 28 GB of files: the I2V pair then makes that shot
too.
""",
    560,
    430,
)

WAN22_USE = Note(
    "How to use it",
    """## Your story

- A paragraph is a shot, three dashes start a scene. *[continue]* goes on from the last frame of the shot
  before; without it a shot is a hard cut. ST-Bench JSON works as well.
- **Name the looks in every shot.** Memory carries pictures, no names: "the girl in the yellow raincoat"
  finds its memory, "she" does not.
- Reference images: plug them into **Memory Bank**. They are the oldest memory and stay for ever.
- An *overlap* of 5 hands on five frames instead of one and joins motions better: use the MM2V LoRA pair.
- Stop whenever you like. The next run goes on with the first unfinished shot.
""",
    560,
    220,
)

ANY_SAMPLER = Note(
    "Memory in any graph",
    """## The host's own graph, with memory

Two **KSampler (Advanced)**, as in ComfyUI's Wan2.2 image-to-video template. New are: the LoRA that reads
memory, **Shot Conditioning** instead of WanImageToVideo, **Keyframe Select** after a shot, and **Apply
Memory** on both experts of the next one, with *one seed for both*.

The sampler sees an ordinary shot: any sampler, scheduler, preview or other patch can stand here. Steps 0-3
are the high-noise expert's: at shift 4, 3 of 8 (13 of 40) lie above the boundary of 0.9.
""",
    640,
    200,
)

MEMORY = Note(
    "Memory",
    """**What the story remembers.** It starts empty. Plug in pictures of your hero (one node gives several):
they become the oldest memory, every shot sees them, the first too.
""",
    380,
    110,
)

LAYOUTS = {
    "story_demo": Layout(
        (
            (DEMO,),
            (
                Group("Models", (("2", "3"), ("6", "7", "4", "5"))),
                Group("Memory", ((MEMORY,), ("8",))),
                Group("Story", (("1",),)),
            ),
            (Group("Film", (("9",),), room=480),),
        ),
        {
            "1": (860, 520), "2": (380, 0), "4": (480, 130), "6": (480, 206), "7": (480, 206),
            "8": (480, 160), "9": (420, 840),
        },
    ),
    "story_wan22": Layout(
        (
            (WAN22_FILES, WAN22_USE),
            (
                Group("Models", (("2", "3"), ("8", "9", "4", "5", "6", "7"))),
                Group("Memory", (("10",), ("11", "12"))),
                Group("Story", (("1",),)),
            ),
            (Group("Film", (("13",),), room=480),),
        ),
        {
            "1": (900, 620), "2": (440, 0), "8": (480, 206), "9": (480, 206), "10": (440, 170),
            "12": (480, 210), "13": (480, 900),
        },
    ),
    "any_sampler": Layout(
        (
            (
                Row(
                    (
                        Group("Models", (("1", "2", "3", "4"), ("5", "6", "9"), ("7", "8"))),
                        Group(
                            "Shot 1: a cut, and no memory yet",
                            (("11",), ("13",), ("15",), ("16",), ("17",)),
                        ),
                        Group("Memory after shot 1", (("10",), ("18",))),
                    )
                ),
                Row(
                    (
                        ANY_SAMPLER,
                        Group(
                            "Shot 2: a cut that remembers",
                            (("21", "22"), ("23",), ("24", "25"), ("26",), ("27",), ("28",)),
                        ),
                        Group("Film", (("31", "32", "33"),)),
                    )
                ),
            ),
        ),
        {
            "3": (300, 130), "5": (300, 206), "6": (300, 206), "9": (300, 100), "11": (340, 150),
            "18": (320, 440), "21": (340, 150), "24": (300, 386), "25": (300, 386), "33": (340, 440),
        },
    ),
}  # fmt: skip
