"""Keyframes of a shot of 81 frames at 832x480, and all else around its sampling and VAE: at most 15 s a shot.

The other way, as the released code has it: both frames are embedded at each comparison, and each sweep with a
lowered threshold compares anew. Same embedder, same frames, same threads. Real photographs, each fading into
the next; the start threshold is chosen so that 0, 5 or 30 sweeps are needed before three frames are left.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.photos import SCENES, photo, view
from runner.benchmark import report, table
from storymem_core.film.film import stitch, write_clip
from storymem_core.frames.pixels import as_images, quantise
from storymem_core.keyframes import filter
from storymem_core.keyframes.embedders import Embedder, default
from storymem_core.keyframes.remember import embed, remember
from storymem_core.keyframes.select import Selection, select
from storymem_core.memory.bank import MemoryBank
from storymem_core.models import wan_shapes
from storymem_core.sheets.contact_sheet import write as write_sheet
from storymem_core.store.fingerprint import fingerprint
from storymem_core.store.project import Project

FRAMES, WIDTH, HEIGHT = 81, 832, 480
SWEEPS = (0, 5, 30)
LIMIT, STEP = 3, 0.01
THREADS = 2
BUDGET_SECONDS = 15.0
A14B = {"dim": 5120, "ffn": 13824, "blocks": 40}
CUT = 1 << 16
"""Values of a stand-in for each of the large model's weights: more than a fingerprint reads of one."""


class Counted:
    """An embedder that counts its frames."""

    def __init__(self, embedder: Embedder):
        self.name, self.threshold, self.frames = embedder.name, embedder.threshold, 0
        self._embedder = embedder

    def __call__(self, frames: Tensor) -> Tensor:
        self.frames += len(frames)
        return self._embedder(frames)


def shot() -> np.ndarray:
    """uint8 [FRAMES, HEIGHT, WIDTH, 3]."""
    scenes = [view(photo(path), HEIGHT, WIDTH) for path in SCENES.values()]
    places = np.linspace(0, len(scenes) - 1.001, FRAMES)
    faded = [torch.lerp(scenes[int(place)], scenes[int(place) + 1], place % 1) for place in places]
    return quantise(torch.stack(faded))


def pairwise(embedder: Embedder, frames: np.ndarray, threshold: float) -> list[int]:
    """The frames that are kept when each comparison embeds both of its frames."""
    while True:
        kept = [0]
        for index in range(1, len(frames)):
            one, other = (embedder(as_images(frames[i : i + 1]))[0].double() for i in (kept[-1], index))
            if float(torch.nn.functional.cosine_similarity(one, other, dim=0)) < threshold:
                kept.append(index)
        if len(kept) <= LIMIT:
            return kept
        threshold -= STEP


def starts(embeddings: Tensor) -> Iterator[tuple[int, float]]:
    """How many sweeps -> the start threshold that needs as many."""
    end = 0.999
    while len(select(embeddings, None, limit=FRAMES, threshold=end).kept) > LIMIT:
        end -= STEP
    for sweeps in SWEEPS:
        start = end + sweeps * STEP
        assert round((start - chosen(embeddings, start).threshold) / STEP) == sweeps
        yield sweeps, start


def chosen(embeddings: Tensor, threshold: float) -> Selection:
    return select(embeddings, None, limit=LIMIT, threshold=threshold, step=STEP)


def compare(frames: np.ndarray) -> list[dict[str, str | float]]:
    """Both ways at each number of sweeps: seconds, frames embedded, frames kept."""
    rows: list[dict[str, str | float]] = []
    embedder = default()
    for sweeps, threshold in [*starts(embed(embedder, frames))]:
        told = {}
        for way in ("each frame once", "pair by pair"):
            counted = Counted(embedder)
            began, worked = time.perf_counter(), time.process_time()
            if way == "pair by pair":
                kept = pairwise(counted, frames, threshold)
            else:
                kept = [frame.index for frame in chosen(embed(counted, frames), threshold).kept]
            seconds, processor = time.perf_counter() - began, time.process_time() - worked
            told[way] = kept
            rows.append(
                {
                    "way": way, "sweeps": sweeps, "embedded": counted.frames, "seconds": seconds,
                    "CPU s": processor, "kept": ", ".join(map(str, kept)),
                }
            )  # fmt: skip
            assert way == "pair by pair" or counted.frames == FRAMES
        assert told["each frame once"] == told["pair by pair"], told
    return rows


class Items:
    """Seconds of each part, on the clock and of the processors."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | float]] = []

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        began, worked = time.perf_counter(), time.process_time()
        yield
        clock, processor = time.perf_counter() - began, time.process_time() - worked
        self.rows.append({"part": part, "seconds": clock, "CPU s": processor})


def around(frames: np.ndarray, folder: Path) -> list[dict[str, str | float]]:
    """What a shot costs beside its sampling and VAE, part by part, with a bank of ten frames in memory."""
    item, embedder, seen = Items(), default(), MemoryBank()
    for number in range(4):
        seen = remember(seen, np.roll(frames, 17 * number, 2), embedder, None, shot=f"before {number}").bank
    pixels = torch.from_numpy(frames).float().div(255)
    shapes = wan_shapes.diffusion_model(36, **A14B)
    expert = {name: torch.rand(CUT)[: np.prod(shape)].bfloat16() for name, shape in shapes.items()}
    with item("8 bits of the decoded frames"):
        frames = quantise(pixels)
    with item("fingerprints of two A14B experts"):
        prints = [fingerprint(expert, expert_name) for expert_name in ("high", "low")]
    with item("embed, filter, select, update the bank"):
        after = remember(seen, frames, embedder, filter.create("technical-quality"), shot="shot")
    project = Project.open(folder / "story")
    made_of = {"shot": "shot", "models": prints}
    row = {"id": "shot", "scene": 1, "prompt": "A prompt.", "mode": "m2v", "seed": 1, "frames": FRAMES,
           "dropped": 0, "changed": [], "seconds": {}}  # fmt: skip
    with item("look whether it is stored"):
        assert project.find(project.key(made_of)) is None
    with item("store without loss, check, read back"):
        keyframes = MemoryBank(after.kept)
        stored = project.store(project.key(made_of), made_of, row, frames, seen, keyframes)
    with item("hand on: memory, last five frames, preview"):
        stored.memory_after()
        stored.last(5)
        stored.pick([0, FRAMES // 2, FRAMES - 1])
    with item("film"):
        stitch([stored], folder / "film.mp4")
    with item("the shot's own clip"):
        write_clip(stored, folder / "clip.mp4")
    with item("contact sheet"):
        write_sheet([stored], folder / "sheet.png")
    return item.rows


def main() -> None:
    torch.set_num_threads(THREADS)
    frames = shot()
    rows = compare(frames)
    with tempfile.TemporaryDirectory() as folder:
        parts = around(frames, Path(folder))
    print(table(parts))
    seconds, processor = (sum(float(part[name]) for part in parts) for name in ("seconds", "CPU s"))
    report(
        "keyframes", rows, around=parts, around_seconds=seconds, around_cpu_seconds=processor,
        budget_seconds=BUDGET_SECONDS,
        load=os.getloadavg()[0],  # others' work on the same cores counts in what the clock says
    )  # fmt: skip


if __name__ == "__main__":
    main()
