"""A loop around nodes of the user's own, at each of the host's cache settings: what runs, and how often."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from short_story import PACKS, SHOTS, decoded, script

from runner import client
from runner.errors import JobError
from runner.server import Server
from storymem_core.store.project import Project

CACHES = {"default": (), "lru": ("--cache-lru", "50"), "none": ("--cache-none",)}
CLOSE = {"loop": ["open", 0], "images": ["scale", 0], "fps": 16.0, "crossfade": 0, "interpolation": 1}
OPEN = {"length": 5, "seed": 1, "negative_prompt": "", "overlap": 1, "keyframes": 2}


def graph(project: str, *shots: Any, **close: Any) -> dict[str, Any]:
    """A loop whose body draws a shot and scales it to twice its size."""
    shot = {"prompt": ["open", 1], "seed": ["open", 3], "length": ["open", 4], "start_frames": ["open", 6]}
    seen = {"memory": ["open", 7], "brightness": ["load", 0]}
    twice = {"upscale_method": "nearest-exact", "crop": "disabled", "width": 64, "height": 64}
    nodes = {
        "script": ("StoryMemScript", {"text": script(*(shots or SHOTS))}),
        "open": ("StoryMemStoryLoopOpen", {"script": ["script", 0], "project": project, **OPEN}),
        "load": ("ProbeLoad", {"name": f"{project} load"}),
        "draw": ("ProbeDraw", {"name": f"{project} draw", **shot, **seen}),
        "scale": ("ImageScale", {"image": ["draw", 0], **twice}),
        "close": ("StoryMemStoryLoopClose", CLOSE | close),
    }
    return {id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}


class Ran:
    """What one run of a graph did: what was shown and drawn, and how often the loader ran."""

    def __init__(self, server: Server, project: str, graph: dict[str, Any]):
        files = [server.output / f"{project} {name}.jsonl" for name in ("draw", "load")]
        before = [len(_lines(file)) for file in files]
        self.outputs = client.run(server.url, graph)
        self.drawn, self.loaded = (_lines(file)[count:] for file, count in zip(files, before, strict=True))
        self.folder = server.output / project
        self.rows = json.loads((self.folder / "story.json").read_text())["shots"]

    @property
    def reused(self) -> list[bool]:
        return [row["reused"] for row in self.rows]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture(scope="module", params=CACHES)
def cached_server(request, server, comfyui, models, tmp_path_factory):
    """A server at each cache setting."""
    arguments, output = CACHES[request.param], tmp_path_factory.mktemp(request.param)
    if not arguments:
        yield server
        return
    with Server(comfyui, models, output, packs=PACKS, cpu=True, arguments=arguments) as other:
        yield other


def test_a_body_runs_once_for_each_shot_that_is_not_stored(cached_server):
    ran = Ran(cached_server, "loop", graph("loop"))
    assert [line["prompt"] for line in ran.drawn] == [shot["prompt"] for shot in SHOTS]
    assert len(ran.loaded) == 1, "what stands outside of the body runs once"
    assert [line["start"] is not None for line in ran.drawn] == [False, True, False, True]
    assert [line["memory"] for line in ran.drawn] == [len(row["memory"]) for row in ran.rows]
    assert [len(row["memory"]) > 0 for row in ran.rows] == [False, True, True, True]
    assert [row["seed"] for row in ran.rows] == [line["seed"] for line in ran.drawn]
    assert ran.reused == [False] * 4
    film = decoded(ran.folder / "film.mp4")
    assert film.shape == (5 + 4 + 5 + 4, 64, 64, 3)

    again = Ran(cached_server, "loop", graph("loop"))
    assert (again.drawn, again.loaded, again.reused) == ([], [], [True] * 4)

    shots = [shot | {"prompt": "The fox drinks."} if shot["id"] == "lake" else shot for shot in SHOTS]
    changed = Ran(cached_server, "loop", graph("loop", *shots))
    assert [line["prompt"] for line in changed.drawn] == ["The fox drinks.", SHOTS[3]["prompt"]]
    assert len(changed.loaded) <= 1
    assert changed.rows[2]["changed"] == ["prompt"]

    # A lost shot is drawn again as it was; those after it, which are stored, are not.
    frames = changed.folder / "store" / changed.rows[0]["key"] / "frames.mkv"
    frames.write_bytes(frames.read_bytes()[:-1])
    mended = Ran(cached_server, "loop", graph("loop", *shots))
    assert [line["prompt"] for line in mended.drawn] == [SHOTS[0]["prompt"]]
    assert mended.reused == [False, True, True, True]
    assert [row["key"] for row in mended.rows] == [row["key"] for row in changed.rows]


def test_a_story_deleted_from_disk_is_made_again(server):
    one = graph("deleted", SHOTS[0])
    before = Ran(server, "deleted", one)
    shutil.rmtree(before.folder)
    again = Ran(server, "deleted", one)
    assert (len(again.drawn), again.reused) == (1, [False])
    assert [row["key"] for row in again.rows] == [row["key"] for row in before.rows]
    assert [shot["shot_id"] for shot in Project.open(again.folder).outline().shots] == ["wake"]


def test_a_changed_body_makes_all_shots_again(server):
    one = graph("body", *SHOTS[:2])
    one["look"] = {"class_type": "PreviewImage", "inputs": {"images": ["draw", 0]}}
    first = Ran(server, "body", one)
    looked = [id for id, output in first.outputs.items() if output.get("images") and "look" in id]
    assert len(looked) == 2, "a preview in the body shows each shot that is made"
    other = json.loads(json.dumps(one))
    other["scale"]["inputs"]["upscale_method"] = "area"
    ran = Ran(server, "body", other)
    assert ran.reused == [False] * 2
    assert ran.rows[0]["changed"] == ["body"]


def test_a_body_that_does_not_begin_at_the_open_is_refused(server):
    lost = graph("lost", images=["load", 0])
    lost["alone"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 5, "color": 0},
    }
    lost["close"]["inputs"]["images"] = ["alone", 0]
    says = "StoryMemStoryLoopClose: the loop body must lead from Story Loop Open"
    with pytest.raises(JobError, match=says):
        client.run(server.url, lost)


def test_a_shots_error_is_told_with_its_number(server):
    odd = graph("odd", *SHOTS[:1])
    odd["scale"]["inputs"]["width"] = 63
    with pytest.raises(JobError, match=r"StoryMemStoryLoopClose, shot 1 \(wake\): a film's width and height"):
        client.run(server.url, odd)


def test_a_given_clip_goes_on_and_is_exported(server):
    """The way of a clip: the first shot, the loop behind it, and the film for another program."""
    told = graph("given", SHOTS[1])
    size = {"width": 64, "height": 64}
    nodes = {
        "clip": ("EmptyImage", {**size, "batch_size": 9, "color": 0x4080C0}),
        "given": (
            "StoryMemGivenClip",
            {
                "images": ["clip", 0],
                "project": "given",
                "keyframes": 1,
                "clip_fps": 32.0,
                "fps": 16.0,
                **size,
            },
        ),
        "silence": ("EmptyAudio", {"duration": 2.0, "sample_rate": 8000, "channels": 1}),
        "export": (
            "StoryMemFilmExport",
            {"story": ["close", 1], "format": "prores", "fps": 16.0, "crossfade": 0, "audio": ["silence", 0]},
        ),
    }
    told["open"]["inputs"]["story"] = ["given", 0]
    told |= {id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}
    ran = Ran(server, "given", told)
    assert [(row["mode"], row["frames"], row["dropped"]) for row in ran.rows] == [
        ("given", 5, 0),
        ("mi2v", 5, 1),
    ]
    assert (ran.drawn[0]["number"], ran.drawn[0]["memory"]) == (0, 1)
    assert ran.drawn[0]["start"] == [pytest.approx((0x40 + 0x80 + 0xC0) / 3 / 255, abs=1e-3)]
    assert len(decoded(ran.folder / "export/prores/film.mov")) == 5 + 4
    assert (ran.folder / "export/prores/film.otio").is_file()
