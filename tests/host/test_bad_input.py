"""Bad scripts, sizes, lengths and settings: refused before any model is called, by node, value and remedy."""

from __future__ import annotations

import pytest
from node_calls import bank_of, images
from refusals import LOOP, SAMPLER, SHOT, SIZED, STORIES, good, refused, script

pytestmark = pytest.mark.usefixtures("no_sampling")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "scene 1: expected at least one shot, got nothing"),
        ("  \n\n ", "scene 1: expected at least one shot, got nothing"),
        ("---", "scene 1: expected at least one shot, got nothing"),
        ('{"scenes": []}', "story, scenes: expected a list with at least one entry"),
        ('{"scenes": [{"video_prompts": []}]}', "scene 1, video_prompts: expected a list with at least one"),
        ('{"scenes": 7}', "story, scenes: expected a list"),
        ('{"scenes": [{"cut": [true]}]}', "scene 1"),
        ('{"scenes": [', "JSON"),
    ],
)
def test_an_empty_or_malformed_script(text, says):
    with pytest.raises(ValueError) as caught:
        script(text)
    message = str(caught.value)
    assert message.startswith("StoryMemScript: ")
    assert says in message
    assert f"(got {text!r}). " in message
    assert not message.endswith("). ")


def test_all_defects_of_a_script_are_told_at_once():
    document = {"scenes": [{"video_prompts": ["A", ""], "cut": ["maybe", True], "length": [80, None]}]}
    with pytest.raises(ValueError, match="StoryMemScript") as caught:
        script(document)
    for place in ("scene 1, shot 1, cut", "scene 1, shot 1, length", "scene 1, shot 2, prompt"):
        assert place in str(caught.value)


@pytest.mark.parametrize("node", SIZED)
@pytest.mark.parametrize(("width", "height"), [(40, 32), (32, 24)])
def test_a_size_not_divisible_by_16(parts, node, width, height):
    given = good(node, parts) | {"width": width, "height": height}
    refused(node, given, "width and height must be divisible by 16", f"{width}x{height}")


@pytest.mark.parametrize("node", SIZED)
@pytest.mark.parametrize(("length", "remedy"), [(80, "Use 77 or 81."), (6, "Use 5 or 9.")])
def test_a_length_that_is_not_4k_1(parts, node, length, remedy):
    given = good(node, parts) | {"length": length}
    assert refused(node, given, r"must be a whole number of the form 4k\+1", length).endswith(remedy)


@pytest.mark.parametrize("node", STORIES)
@pytest.mark.parametrize("overlap", [3, 4])
def test_an_overlap_that_is_not_4k_1(parts, node, overlap):
    given = good(node, parts) | {"overlap": overlap}
    refused(node, given, r"an overlap must be a whole number of the form 4k\+1", overlap)


def test_a_shot_no_longer_than_its_overlap(parts):
    refused(LOOP, good(LOOP, parts) | {"overlap": 5}, "adds nothing to the 5 frames it starts from", 5)
    given = good(SHOT, parts) | {"overlap": 5, "cut": False, "start_frames": images(5)}
    refused(SHOT, given, "start frames fill the whole shot of 5", 5)


@pytest.mark.parametrize("node", ["StoryMemShotConditioning", SAMPLER])
@pytest.mark.parametrize(
    ("count", "says"),
    [(2, r"number of start frames must be 4k\+1"), (4, r"must be 4k\+1"), (5, "fill the whole shot of 5")],
)
def test_a_batch_of_start_frames_that_is_not_1_or_4k_1(parts, node, count, says):
    refused(node, good(node, parts) | {"start_frames": images(count)}, says, count)


@pytest.mark.parametrize("node", STORIES)
def test_fewer_start_frames_than_the_overlap(parts, node):
    continued = {"script": script("[continue] A pen.")} if node == LOOP else {"cut": False}
    given = good(node, parts) | continued | {"overlap": 5, "length": 9, "start_frames": images(2)}
    refused(node, given, "continues from 5 frames needs at least 5 start_frames", 2)


def test_a_first_shot_that_continues_without_a_start(parts):
    given = good(LOOP, parts) | {"script": script("[continue] A pen.")}
    refused(LOOP, given, "scene 1, shot 1, cut: the first shot is a continued one", False)
    given = good(SHOT, parts) | {"cut": False}
    refused(SHOT, given, "the first shot of a story is a continued one", "no start_frames")


@pytest.mark.parametrize("node", STORIES)
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("spacing", -1.0, "spacing of memory frames must be a finite number >= 0"),
        ("spacing", float("nan"), "spacing of memory frames must be a finite number >= 0"),
        ("cfg_low", float("nan"), "cfg_low must be a finite number"),
        ("boundary", float("inf"), "boundary must be a finite number"),
        ("sampler_name", "best", "unknown sampler"),
        ("scheduler", "best", "unknown scheduler"),
    ],
)
def test_settings_that_no_sampler_takes(parts, node, name, value, says):
    """The host itself refuses -1 and unknown names in a prompt, not in a sub-graph; NaN passes it."""
    refused(node, good(node, parts) | {name: value}, says, value)


@pytest.mark.parametrize("node", [*STORIES, SAMPLER])
def test_a_single_step_for_an_expert_that_uni_pc_cannot_do(parts, node):
    given = good(node, parts) | {"sampler_name": "uni_pc"}
    refused(node, given, "uni_pc cannot sample a single step", "1 + 1 steps")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fps": 0.0}, "fps must be above 0"),
        ({"fps": -16.0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"crossfade": -1}, "crossfade must be a whole number >= 0"),
        ({"crossfade": 6}, "shot 'b' adds 5 frames to the film, and its cross-fades take 6"),
    ],
)
def test_a_film_that_cannot_be_stitched(parts, change, says):
    """Told before the first shot is made. The host itself refuses fps below 1 and a negative cross-fade."""
    two_cuts = {"scenes": [{"video_prompts": ["A", "B"], "id": ["a", "b"], "length": [9, 5]}]}
    ((name, value),) = change.items()
    given = good(LOOP, parts) | {"script": script(two_cuts), **change}
    refused(LOOP, given, says, 5 if name == "crossfade" and value > 0 else value)


@pytest.mark.parametrize("node", STORIES)
@pytest.mark.parametrize(
    ("line", "says", "value"),
    [
        ("keep 3", "not a memory edit", "keep 3"),
        ("pin 2", "a number alone would mean a different frame", "2"),
        ("add hero", "only a frame of a shot can be added", "add hero"),
    ],
)
def test_edits_of_a_storys_memory_that_are_none(parts, node, line, says, value):
    refused(node, good(node, parts) | {"memory_edits": line}, says, value)


@pytest.mark.parametrize(
    ("edits", "says", "value"),
    [
        ("pin 1\nmove 2", "not a memory edit", "move 2"),
        ("drop 3", "no frame with this name or number", "drop 3"),
        ("restore 1", "no frame with this name or number is set aside", "restore 1"),
        ("move 1 to 9", "a number that exists in the memory", 9),
        ("pin 2", "a sink of 1 and 1 pinned frames leave no room for new ones", ["reference 2:0"]),
    ],
)
def test_edits_that_cannot_be_made(pack, edits, says, value):
    memory = bank_of(images(2), sink=1, capacity=2)[0]
    refused("StoryMemMemoryEdit", {"memory": memory, "edits": edits}, says, value)


def test_more_names_than_references(pack):
    wired = {"references.reference_0": images(2), "names": "hero, castle"}
    refused("StoryMemMemoryBank", wired, "2 names for 1 reference inputs", "hero, castle")
