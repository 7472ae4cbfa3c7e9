"""Parts of the small world: of what scenes by chance are chosen (standard library only: recipes tell it)."""

from __future__ import annotations

from typing import Any

Among = tuple[tuple[str, tuple[Any, ...]], ...]
"""Fields of a scene, and what each is chosen from, all alike."""
EVERYTHING: Among = ()
MIDDLE: Among = (
    ("who", ("hero",)),
    ("newcomer", (False,)),
    ("action", ("jumps", "waves", "dances", "sits")),
    ("framing", ("medium",)),
    ("move", ("still",)),
    ("x0", (0.5,)),
    ("facing", (1,)),
)
"""The hero alone, in the middle of the picture: a part of the world that very small models can learn. Of all
of it they learn the places and no heroes."""
