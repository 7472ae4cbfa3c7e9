"""Scene and cast -> a clip: its frames, and whose each pixel is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ..frames.pixels import quantise
from . import camera, characters, places
from .actions import PACE, Pose, pose
from .canvas import Canvas
from .looks import Cast, Looks
from .owners import Kind
from .scene import FPS, GAP, Scene

ENTRY = (0.2, 0.9)
"""Seconds at which a newcomer starts to come in, and stands."""
HURRY = 1.6
"""Seconds of walking that a newcomer's legs do on the way in."""
BURST, PERIOD = 3, 8
"""Of every PERIOD frames of a spoiled scene, so many in a row are spoiled."""
SMEAR = 0.2
"""How far a blurred frame is smeared, as a share of its width."""
FLASH = 0.75
"""How much of a flashed frame is white."""


@dataclass(frozen=True)
class Clip:
    """A clip and the truth about it; T frames of H x W pixels."""

    frames: np.ndarray
    """uint8 [T, H, W, 3]."""
    owners: np.ndarray
    """uint8 [T, H, W], see `owners.Owner`; of spoiled frames, what they would show if they were not."""
    scene: Scene
    cast: Cast


def render(scene: Scene, cast: Cast, *, size: int = 64, length: int = 17) -> Clip:
    """Paint a scene: `length` frames of size x size pixels. The same scene and cast give the same bytes."""
    time = scene.start + np.arange(length) / FPS
    canvas = background(scene, cast, size, length)
    light = places.tint(scene.time)
    for kind, looks, posed in actors(scene, cast, time):
        characters.draw(canvas, looks, posed, kind, light)
    rgb = canvas.rgb if scene.spoil == "none" else _spoiled(canvas.rgb, scene)
    return Clip(quantise(rgb), canvas.owner, scene, cast)


def background(scene: Scene, cast: Cast, size: int, length: int) -> Canvas:
    """The place without anybody; painted once if the camera stands still."""
    still = scene.move == "still"
    count = 1 if still else length
    time = scene.start + np.arange(count).reshape(-1, 1, 1) / FPS
    left, top, side = camera.window(scene.framing, scene.move, time, scene.focus)
    canvas = Canvas.new(size, left=left, top=top, side=side, frames=count)
    places.draw(canvas, scene.place, scene.time, cast.home)
    return canvas.repeat(length) if still else canvas


def reference(looks: Looks, kind: Kind = "hero", size: int = 64) -> np.ndarray:
    """A character on a plain ground, as a person would give it to the film: uint8 [size, size, 3]."""
    left, top, side = camera.window("medium", "still", 0.0, 0.5)
    canvas = Canvas.new(size, left=left, top=top, side=side)
    places.plain(canvas)
    standing = pose("waves", np.zeros(1), facing=1)
    characters.draw(canvas, looks, standing, kind, places.tint("day"))
    return quantise(canvas.rgb[0])


def actors(scene: Scene, cast: Cast, time: np.ndarray) -> list[tuple[Kind, Looks, Pose]]:
    """Who is painted, from the back to the front, and how each stands at `time` [T], the shot's seconds."""

    def acting(x0: float, phase: float) -> Pose:
        return pose(scene.action, scene.action_time(time), x0=x0, facing=scene.facing, phase=phase)

    lead = acting(scene.x0, scene.phase)
    if scene.who == "friend":
        return [("friend", cast.friend, lead)]
    hero: tuple[Kind, Looks, Pose] = ("hero", cast.hero, lead)
    if scene.who == "both":
        return [("friend", cast.friend, acting(scene.x0 - scene.facing * GAP, scene.phase + 0.3)), hero]
    if scene.newcomer:
        return [("friend", cast.friend, _arriving(scene, time)), hero]
    return [hero]


def _arriving(scene: Scene, time: np.ndarray) -> Pose:
    """The newcomer hurries in from the side at the hero's back, then waves, or walks on with the hero."""
    begin, end = ENTRY
    share = np.clip((time - begin) / (end - begin), 0, 1)
    left, _, side = camera.window(scene.framing, scene.move, 0.0, scene.focus)
    edge = float(left if scene.facing > 0 else left + side)
    behind = scene.x0 - scene.facing * GAP
    # At first beyond the edge by more than half a character's width; then slower and slower.
    away = (abs(behind - edge) + 0.3) * (1 - share) ** 1.5
    on = scene.action_time(time) if scene.action == "walks" else np.zeros_like(time)
    place = (behind + scene.facing * (PACE * on - away)).astype(np.float32).reshape(-1, 1, 1)
    steps = on + HURRY * share
    hurrying = replace(pose("walks", steps, facing=scene.facing, phase=scene.phase), x=place)
    if scene.action == "walks":
        return hurrying
    waving = replace(pose("waves", time, facing=scene.facing, phase=scene.phase), x=place)
    return _blend(hurrying, waving, np.clip((share - 0.6) / 0.4, 0, 1).astype(np.float32).reshape(-1, 1, 1))


def _blend(one: Pose, other: Pose, share: np.ndarray) -> Pose:
    """From one pose to the other as `share` [T, 1, 1] goes from 0 to 1."""
    names = [field.name for field in fields(Pose)]
    return Pose(**{name: (1 - share) * getattr(one, name) + share * getattr(other, name) for name in names})


def _spoiled(rgb: np.ndarray, scene: Scene) -> np.ndarray:
    """Frames [T, H, W, 3] of which some are blurred or flashed; which ones, the time of the shot says."""
    first = round(scene.start * FPS) + int(scene.phase * 1000)
    hit = (first + np.arange(len(rgb))) % PERIOD < BURST
    spoiled = rgb.copy()
    spoiled[hit] = _smeared(rgb[hit]) if scene.spoil == "blur" else rgb[hit] + FLASH * (1 - rgb[hit])
    return spoiled


def _smeared(rgb: np.ndarray) -> np.ndarray:
    """The mean of frames [T, H, W, 3] that are shifted sideways, their edges repeated."""
    width = rgb.shape[2]
    reach = max(1, round(width * SMEAR / 2))
    wide = np.pad(rgb, ((0, 0), (0, 0), (reach, reach), (0, 0)), mode="edge")
    return np.mean([wide[:, :, shift : shift + width] for shift in range(2 * reach + 1)], axis=0)
