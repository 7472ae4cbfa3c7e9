"""A text on the canvas, and the one that tells which files of a graph go where."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.model_files import named

API = Path(__file__).resolve().parents[2] / "workflows" / "api"

WAN = "Hugging Face *Comfy-Org/Wan_2.2_ComfyUI_Repackaged* (Apache-2.0)"
SOURCES = MappingProxyType(
    {
        r"wan2\.2_i2v_\w+_14B": ("the image-to-video pair", WAN),
        r"wan2\.2_t2v_\w+_14B": ("the text-to-video pair", WAN),
        r"wan_2\.1_vae": ("the VAE", WAN),
        r"lightx2v_4steps": ("the 4-step LoRA pair", WAN),
        r"umt5_xxl_fp8": (
            "the text encoder", "Hugging Face *Comfy-Org/Wan_2.1_ComfyUI_repackaged* (Apache-2.0)",
        ),
        r"Wan2\.2-I2V-A14B-\w+Noise-.*gguf": (
            "the image-to-video pair", "Hugging Face *QuantStack/Wan2.2-I2V-A14B-GGUF* (Apache-2.0)",
        ),
        r"umt5-xxl-encoder.*gguf": (
            "the text encoder", "Hugging Face *city96/umt5-xxl-encoder-gguf* (Apache-2.0)",
        ),
        r"backbone_\w+_noise": (
            "the memory LoRA pair",
            "Hugging Face *Kevin-thu/StoryMem* (**non-commercial**; read the terms that come with it). Keep "
            "the folder's name: nothing else tells MI2V from MM2V",
        ),
        r"RealESRGAN": ("the upscaler", "GitHub *xinntao/Real-ESRGAN*, release v0.2.1 (BSD-3-Clause)"),
        r"rife_v4": ("the frame interpolation", "Hugging Face *Comfy-Org/frame_interpolation* (MIT)"),
    }
)  # fmt: skip
"""A model file's name -> what it is, and where it comes from with its terms."""


LEAST = 90
"""The page makes no note less high."""
LETTER, BULLET = 5.2, 60
"""Mean width of a letter in a note, and what a list is set in by."""


@dataclass(frozen=True)
class Note:
    """A text on the canvas, in Markdown."""

    title: str
    text: str
    width: int

    @property
    def height(self) -> int:
        """What the text needs in pixels, as the page sets it (measured on its pictures)."""
        return max(LEAST, 30 + sum(map(self._block_height, self.text.strip().split("\n\n"))))

    def _block_height(self, block: str) -> int:
        if block.startswith("```"):
            return 24 + 12 * (block.count("\n") - 1)
        if block.startswith("#"):
            return 36
        width = self.width - (BULLET if block.startswith("- ") else 0)
        rows = (math.ceil(len(line) * LETTER / width) for line in re.split(r"\n(?=- )", block))
        return 12 + 14 * sum(rows)


def files_note(graph: str, more: str = "") -> Note:
    """Which files the API graph of this name needs, in which folders, from where and under which terms."""
    folders = defaultdict(list)
    for path in sorted(named(json.loads((API / f"{graph}.json").read_text(encoding="utf-8")))):
        folder, _, file = path.rpartition("/")
        folders[folder].append(file)
    tree = ["models/"]
    for folder, files in folders.items():
        last = folder == [*folders][-1]
        tree.append(f"{'└' if last else '├'}── {folder}/")
        bar = " " if last else "│"
        tree += [f"{bar}   {'└' if file is files[-1] else '├'}── {file}" for file in files]
    origins = defaultdict(dict)
    for file in (file for files in folders.values() for file in files):
        what, where = next(told for pattern, told in SOURCES.items() if re.search(pattern, file))
        origins[where][what] = None
    told = [f"- For {', '.join(what)}: {where}." for where, what in origins.items()]
    text = "\n".join(["## Files", "", "```", *tree, "```", "", *told])
    return Note("Which files go where", f"{text}\n\n{more}".strip() + "\n", 560)
