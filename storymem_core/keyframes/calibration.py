"""From which likeness on two frames show the same view: found for an embedder on a person's own pictures.

A threshold of one embedder says nothing about another. From each picture short shots are made (a slow pan and
zoom, drifting exposure, something small that moves, sensor noise) and cuts. Two frames of one shot show the
SAME view. Cuts show a NEW view: another part of the same place, or a close-up of it, both as hard as a story
gets: one place, one light. The threshold is where equally many of the same views are taken for new ones and
of the new views for the same (equal error rate). Other places are far easier, so they do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import StoryMemError
from .embedders import Embedder

HEIGHT, WIDTH = 240, 416
FRAMES = 5
"""Of one shot; two cuts stand behind them."""

SHOTS = 48
"""So many in all, shared by the pictures."""

FEWEST = 4
"""Pictures with which a threshold is found at all; with eight it moves by .01 if one is left out."""

_GRID = torch.arange(0, 101) / 100


class Calibration(NamedTuple):
    threshold: float
    """In hundredths."""
    mistaken: float
    """What part of the views is taken for the wrong kind there, 0..1; a coin takes .5."""


class Cosines(NamedTuple):
    """Pairs of frames, and which picture each is from: [P] each."""

    same: Tensor
    elsewhere_here: Tensor
    close_up: Tensor
    other_place: Tensor
    same_of: Tensor
    new_of: Tensor

    @property
    def new(self) -> Tensor:
        """New views of the same place."""
        return torch.cat([self.elsewhere_here, self.close_up])


def calibrate(embedder: Embedder, images: Tensor) -> Calibration:
    """The threshold of an embedder, whatever it says of itself.

    Args:
        images: float [N, H, W, 3], 0..1, each of another place; frames of the story's kind serve best.

    Raises:
        StoryMemError: fewer than FEWEST images.
    """
    if len(images) < FEWEST:
        raise StoryMemError(
            f"calibrating an embedder takes at least {FEWEST} images, each of a different place",
            value=len(images),
            remedy="Connect more: eight frames from films like yours are enough.",
        )
    pictures = [image[..., :3].float().cpu().movedim(-1, 0) for image in images]
    pairs = cosines(embedder, pictures, -(-SHOTS // len(pictures)))
    threshold = chosen(pairs)
    at = torch.tensor([threshold])
    mistaken = (float(below(pairs.same, at)) + 1 - float(below(pairs.new, at))) / 2
    return Calibration(threshold, mistaken)


def view(
    image: Tensor, height: int, width: int, window: tuple[float, float, float] = (0.5, 0.5, 1.0)
) -> Tensor:
    """What a camera sees of a picture, as a frame [height, width, 3].

    Args:
        image: float [3, H, W], 0..1.
        window: where the camera looks: its centre as parts of the picture's height and width, and its own
            height, 1.0 being as much of the picture as the frame's shape allows.
    """
    _, rows, columns = image.shape
    tall = min(rows, columns * height / width) * window[2]
    wide = tall * width / height
    top = min(max(window[0] * rows - tall / 2, 0), rows - tall)
    left = min(max(window[1] * columns - wide / 2, 0), columns - wide)
    part = image[:, round(top) : round(top + tall), round(left) : round(left + wide)]
    seen = F.interpolate(part[None], (height, width), mode="bicubic", antialias=True).clamp(0, 1)
    return seen[0].movedim(0, -1).contiguous()


def shot(image: Tensor, generator: torch.Generator) -> list[Tensor]:
    """FRAMES frames of one take, then a cut to another part of the same picture, then one to a close-up."""

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    size = draw(0.45, 0.6)
    margin = size / 2
    y, x = draw(margin, 1 - margin), draw(margin, 1 - margin)
    pan_y, pan_x, zoom, gain = draw(-0.06, 0.06), draw(-0.06, 0.06), draw(0.87, 1.0), draw(0.85, 1.15)
    mover_y, mover_x, walk = draw(0.2, 0.7), draw(0.2, 0.7), draw(-0.05, 0.05)
    frames = []
    for part in torch.linspace(0, 1, FRAMES).tolist():
        frame = view(image, HEIGHT, WIDTH, (y + pan_y * part, x + pan_x * part, size * zoom**part))
        frame = _moved(frame, mover_y, mover_x, walk * part) * gain**part
        frames.append(_seen(frame, generator))
    # The corner farthest away, or a close-up of the middle.
    far_y, far_x = (margin if y > 0.5 else 1 - margin), (margin if x > 0.5 else 1 - margin)
    for window in ((far_y, far_x, size), (y, x, size / draw(2.2, 3.0))):
        frames.append(_seen(view(image, HEIGHT, WIDTH, window), generator))
    return frames


def cosines(embedder: Embedder, pictures: Sequence[Tensor], shots: int) -> Cosines:
    """Embed `shots` shots of each picture [3, H, W], always the same; compare the first frame of each."""
    generator = torch.Generator().manual_seed(0)
    frames = [frame for picture in pictures for _ in range(shots) for frame in shot(picture, generator)]
    rows = embedder(torch.stack(frames)).reshape(len(pictures), shots, FRAMES + 2, -1)
    first = rows[:, :, 0]
    to_first = (rows * first[:, :, None]).sum(-1)
    of = torch.arange(len(pictures))[:, None].expand(-1, shots)
    flat = first.flatten(0, 1)
    different = of.flatten()[:, None] != of.flatten()[None]
    return Cosines(
        same=to_first[:, :, 1:FRAMES].flatten(),
        elsewhere_here=to_first[:, :, FRAMES].flatten(),
        close_up=to_first[:, :, FRAMES + 1].flatten(),
        other_place=(flat @ flat.T)[different],
        same_of=of.repeat_interleave(FRAMES - 1, dim=1).flatten(),
        new_of=of.flatten(),
    )


def chosen(pairs: Cosines) -> float:
    return equal_error(pairs.same, pairs.new)


def equal_error(same: Tensor, new: Tensor) -> float:
    """The threshold, in hundredths, at which as many same views fall below it as new views reach it; the
    middle of such thresholds if there are several."""
    difference = (below(same, _GRID) - (1 - below(new, _GRID))).abs()
    best = (difference == difference.min()).nonzero().flatten()
    return int(best[len(best) // 2]) / 100


def below(values: Tensor, thresholds: Tensor) -> Tensor:
    """What part of `values` lies below each of `thresholds` [T] -> [T]."""
    return (values[None] < thresholds[:, None]).double().mean(1)


def _moved(frame: Tensor, y: float, x: float, walk: float) -> Tensor:
    """A patch of a quarter of the height, moved sideways by `walk` of the width."""
    top, left, side, by = round(y * HEIGHT), round(x * WIDTH), HEIGHT // 4, round(walk * WIDTH)
    patch = frame[top : top + side, left : left + side].clone()
    frame[top : top + side, left + by : left + by + side] = patch
    return frame


def _seen(frame: Tensor, generator: torch.Generator) -> Tensor:
    return (frame + 0.01 * torch.randn(frame.shape, generator=generator)).clamp(0, 1)
