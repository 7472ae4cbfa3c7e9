"""Shots with images and LoRAs of their own, named in a script, on the real server."""

from __future__ import annotations

import numpy as np
from PIL import Image
from short_story import SHOTS, graph, tell

LORA = "storymem_small/Wan2.2-MI2V-A14B/backbone_{}_noise.safetensors"


def draw(server, name: str, seed: int) -> None:
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(colours.repeat(16, 0).repeat(16, 1)).save(server.input / name)


def test_a_film_of_shots_with_things_of_their_own(server):
    draw(server, "door.png", 1)
    wake, trot, lake, _ = SHOTS
    extra = {"high": LORA.format("high"), "low": LORA.format("low"), "strength": 0.5}
    shots = (
        {**wake, "start_image": "door.png"},
        {**trot, "end_image": "door.png", "lora_strength": 0.5},
        {**lake, "lora": extra},
    )
    first = tell(server, "own", graph("own", *shots, length=9))
    assert [row["mode"] for row in first.rows] == ["i2v", "mi2v", "m2v"]
    assert first.rows[0]["start_image"] == first.rows[1]["end_image"] is not None
    for expert in ("high", "low"):
        strengths = [[note["strength"] for note in row["lora"][expert]] for row in first.rows]
        assert strengths == [[1.0], [0.5], [1.0, 0.5]]

    again = tell(server, "own", graph("own", *shots, length=9))
    assert [row["reused"] for row in again.rows] == [True] * 3
    draw(server, "door.png", 2)
    other = tell(server, "own", graph("own", *shots, length=9))
    assert other.rows[0]["changed"] == ["start image"]
    assert "end image" in other.rows[1]["changed"]
    assert other.film != first.film == again.film
