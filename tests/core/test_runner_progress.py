"""Events as a live host sent them (prompt ids left out) -> lines."""

from __future__ import annotations

from runner.progress import Progress

GRAPH = {
    "5": {"class_type": "KSampler", "inputs": {}},
    "10": {"class_type": "StoryMemStoryLoop", "inputs": {}},
}
MODES = ("t2v", "mi2v")


def state(id: str, value: float, most: float, state: str = "running") -> dict:
    display = id.split(".")[0]
    return {
        "value": value, "max": most, "state": state, "node_id": id, "display_node_id": display,
        "parent_node_id": None, "real_node_id": id,
    }  # fmt: skip


def event(*nodes: dict) -> dict:
    return {"type": "progress_state", "data": {"nodes": {node["node_id"]: node for node in nodes}}}


def lines(*events: dict, modes=MODES) -> list[str]:
    progress = Progress(GRAPH, modes)
    return [line for event in events for line in progress.lines(event)]


def test_a_line_per_shot_and_step():
    assert lines(
        event(state("10", 1, 1, "finished"), state("10.0.0.1", 0, 1)),
        event(state("10.0.0.1", 1, 2)),
        event(state("10.0.0.1", 2, 2)),
        event(state("10.0.0.1", 2, 2, "finished"), state("10.0.0.2", 0, 1)),
        event(state("10.0.0.1", 2, 2, "finished"), state("10.0.0.2", 1, 1, "finished")),
    ) == [
        "shot 1/2 t2v · step 1/2",
        "shot 1/2 t2v · step 2/2",
        "shot 1/2 t2v · done",
        "shot 2/2 mi2v · found in the store",
    ]


def test_nothing_is_said_twice():
    step = event(state("10.0.0.1", 1, 2))
    finished = event(state("10.0.0.1", 2, 2, "finished"))
    assert lines(step, step, finished, finished) == [
        "shot 1/2 t2v · step 1/2",
        "shot 1/2 t2v · step 2/2",
        "shot 1/2 t2v · done",
    ]


def test_steps_for_which_the_host_was_too_quick_are_told_too():
    told = [f"shot 1/2 t2v · step {n}/4" for n in (1, 2, 3, 4)]
    assert lines(event(state("10.0.0.1", 1, 4)), event(state("10.0.0.1", 4, 4))) == told
    assert lines(event(state("10.0.0.1", 4, 4, "finished"))) == [*told, "shot 1/2 t2v · done"]


def test_a_bar_that_begins_anew_is_told_from_its_start():
    told = lines(event(state("5", 2, 2)), event(state("5", 1, 2)), event(state("5", 1, 3)))
    assert told == [f"KSampler 5 · step {n}" for n in ("1/2", "2/2", "1/2", "1/3")]


def test_a_shot_without_a_step_was_in_the_store():
    assert lines(event(state("10.0.0.2", 1, 1, "finished"))) == ["shot 2/2 mi2v · found in the store"]


def test_the_loops_other_nodes_are_no_shots():
    # The stitch, and the image that a shot begins with.
    others = ("10.0.0.film", "10.0.0.1-start_image")
    assert lines(*(event(state(id, 1, 1, "finished")) for id in others)) == []


def test_nodes_of_any_graph_are_named():
    assert lines(event(state("5", 1, 20)), modes=()) == ["KSampler 5 · step 1/20"]
    # A node of a sub-graph that is not the loop's.
    assert lines(event(state("5.0.0.1", 1, 20))) == ["KSampler 5 · step 1/20"]


def test_other_events_are_silent():
    assert lines({"type": "executing", "data": {"node": "5", "display_node": "5"}}) == []
    assert lines(event(state("5", 0, 20), state("10", 1, 1, "finished"))) == []
