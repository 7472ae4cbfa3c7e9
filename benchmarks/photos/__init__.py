"""Real photographs that scikit-image and scikit-learn bundle (no download), and views of them.

Frames are float [H, W, 3] in 0..1. A window is where a camera looks: its centre as parts of the photo's
height and width, and its own height, 1.0 being as much of the photo as the frame's shape allows.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SCENES = {
    "astronaut": "skimage/data/astronaut.png",
    "camera": "skimage/data/camera.png",
    "chelsea": "skimage/data/chelsea.png",
    "china": "sklearn/datasets/images/china.jpg",
    "coffee": "skimage/data/coffee.png",
    "flower": "sklearn/datasets/images/flower.jpg",
    "motorcycle": "skimage/data/motorcycle_left.png",
    "rocket": "skimage/data/rocket.jpg",
}
# The motorcycle from a step to the right: what little parallax does.
NEIGHBOUR = {"motorcycle": "skimage/data/motorcycle_right.png"}
# Photographs without a scene: textures, and what microscopes and telescopes see. Left out are pictures that
# are themselves smeared (clock_motion) or out of focus (cell), drawings and diagrams.
TEXTURES = {
    name.split(".")[0]: f"skimage/data/{name}"
    for name in (
        "brick.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "page.png",
        "retina.jpg",
    )
}


@cache
def photo(path: str) -> Tensor:
    """A bundled photo, float [3, H, W], by its path within the installed packages. Do not write to it."""
    package, _, rest = path.partition("/")
    [folder] = find_spec(package).submodule_search_locations  # type: ignore[union-attr]
    pixels = np.asarray(Image.open(Path(folder, rest)).convert("RGB"))
    return torch.from_numpy(pixels.copy()).movedim(-1, 0).float() / 255


def view(
    image: Tensor, height: int, width: int, window: tuple[float, float, float] = (0.5, 0.5, 1.0)
) -> Tensor:
    """What a camera sees of `image` [3, H, W] through `window`, as a frame [height, width, 3]."""
    _, rows, columns = image.shape
    tall = min(rows, columns * height / width) * window[2]
    wide = tall * width / height
    top = min(max(window[0] * rows - tall / 2, 0), rows - tall)
    left = min(max(window[1] * columns - wide / 2, 0), columns - wide)
    part = image[:, round(top) : round(top + tall), round(left) : round(left + wide)]
    seen = F.interpolate(part[None], (height, width), mode="bicubic", antialias=True).clamp(0, 1)
    return seen[0].movedim(0, -1).contiguous()
