"""The client against a live server: results, progress, refusals, failures, interruption."""

from __future__ import annotations

import json
import threading
import time
import urllib.request

import pytest

from runner.client import run, saved_files
from runner.errors import JobError
from runner.progress import Progress


def steps(count: int, seconds: float = 0.01, error: str = "") -> dict:
    return {"class_type": "ProbeSteps", "inputs": {"steps": count, "seconds": seconds, "error": error}}


IMAGE = {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 2, "color": 255}}
SAVE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "tale/page"}}


def queue(server) -> dict:
    with urllib.request.urlopen(f"{server.url}/queue") as answer:
        return json.load(answer)


def test_saved_files_are_found_and_previews_are_not(server):
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    outputs = run(server.url, {"1": IMAGE, "2": SAVE, "3": preview})
    assert set(outputs) == {"2", "3"}
    files = saved_files(outputs, server.output)
    assert [file.relative_to(server.output).as_posix() for file in files] == [
        "tale/page_00001_.png",
        "tale/page_00002_.png",
    ]
    assert all(file.is_file() for file in files)


def test_every_step_is_told(server):
    graph = {"1": steps(4)}
    progress = Progress(graph)
    lines: list[str] = []
    run(server.url, graph, lambda event: lines.extend(progress.lines(event)))
    assert lines == [f"ProbeSteps 1 · step {n}/4" for n in (1, 2, 3, 4)]


def test_shots_of_an_expanded_loop_are_told_apart(server):
    graph = {"10": {"class_type": "ProbeLoop", "inputs": {"rounds": 3, "steps": 2}}}
    # As if the loop were the story's: two shots and a stitch.
    progress = Progress({"10": {"class_type": "StoryMemStoryLoop", "inputs": {}}}, ["t2v", "mi2v"])
    lines: list[str] = []
    run(server.url, graph, lambda event: lines.extend(progress.lines(event)))
    shots = [line for line in lines if line.startswith("shot")]
    assert sorted(shots) == [
        f"shot {shot} · {what}"
        for shot in ("1/2 t2v", "2/2 mi2v")
        for what in ("done", "step 1/2", "step 2/2")
    ]


@pytest.mark.parametrize(
    "graph, told",
    [
        ({"1": {"class_type": "Nowhere", "inputs": {}}}, "Nowhere"),
        ({"1": IMAGE}, "no outputs"),
        ({"1": steps(1) | {"inputs": {}}}, "ProbeSteps 1: Required input is missing: steps"),
    ],
    ids=["unknown node", "no output", "missing input"],
)
def test_a_refused_graph_says_why(server, graph, told):
    with pytest.raises(JobError, match=told):
        run(server.url, graph)


def test_a_graph_of_which_a_part_is_valid_is_refused_whole(server):
    began = time.monotonic()
    with pytest.raises(JobError, match="SaveImage 2: Required input is missing: images"):
        run(server.url, {"1": steps(600, 0.1), "2": SAVE | {"inputs": {"filename_prefix": "x"}}})
    assert not any(queue(server).values())
    assert time.monotonic() - began < 30  # not the minute that the valid part would take


def test_a_nodes_own_words_reach_the_user(server):
    with pytest.raises(JobError) as failed:
        run(server.url, {"1": steps(1, error="shot 3: the boat is too small")})
    assert str(failed.value) == "shot 3: the boat is too small"
    # The server goes on.
    run(server.url, {"1": steps(1)})


def test_an_error_on_our_side_interrupts_the_job(server):
    def stop(event) -> None:
        if event["type"] == "progress_state":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(server.url, {"1": steps(600, 0.1)}, stop)
    assert not any(queue(server).values())


def test_an_interruption_by_somebody_else_is_told(server):
    def interrupt() -> None:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/interrupt", data=b"{}", method="POST"))

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(JobError, match="interrupted"):
        run(server.url, {"1": steps(600, 0.1)})
    timer.join()
