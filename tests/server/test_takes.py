"""Takes over the API: a Story Project before the loop, queue after queue."""

from __future__ import annotations

import json

from short_story import SHOTS, graph, tell

from runner import client, graphs
from storymem_core.script.script import take_seed


def with_project(graph, **action):
    """The graph with a Story Project in front of its loop, which names the loop's folder."""
    loop = graphs.only(graph, graphs.LOOP)
    inputs = {"action": "look", "shot": "", "take": 1, "project": graph[loop]["inputs"]["project"], **action}
    desk = {"class_type": "StoryMemStoryProject", "inputs": inputs}
    wired = {**graph[loop], "inputs": {**graph[loop]["inputs"], "project": ["desk", 0]}}
    return {**graph, "desk": desk, loop: wired}


def clips(told):
    """The film's shots: each one's file and sha256."""
    return {name: file["sha256"] for name, file in told.story["files"].items() if name.startswith("shots/")}


def test_takes_are_rolled_kept_redone_and_chosen_again_over_the_api(server):
    story = graph("takes", *SHOTS[:3])

    def queue(**action):
        told = tell(server, "takes", with_project(story, **action))
        return told, [row["reused"] for row in told.rows], len(told.sampled["high_noise_model"])

    first, _, sampled = queue()  # a look into a folder that is not there yet
    assert sampled == 3
    second, reused, sampled = queue(action="take", shot="wake", take=2)
    assert (reused, sampled) == ([False, True, True], 1)
    assert second.rows[0]["take"] == 2
    assert second.rows[0]["seed"] == take_seed(first.rows[0]["seed"], 2)
    assert second.rows[1]["stale"] == ["start frames", "memory"] and second.rows[2]["stale"] == ["memory"]
    assert second.film != first.film
    again, reused, sampled = queue(action="take", shot="wake", take=2)  # the unchanged graph
    assert (reused, sampled, again.film) == ([True] * 3, 0, second.film)
    third, reused, sampled = queue(action="redo", shot="2")
    assert (reused, sampled) == ([True, False, True], 1)
    assert [row["stale"] for row in third.rows] == [[], [], ["memory"]]
    back, reused, sampled = queue(action="take", shot="1", take=1)
    assert (reused, sampled) == ([True] * 3, 0)
    assert back.rows[0]["key"] == first.rows[0]["key"]
    whole, reused, sampled = queue(action="redo", shot="all")
    # The film holds the queued graph, in which the desk does something else; its clips are the same bytes.
    assert (reused, sampled, clips(whole)) == ([True] * 3, 0, clips(first))


def test_a_film_is_stitched_from_a_folder_alone(server):
    told = tell(server, "alone", graph("alone", *SHOTS[:2]))
    (told.folder / "film.mp4").unlink()
    desk = {"project": "alone", "action": "look", "shot": "", "take": 1}
    stitch = {"story": ["desk", 1], "fps": 8.0, "crossfade": 0}
    client.run(
        server.url,
        {
            "desk": {"class_type": "StoryMemStoryProject", "inputs": desk},
            "stitch": {"class_type": "StoryMemShotStitch", "inputs": stitch},
        },
    )
    record = json.loads((told.folder / "story.json").read_text())
    assert (record["fps"], record["frames"], (told.folder / "film.mp4").exists()) == (8, 9, True)
