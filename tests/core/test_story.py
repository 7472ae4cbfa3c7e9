"""From a script and the story's settings to every shot of the film."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.script.plan import as_row, plan
from storymem_core.script.script import Script, parse, shot_seed

ROOT = Path(__file__).parents[2]
SCRIPT = parse("A knight rides.\n\n[continue] She halts.\n---\nA castle.\n\n[continue] The gate opens.")
CONTINUES = parse("[continue] A knight rides.\n\nA castle.")


def modes(*args, **settings):
    return [shot.mode for shot in plan(*args, **settings)]


def drops(*args, **settings):
    return [shot.dropped for shot in plan(*args, **settings)]


def test_one_start_frame_is_mi2v_and_more_are_mm2v():
    assert modes(SCRIPT) == ["t2v", "mi2v", "m2v", "mi2v"]
    assert modes(SCRIPT, overlap=5) == modes(SCRIPT, overlap=9) == ["t2v", "mm2v", "m2v", "mm2v"]
    assert drops(SCRIPT) == [0, 1, 0, 1]
    assert drops(SCRIPT, overlap=5) == [0, 5, 0, 5]


def test_the_first_shot_is_text_to_video_only_without_memory_and_start():
    assert modes(SCRIPT, t2v_first=False)[0] == "m2v"
    assert modes(SCRIPT, references=2)[0] == "m2v"
    assert modes(CONTINUES, start_given=True) == ["mi2v", "m2v"]
    assert modes(CONTINUES, start_given=True, overlap=5)[0] == "mm2v"


def test_a_shot_with_images_is_made_by_the_image_to_video_pair():
    def first(**own):
        shots = [{"prompt": "A", **own}, {"prompt": "B", "cut": False, "end_image": "b.png"}]
        return plan(parse(json.dumps({"scenes": [{"shots": shots}]})))

    assert [shot.mode for shot in first()] == ["t2v", "mi2v"]
    assert [(shot.mode, shot.dropped, shot.given) for shot in first(start_image="a.png")] == [
        ("i2v", 0, 1),
        ("mi2v", 1, 1),
    ]
    assert first(end_image="a.png")[0].mode == "m2v"


def test_a_first_shot_that_continues_needs_a_start():
    with pytest.raises(StoryMemError, match="scene 1, shot 1, cut: the first shot is a continued one"):
        plan(CONTINUES)


def test_settings_of_a_shot_win_over_those_of_the_story():
    own_settings = {"prompt": "A", "seed": 7, "length": 17, "negative_prompt": "fog"}
    script = parse(json.dumps({"scenes": [{"shots": [own_settings, {"prompt": "B"}]}]}))
    own, storys = plan(script, seed=3, length=33)
    assert (own.seed, own.frames, own.negative_prompt) == (7, 17, "fog")
    assert (storys.seed, storys.frames, storys.negative_prompt) == (shot_seed(3, storys.id), 33, None)


def test_a_shot_is_made_of_its_prompt_with_the_looks_of_the_cast():
    shots = plan(parse("@Mira: a girl\n\nMira waits.\n\n[as written] Mira waits."))
    assert [as_row(shot)["prompt"] for shot in shots] == ["Mira, a girl, waits.", "Mira waits."]
    assert shots[0].id == parse("Mira waits.").shots[0].id


def test_seeds_follow_the_storys_seed_and_differ_between_shots():
    some, others = ([shot.seed for shot in plan(SCRIPT, seed=seed)] for seed in (1, 2))
    assert len({*some, *others}) == 8
    assert some == [shot_seed(1, shot.id) for shot in SCRIPT.shots]


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", None])
def test_a_storys_seed_is_a_whole_number(seed):
    with pytest.raises(StoryMemError, match="seed must be a whole number"):
        plan(SCRIPT, seed=seed)


@pytest.mark.parametrize("length", [80, 0, True])
def test_a_storys_length_is_4k_plus_1(length):
    with pytest.raises(StoryMemError, match=r"the length of shot 'shot-\w+' must be"):
        plan(SCRIPT, length=length)


def test_the_overlap_is_checked_even_if_every_shot_is_a_cut():
    with pytest.raises(StoryMemError, match="an overlap must be"):
        plan(parse("A"), overlap=4)


def test_a_continued_shot_must_add_frames():
    assert [shot.frames - shot.dropped for shot in plan(SCRIPT, length=9, overlap=5)] == [9, 4, 9, 4]
    with pytest.raises(StoryMemError, match=r"adds nothing to the 5 frames.*at least 9 frames"):
        plan(SCRIPT, length=5, overlap=5)


def test_a_story_without_shots_is_refused():
    with pytest.raises(StoryMemError, match="at least one shot"):
        plan(Script("empty", "", ()))


def test_a_row_is_what_the_command_prints():
    first, second, *_ = plan(SCRIPT, seed=5)
    assert as_row(second) == {
        "id": SCRIPT.shots[1].id,
        "scene": 1,
        "prompt": "She halts.",
        "mode": "mi2v",
        "seed": shot_seed(5, SCRIPT.shots[1].id),
        "frames": 81,
        "dropped": 1,
    }
    assert list(as_row(first)) == ["id", "scene", "prompt", "mode", "seed", "frames", "dropped"]
    assert set(as_row(first)) < {field.name for field in dataclasses.fields(first)}


def test_a_plan_needs_the_standard_library_alone():
    program = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "from storymem_core.script.script import parse\n"
        "from storymem_core.script.plan import as_row, plan\n"
        "print(json.dumps([as_row(shot) for shot in plan(parse('A\\n\\n[continue] B'))]))"
    )
    bare = [sys.executable, "-I", "-S", "-c", program, str(ROOT)]  # -S: nothing that pip has installed
    printed = subprocess.run(bare, capture_output=True, text=True, check=True).stdout
    assert [row["mode"] for row in json.loads(printed)] == ["t2v", "mi2v"]
