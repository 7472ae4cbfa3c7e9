"""How the workflows stand on the canvas: which nodes form a group, in which order, beside which notes.

Sizes and positions follow from it (drawing.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import notes
from noting import Note, files_note

Node = str
"""A node's id in the API graph."""


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes, left to right; each column top to bottom.

    Attributes:
        room: height that stays free at the bottom, for what its nodes show after a run.
    """

    title: str
    columns: tuple[tuple[Node | Note, ...], ...]
    room: int = 0


@dataclass(frozen=True)
class Row:
    """Groups side by side."""

    parts: tuple[Group | Note, ...]


@dataclass(frozen=True)
class Layout:
    """Columns of groups, left to right; each column top to bottom, its last nodes as wide as the column.

    Attributes:
        sizes: node -> least width and height, where its texts or its preview need more than the page gives.
    """

    columns: tuple[tuple[Group | Note | Row, ...], ...]
    sizes: Mapping[Node, tuple[int, int]] = field(default_factory=dict)


FILM_ROOM = 360
"""What a wide film needs below Story Loop, once it is there."""


def _story(
    files: tuple[Note, ...],
    models: tuple[tuple[Node, ...], ...],
    memory: tuple[tuple[Node | Note, ...], ...],
    script: Node,
    film: Group,
    title: str = "Memory",
) -> tuple[tuple[Group | Note | Row, ...], ...]:
    """The columns of a graph around Story Loop: notes, what goes in, the film."""
    remembered = (Group(title, memory),) if memory else ()
    return files, (Group("Models", models), *remembered, Group("Story", ((script,),))), (film,)


def _loop(node: Node) -> Group:
    return Group("Film", ((node,),), room=FILM_ROOM)


def _host_shot(number: int, title: str, *starts: Node) -> Group:
    """A shot of the host's own nodes, whose ids begin with its number."""
    prompt, latent, high, low, frames = (f"{number}{place}" for place in (0, 2, 3, 4, 5))
    return Group(title, ((prompt, *starts), (latent,), (high,), (low,), (frames,)))


def _baseline(note: Note, graph: str, *titles: str, keyframes: bool) -> Layout:
    shots = [
        _host_shot(number, title, *([f"{number}1"] if keyframes else []))
        for number, title in enumerate(titles, 1)
    ]
    prompts = {f"{number}0": (400, 150) for number in (1, 2, 3)}
    pictures = {f"{number}1": (400, 300) for number in (1, 2, 3)} if keyframes else {}
    return Layout(
        (
            (note, files_note(graph), Group("Models", (("1", "2", "3", "4"), ("5", "6", "7")))),
            (*shots,),
            (Group("Film", (("50", "51", "52"),)),),
        ),
        {"1": (440, 0), "2": (440, 0), "3": (440, 0), "4": (440, 0), "7": (340, 220), "52": (340, 420)}
        | prompts
        | pictures,
    )


