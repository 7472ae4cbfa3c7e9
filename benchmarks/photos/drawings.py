"""Pictures as in a picture book: few flat colours, drawn at any size."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

# name: (sky above, sky below, ground, smoothed edges?)
PAGES = {
    "day": ("#7ec8e3", "#7ec8e3", "#3f7d20", False),
    "day, smooth": ("#f4d35e", "#f4d35e", "#3f7d20", True),
    "dusk": ("#3c6eb4", "#d2e6ff", "#3f7d20", False),
    "dusk, smooth": ("#3c6eb4", "#d2e6ff", "#3f7d20", True),
    "night": ("#0b0b2b", "#0b0b2b", "#11301a", True),
    "white paper": ("#ffffff", "#ffffff", "#eeeeee", True),
    "meadow": ("#88cc88", "#88cc88", "#88cc88", False),
}


def drawings(height: int, width: int) -> dict[str, Tensor]:
    """A hero before a hill in each of PAGES, as frames [height, width, 3]."""
    return {name: _page(height, width, *page) for name, page in PAGES.items()}


def _page(height: int, width: int, above: str, below: str, ground: str, smooth: bool) -> Tensor:
    scale = 4 if smooth else 1
    tall, wide = height * scale, width * scale
    top, bottom = (np.array(Image.new("RGB", (1, 1), colour))[0, 0] for colour in (above, below))
    sky = np.linspace(top, bottom, tall).round().astype(np.uint8)[:, None].repeat(wide, axis=1)
    image = Image.fromarray(sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, tall * 0.75, wide, tall), fill=ground)
    draw.polygon(
        [(wide * 0.7, tall * 0.75), (wide * 0.8, tall * 0.3), (wide * 0.9, tall * 0.75)], fill="#fcbf49"
    )
    y, x, radius = tall * 0.5, wide * 0.4, tall * 0.1
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#d62828")
    draw.rectangle((x - radius * 0.8, y + radius, x + radius * 0.8, y + radius * 2.5), fill="#003049")
    small = image.resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).float() / 255
