"""Small stories with drawn scenes, stored as a run would store them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from storymem_core.memory.bank import MemoryBank, MemoryFrame, Origin, update
from storymem_core.store.project import Project, StoredShot, Story

SKIES = ("#f2c58b", "#8ec5e8", "#2c3560", "#d9dfe4")
GROUNDS = ("#7a5a3a", "#5d8f4e", "#1d2338", "#b7bec4")
HEROES = ("#c0392b", "#27639c", "#e8b023", "#7d3c98")
PROMPTS = (
    "A girl in a red coat waits at a small harbour at dusk; gulls circle above the boats. Wide shot.",
    "She lifts the lantern and looks toward the sea. Medium shot, static camera.",
    "Night on the pier: the lantern swings in the wind while the old keeper, grey beard and blue cap, "
    "climbs the stairs of the lighthouse with a heavy brass key in his hand. Low angle, handheld.",
    "The light turns on. Close-up of her face, lit from the side.",
)

NOTHING = MemoryBank()


def scene(number: int, count: int, size: tuple[int, int] = (64, 64), start: int = 0) -> np.ndarray:
    """A hero who walks through a landscape: uint8 [count, H, W, 3], not two frames alike."""
    width, height = size
    frames = []
    for time in range(start, start + count):
        image = Image.new("RGB", size, SKIES[number % 4])
        draw = ImageDraw.Draw(image)
        draw.ellipse([width * 0.7, height * 0.1, width * 0.7 + height * 0.2, height * 0.3], fill="#fff4c2")
        draw.rectangle([0, height * 0.72, width, height], fill=GROUNDS[number % 4])
        x, high = width * (0.1 + 0.05 * time) % width, height * (0.3 + 0.02 * (time % 3))
        draw.rectangle([x, high, x + height * 0.2, height * 0.8], fill=HEROES[number // 4 % 4])
        draw.ellipse([x, high - height * 0.16, x + height * 0.2, high + height * 0.04], fill="#e9c4a0")
        frames.append(np.asarray(image))
    return np.stack(frames)


def noise(seed: int, count: int = 5, size: tuple[int, int] = (32, 16)) -> np.ndarray:
    """Frames that no lossy codec would bring back."""
    return np.random.default_rng(seed).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)


def remembered(pixels: np.ndarray, shot: str, frame: int, source: str = "shot") -> MemoryFrame:
    embedding = np.random.default_rng(int(pixels.sum())).standard_normal(8)
    return MemoryFrame(pixels, embedding, 0.5, None, Origin(source, shot, frame))


class Told(NamedTuple):
    """A shot as a test tells it."""

    id: str
    frames: np.ndarray
    dropped: int = 0
    prompt: str = PROMPTS[0]
    seed: int = 7
    scene: int = 1
    extra: Mapping[str, Any] = {}

    @property
    def made_of(self) -> dict[str, Any]:
        return {"shot": self.id, "prompt": self.prompt, "seed": self.seed, **self.extra}

    @property
    def row(self) -> dict[str, Any]:
        mode = "mi2v" if self.dropped == 1 else "mm2v" if self.dropped else "m2v"
        return {
            "id": self.id,
            "scene": self.scene,
            "prompt": self.prompt,
            "mode": mode,
            "seed": self.seed,
            "frames": len(self.frames),
            "dropped": self.dropped,
            "changed": [],
            "seconds": {"sampling": 1.0},
            **self.extra,
        }


def make(project: Project, told: Told, seen: MemoryBank = NOTHING, keep: Sequence[int] = (-1,)) -> StoredShot:
    """Find the shot or store it, as a run does. keep: the frames that it gives to the memory."""
    key = project.key(told.made_of)
    count = len(told.frames)
    given = [remembered(told.frames[index], told.id, index % count) for index in keep]
    keyframes = MemoryBank(update(seen, given, 2.0).kept)
    return project.find(key) or project.store(key, told.made_of, told.row, told.frames, seen, keyframes)


def tell(
    folder: Path, shots: Sequence[Told], seen: MemoryBank = NOTHING, keep: Sequence[int] = (-1,)
) -> Story:
    """A story of these shots, each with the memory of those before it."""
    project, story = Project.open(folder), Story(str(folder))
    for told in shots:
        stored = make(project, told, seen, keep)
        story, seen = story.added(stored.key), stored.memory_after()
    return story


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
