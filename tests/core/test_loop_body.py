from __future__ import annotations

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.making import loop_body

OPEN, CLOSE = loop_body.OPEN, loop_body.CLOSE


def node(class_type: str, **inputs):
    return {"class_type": class_type, "inputs": inputs}


PROMPT = {
    "load": node("Loader", name="wan"),
    "script": node("Script", text="A fox."),
    "open": node(OPEN, script=["script", 0], seed=1),
    "text": node("Encode", clip=["load", 1], text=["open", 1]),
    "sample": node("Sample", model=["load", 0], positive=["text", 0], seed=["open", 3], steps=4),
    "scale": node("Scale", image=["sample", 0], factor=2.0),
    "look": node("Preview", images=["sample", 0]),
    "close": node(CLOSE, loop=["open", 0], images=["scale", 0]),
    "save": node("SaveVideo", video=["close", 0]),
    "name": node("Name", film=["close", 0], prompt=["open", 1]),
    "aside": node("Preview", images=["load", 2]),
}


def find(prompt=PROMPT, **more):
    return loop_body.find(prompt, "close", "open", **more)


def changed(id: str, **inputs):
    return {**PROMPT, id: {**PROMPT[id], "inputs": {**PROMPT[id]["inputs"], **inputs}}}


def test_the_body_is_what_lies_between():
    body = find()
    assert set(body.nodes) == {"text", "sample", "scale", "look"}
    assert (body.frames, body.opened) == (("scale", 0), "open")


def test_a_copy_is_linked_to_its_shot_and_to_the_same_outside():
    copies = find().copies("shot 2", "2.")
    sample = node("Sample", model=["load", 0], positive=["2.text", 0], seed=["shot 2", 3], steps=4)
    assert copies == {
        "2.text": {
            **node("Encode", clip=["load", 1], text=["shot 2", 1]),
            "override_display_id": "text",
        },
        "2.sample": {**sample, "override_display_id": "sample"},
        "2.scale": {**node("Scale", image=["2.sample", 0], factor=2.0), "override_display_id": "scale"},
        "2.look": {**node("Preview", images=["2.sample", 0]), "override_display_id": "look"},
    }


def test_which_of_the_opens_outputs_it_uses():
    assert [find().uses(output) for output in range(5)] == [False, True, False, True, False]


def test_copies_change_nothing_of_the_prompt():
    before = repr(PROMPT)
    find().copies("shot", "1.")
    assert repr(PROMPT) == before


@pytest.mark.parametrize(
    "other",
    [
        changed("scale", factor=3.0),
        changed("load", name="another"),
        changed("scale", image=["sample", 1]),
        changed("close", images=["sample", 0]),
        changed("sample", seed=["open", 2]),
    ],
    ids=["a widget", "a node outside", "another output", "another end", "another value of the shot"],
)
def test_another_body_is_made_of_something_else(other):
    assert find(other).made_of != find().made_of


@pytest.mark.parametrize(
    "same",
    [
        changed("open", seed=2),
        changed("script", text="A cat."),
        changed("look", images=["scale", 0]),
        changed("aside", images=["load", 1]),
    ],
    ids=["the seed", "the script", "a preview", "a node beside"],
)
def test_what_the_frames_do_not_come_from_counts_elsewhere_or_not_at_all(same):
    assert find(same).made_of == find().made_of


def test_names_of_nodes_do_not_count():
    def renamed(value):
        if isinstance(value, list):
            return [f"n{value[0]}", value[1]]
        return value

    prompt = {
        f"n{id}": node(told["class_type"], **{key: renamed(value) for key, value in told["inputs"].items()})
        for id, told in reversed(PROMPT.items())
    }
    assert loop_body.find(prompt, "nclose", "nopen").made_of == find().made_of


def test_a_file_counts_by_what_is_in_it():
    one, two, same = (find(content={"wan": text}.get) for text in ("one", "two", "one"))
    assert one.made_of == same.made_of != two.made_of


def test_the_frames_must_come_from_the_open():
    with pytest.raises(StoryMemError, match=r"do not come from this Open \(got 'Loader load'\)"):
        find(changed("close", images=["load", 0]))
    with pytest.raises(StoryMemError, match=r"do not come from this Open \(got None\)"):
        find(changed("close", images=None))


def test_the_loop_must_come_from_an_open():
    with pytest.raises(StoryMemError, match=r"come from a Story Loop Open.*\(got 'Loader load'\)"):
        loop_body.find(PROMPT, "close", "load")


def test_two_loops_side_by_side():
    second = {
        "open 2": node(OPEN, script=["script", 0]),
        "draw": node("Draw", text=["open 2", 1], look=["close", 0]),
        "close 2": node(CLOSE, loop=["open 2", 0], images=["draw", 0]),
    }
    assert find({**PROMPT, **second}) == find()
    assert set(loop_body.find({**PROMPT, **second}, "close 2", "open 2").nodes) == {"draw"}


def test_loops_that_cross_are_refused():
    prompt = {**changed("sample", seed=["open 2", 3]), "open 2": node(OPEN, script=["script", 0])}
    with pytest.raises(StoryMemError, match="to the bodies of two loops"):
        find(prompt)


def test_a_loop_in_a_loop_is_refused():
    inner = {
        "open 2": node(OPEN, script=["script", 0], length=["open", 4]),
        "draw": node("Draw", text=["open 2", 1]),
        "close 2": node(CLOSE, loop=["open 2", 0], images=["draw", 0]),
    }
    prompt = {**changed("scale", image=["close 2", 2]), **inner}
    with pytest.raises(StoryMemError, match="to the bodies of two loops"):
        find(prompt)