LAYOUTS = {
    "story_demo": Layout(
        (
            (notes.DEMO,),
            (
                Group("Models", (("2", "3"), ("6", "7", "4", "5"))),
                Group("Memory: a hero", ((notes.HERO,), ("10",), ("8",))),
                Group("Story", (("1",),)),
            ),
            (Group("Film", (("9",),), room=540),),
        ),
        {
            "1": (860, 520), "2": (380, 0), "4": (480, 130), "6": (480, 206), "7": (480, 206),
            "8": (300, 380), "9": (420, 900), "10": (300, 380),
        },
    ),
    "story_wan22": Layout(
        _story(
            (files_note("story_wan22", notes.T2V_FILES), notes.STORY),
            (("2", "3"), ("8", "9", "4", "5", "6", "7")),
            (("10",), ("11", "12")),
            "1",
            _loop("13"),
        ),
        {
            "1": (900, 620), "2": (440, 0), "8": (480, 206), "9": (480, 206), "10": (440, 170),
            "12": (480, 210), "13": (480, 1000),
        },
    ),
    "story_wan22_4step": Layout(
        _story(
            (files_note("story_wan22_4step"), notes.FOUR_STEPS, notes.STORY),
            (("2", "3", "8", "9"), ("4", "5"), ("6", "7")),
            ((notes.MEMORY,), ("10", "11")),
            "1",
            _loop("12"),
        ),
        {
            "1": (1200, 400), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "11": (460, 210), "12": (480, 860),
        },
    ),
    "story_wan22_gguf": Layout(
        _story(
            (files_note("story_wan22_gguf"), notes.GGUF, notes.STORY),
            (("2", "3", "4", "5"), ("6", "7")),
            ((notes.MEMORY,), ("8", "9")),
            "1",
            _loop("10"),
        ),
        {
            "1": (960, 420), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "9": (460, 210), "10": (480, 1000),
        },
    ),
    "shot_by_shot": Layout(
        (
            (files_note("shot_by_shot"), notes.BY_HAND),
            (Group("Models", (("1", "2", "5", "6"), ("3", "4"))), Group("Memory", ((notes.MEMORY,), ("7",)))),
            (Group("Shots", (("8",), ("9",), ("10",)), room=160),),
            (Group("Film", (("11",),), room=360),),
        ),
        {
            "1": (440, 0), "2": (440, 0), "5": (440, 0), "6": (440, 0), "3": (460, 206), "4": (460, 206),
            "8": (420, 1180), "9": (420, 1180), "10": (420, 1180), "11": (400, 0),
        },
    ),
    "mi2v_mm2v": Layout(
        (
            (files_note("mi2v_mm2v"), notes.JOINS),
            (
                Group("Models", (("2", "3", "4", "5"), ("6", "7", "8", "9"))),
                Group("Story", (("1",),)),
            ),
            (
                Row(
                    (
                        Group("Joins of one frame", (("10",),), room=FILM_ROOM),
                        Group("Joins of five frames", (("11",),), room=FILM_ROOM),
                    )
                ),
            ),
        ),
        {
            "1": (960, 300), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "8": (460, 206), "9": (460, 206), "10": (440, 960), "11": (440, 960),
        },
    ),
    "references": Layout(
        _story(
            (files_note("references"), notes.REFERENCES),
            (("2", "3", "4", "5"), ("6", "7")),
            (("8", "9"), ("10",)),
            "1",
            _loop("11"),
        ),
        {
            "1": (960, 320), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "8": (440, 330), "9": (440, 330), "10": (460, 400), "11": (480, 960),
        },
    ),
    "upscale_interpolate": Layout(
        (
            *_story(
                (files_note("upscale_interpolate"), notes.LARGER),
                (("2", "3", "4", "5"), ("6", "7")),
                (),
                "1",
                _loop("8"),
            ),
            (
                Group("16 to 24 frames a second", (("9", "10"), ("11",), ("12",), ("13",))),
                Group("Twice the size", (("14",), ("15",), ("16",), ("17",))),
                Group("Larger film", (("18",),)),
            ),
        ),
        {
            "1": (960, 270), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "8": (480, 960), "14": (340, 0), "10": (340, 0), "18": (400, 440),
        },
    ),
    "extend_video": Layout(
        _story(
            (files_note("extend_video"), notes.EXTEND),
            (("5", "6", "9", "10"), ("7", "8")),
            (("1", "2"), ("3",)),
            "4",
            _loop("11"),
            title="Your clip",
        ),
        {
            "1": (560, 480), "2": (560, 0), "3": (460, 540), "4": (960, 300), "5": (440, 0), "6": (440, 0),
            "9": (440, 0), "10": (440, 0), "7": (460, 206), "8": (460, 206), "11": (480, 1040),
        },
    ),
    "draft_then_final": Layout(
        (
            (files_note("draft_then_final"), notes.DRAFT),
            (
                Group("Models", (("2", "3", "4", "5"), ("6", "7"))),
                Group("Story", (("1",),)),
                Group("Draft or film", (("8",), ("9",)), room=240),
            ),
            (_loop("10"),),
        ),
        {
            "1": (960, 440), "2": (440, 0), "3": (440, 0), "4": (440, 0), "5": (440, 0), "6": (460, 206),
            "7": (460, 206), "8": (440, 0), "9": (460, 0), "10": (480, 1000),
        },
    ),
    "own_loop": Layout(
        (
            (files_note("own_loop"), notes.OWN_LOOP),
            (
                Row(
                    (
                        Group("Story", (("8",),)),
                        Group("Models", (("1", "2", "5"), ("6", "18", "21"), ("3", "4"), ("7", "20"))),
                    )
                ),
                Row(
                    (
                        Group("Start of each shot", (("9",),)),
                        Group(
                            "The loop's body: your nodes",
                            (("10", "11"), ("12",), ("13", "14"), ("15", "16"), ("17", "19", "22")),
                        ),
                        Group("Film", (("23",),), room=FILM_ROOM),
                    )
                ),
            ),
        ),
        {
            "1": (440, 0), "2": (440, 0), "5": (440, 0), "6": (340, 0), "18": (340, 0), "21": (340, 0),
            "3": (460, 206), "4": (460, 206), "8": (1000, 400), "9": (420, 700), "23": (460, 0),
        },
    ),
    "any_sampler": Layout(
        (
            (
                Row(
                    (
                        Group("Models", (("1", "2", "3", "4"), ("5", "6", "9"), ("7", "8"))),
                        Group("Memory: a hero", (("12", "10"),)),
                        Group(
                            "Shot 1: a cut that knows the hero",
                            (("11", "20"), ("13",), ("14", "19"), ("15",), ("16",), ("17",)),
                        ),
                        Group("Memory after shot 1", (("18",),)),
                    )
                ),
                Row(
                    (
                        notes.ANY_SAMPLER,
                        Group(
                            "Shot 2: a cut that remembers",
                            (("21", "22"), ("23",), ("24", "25"), ("26",), ("27",), ("28",)),
                        ),
                        Group("Film", (("31", "32", "33"),)),
                    )
                ),
            ),
        ),
        {
            "3": (300, 130), "5": (300, 206), "6": (300, 206), "9": (300, 100), "11": (340, 150),
            "10": (300, 300), "12": (300, 300),
            "14": (300, 386), "18": (320, 440), "19": (300, 386), "21": (340, 150),
            "24": (300, 386), "25": (300, 386), "33": (340, 440),
        },
    ),
    "baseline_independent": _baseline(
        notes.INDEPENDENT, "baseline_independent", "Shot 1", "Shot 2", "Shot 3", keyframes=False
    ),
    "baseline_keyframe_i2v": _baseline(
        notes.KEYFRAMES, "baseline_keyframe_i2v", "Shot 1", "Shot 2", "Shot 3", keyframes=True
    ),
}  # fmt: skip
