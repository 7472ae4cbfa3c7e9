"""Real photographs that scikit-image and scikit-learn bundle (no download), and views of them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from storymem_core.keyframes.calibration import view as view

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
