"""Scripts: three spellings in, and ids and seeds that stay."""

import hashlib
import json
from pathlib import Path

import pytest

import storymem_core.script.script
from storymem_core.lora.extra_lora import ExtraLora
from storymem_core.script.cast import Character
from storymem_core.script.plan import plan
from storymem_core.script.script import UNTITLED, dumps, full_prompt, parse, shot_seed

ST_BENCH = Path(__file__).parents[3] / "shared" / "st_bench"


def scenes(*documents):
    return json.dumps({"scenes": documents})


# --- spellings ------------------------------------------------------------------------------------------


def test_st_bench():
    script = parse(
        json.dumps(
            {
                "story_name": "Ink",
                "story_overview": "A writer finds a pen.",
                "rating": {"stars": [4.5, None]},
                "scenes": [
                    {
                        "scene_num": 1,
                        "video_prompts": ["A desk.", "A pen."],
                        "first_frame_prompt": ["desk", "pen"],
                        "cut": [True, False],
                        "place": "attic",
                    },
                    {"scene_num": 2, "video_prompts": ["Rain."], "cut": [True]},
                ],
            }
        )
    )
    assert (script.name, script.overview, script.extra) == (
        "Ink",
        "A writer finds a pen.",
        {"rating": {"stars": [4.5, None]}},
    )
    assert [(shot.prompt, shot.scene, shot.cut) for shot in script.shots] == [
        ("A desk.", 1, True),
        ("A pen.", 1, False),
        ("Rain.", 2, True),
    ]
    assert [shot.extra for shot in script.shots] == [
        {"first_frame_prompt": "desk"},
        {"first_frame_prompt": "pen"},
        {},
    ]
    assert script.scene_extra == {1: {"place": "attic"}}


@pytest.mark.parametrize(
    ("spelled", "cut"),
    [(True, True), (False, False), ("True", True), ("False", False), ("true", True), ("false", False)],
)
def test_a_cut_is_a_boolean_or_its_name(spelled, cut):
    assert parse(scenes({"video_prompts": ["A"], "cut": [spelled]})).shots[0].cut is cut


def test_a_shot_without_a_cut_is_one():
    assert [shot.cut for shot in parse(scenes({"video_prompts": ["A", "B"]})).shots] == [True, True]


def test_options_stand_in_parallel_lists_or_in_each_shot():
    lists = {
        "video_prompts": ["A", "B"],
        "cut": [True, False],
        "id": ["a", None],
        "seed": [None, 7],
        "length": [17, None],
        "negative_prompt": [None, ""],
    }
    shots = [
        {"prompt": "A", "id": "a", "length": 17},
        {"prompt": "B", "cut": False, "seed": 7, "negative_prompt": ""},
    ]
    script = parse(scenes(lists))
    assert script == parse(scenes({"shots": shots}))
    assert [(s.id[:5], s.seed, s.length, s.negative_prompt) for s in script.shots] == [
        ("a", None, 17, None),
        ("shot-", 7, None, ""),
    ]


def test_a_scene_keeps_its_number_where_that_is_another_than_its_place():
    script = parse(scenes({"scene_num": 1, "video_prompts": ["A"]}, {"scene_num": 7, "video_prompts": ["B"]}))
    assert ([shot.scene for shot in script.shots], script.scene_extra) == ([1, 2], {2: {"scene_num": 7}})
    assert [scene["scene_num"] for scene in json.loads(dumps(script))["scenes"]] == [1, 7]


def test_made_ids_are_not_written():
    script = parse("A\n\n[continue] B")
    assert json.loads(dumps(script)) == {
        "story_name": UNTITLED,
        "story_overview": "",
        "scenes": [{"scene_num": 1, "video_prompts": ["A", "B"], "cut": [True, False]}],
    }


def test_json5():
    text = """\ufeff// by hand
    /* { */ {story_name: 'Ink', // a comment
     scenes: [{video_prompts: ['A', "B",], cut: ['True', false,],},],}"""
    script = parse(text)
    assert (script.name, [(shot.prompt, shot.cut) for shot in script.shots]) == (
        "Ink",
        [("A", True), ("B", False)],
    )


def test_plain_text():
    script = parse(
        """# The Knight

        A knight rides
        through fog.

        [continue] She halts.
        ---
        [Cut]
        A castle.\r\n\r\n[ CONTINUE ]The gate opens.
        ------
        Night."""
    )
    assert (script.name, script.overview) == ("The Knight", "")
    assert [(shot.prompt, shot.scene, shot.cut) for shot in script.shots] == [
        ("A knight rides through fog.", 1, True),
        ("She halts.", 1, False),
        ("A castle.", 2, True),
        ("The gate opens.", 2, False),
        ("Night.", 3, True),
    ]


def test_plain_text_tells_the_cast_before_the_first_shot():
    script = parse(
        """# The Harbour

        @Mira [mira face, mira coat]: a young woman
          in a red coat

        @Old Tom: an old keeper with a grey beard.
        ---
        Mira waits.

        [continue, as written] Mira waves: @Tom.

        [As written] Night."""
    )
    assert script.cast == {
        "Mira": Character("a young woman in a red coat", ("mira face", "mira coat")),
        "Old Tom": Character("an old keeper with a grey beard."),
    }
    assert [(shot.prompt, shot.cut, shot.as_written) for shot in script.shots] == [
        ("Mira waits.", True, False),
        ("Mira waves: @Tom.", False, True),
        ("Night.", True, True),
    ]


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("[cut, id: Harbour_2]", (True, False, "Harbour_2")),
        ("[Continue,ID:b.1]", (False, False, "b.1")),
        ("[continue, as written, id: é-1]", (False, True, "é-1")),
        ("[id: 海, as written, continue]", (False, True, "海")),
        ("[id: a]", (True, False, "a")),
        ("[continue，id：\n a]", (False, False, "a")),
    ],
)
def test_plain_text_gives_a_shot_an_id(tag, told):
    script = parse(f"A.\n\n{tag} Mira waits.")
    shot = script.shots[1]
    assert (shot.cut, shot.as_written, shot.id, shot.prompt) == (*told, "Mira waits.")
    assert parse(dumps(script)) == script


def test_a_shot_with_an_id_keeps_it_and_its_seed_when_its_prompt_changes():
    made = parse("A desc.").shots[0].id
    before, after, edited = (
        plan(parse(text)) for text in ("A desc.", "A desk.", f"[cut, id: {made}] A desk.")
    )
    assert (edited[0].id, edited[0].seed) == (before[0].id, before[0].seed)
    assert after[0].seed != before[0].seed


@pytest.mark.parametrize("text", ["# Ink\n\nA desk.\n\n[continue] A pen.", scenes({"video_prompts": ["A"]})])
@pytest.mark.parametrize("fence", ["```\n{}\n```", "\n ```json \n{}\n ```\n\n", "```text\r\n{}\n```"])
def test_a_code_fence_around_the_script_is_left_aside(text, fence):
    assert parse(fence.format(text)) == parse(text)


@pytest.mark.parametrize(
    "prompt",
    [
        "A sign reads [closed]. She turns [slowly] away.",
        "She will [not] cut; the director says: continue, as written.",
        "A fox. [cut to a lake, mirrored]",
        "7 birds, 1984.",
        "1984",
        "#1 of the race\n#2 behind it.",
        "小红走开，海报上写着【禁止入内】——她停下。",
        "——她说：走吧。",
        "— Hello, says the fox.",
        "- a fox - a lake",
        "Лиса бежит.",
        "สุนัขจิ้งจอกวิ่ง",
        "A **red** fox, a `blue` hat, {snow}.",
        "*Whispering* wind_in_trees = calm.",
        "The crowd...",
    ],
)
def test_a_prompt_may_be_written_in_any_way(prompt):
    (shot,) = parse(f"# Ink\n\n[cut] {prompt}").shots
    assert (shot.prompt, shot.cut) == (" ".join(prompt.split()), True)


def test_a_cast_in_json():
    cast = {"Mira": {"description": "a girl", "references": ["m"], "age": 9}, "Tom": {"description": "a man"}}
    shots = [{"prompt": "Mira and Tom.", "as_written": True}, {"prompt": "Tom."}]
    script = parse(json.dumps({"cast": cast, "scenes": [{"shots": shots}]}))
    assert script.cast == {"Mira": Character("a girl", ("m",), {"age": 9}), "Tom": Character("a man")}
    assert [full_prompt(script, shot) for shot in script.shots] == ["Mira and Tom.", "Tom, a man."]
    assert json.loads(dumps(script))["cast"] == cast


def test_what_a_shot_has_of_its_own():
    own = {
        "prompt": "A",
        "references": ["hero", "castle"],
        "start_image": "a.png",
        "end_image": "b.png",
        "lora": "style.safetensors",
        "lora_strength": 0.5,
    }
    pair = {"prompt": "B", "references": [], "lora": {"high": "h", "low": "l", "strength": 0.7}}
    script = parse(scenes({"shots": [own, pair, {"prompt": "C", "lora": {"high": "h"}}]}))
    first, second, third = script.shots
    assert (first.references, first.start_image, first.end_image) == (("hero", "castle"), "a.png", "b.png")
    assert (first.lora, first.lora_strength) == (ExtraLora("style.safetensors", "style.safetensors"), 0.5)
    assert (second.references, second.lora) == ((), ExtraLora("h", "l", 0.7))
    assert (third.references, third.lora) == (None, ExtraLora("h", None))
    assert parse(dumps(script)) == script
    columns = {"video_prompts": ["A", "B"], "end_image": [None, "b.png"], "references": [["hero"], None]}
    assert [shot.end_image for shot in parse(scenes(columns)).shots] == [None, "b.png"]


def test_who_somebody_is_changes_neither_ids_nor_seeds():
    def told(looks):
        return [(shot.id, shot.seed) for shot in plan(parse(f"@Mira: {looks}\n\nMira waits.\n\nRain."))]

    assert told("a girl") == told("an old woman")
    assert told("a girl")[0] == (parse("Mira waits.").shots[0].id, plan(parse("Mira waits."))[0].seed)


def test_a_dashed_line_may_stand_before_the_first_scene():
    assert [shot.scene for shot in parse("# Title\n---\nA\n---\nB").shots] == [1, 2]


def test_a_story_without_a_name_has_a_plain_one():
    assert parse("A").name == parse(scenes({"video_prompts": ["A"]})).name == UNTITLED


@pytest.mark.parametrize("name", ["artist", "black", "cat", "daiyu", "neo", "queen"])
def test_st_bench_files(name):
    if not ST_BENCH.is_dir():
        pytest.skip("../shared/st_bench is not here")
    text = (ST_BENCH / f"{name}.json").read_text()
    document, script = json.loads(text), parse(text)
    assert json.loads(dumps(script)) == document
    assert parse(dumps(script)) == script
    assert [shot.prompt for shot in script.shots] == [
        p for scene in document["scenes"] for p in scene["video_prompts"]
    ]
    assert [shot.cut for shot in script.shots] == [
        cut for scene in document["scenes"] for cut in scene["cut"]
    ]
    assert len({shot.seed for shot in plan(script)}) == len(script.shots) >= 7


# --- ids and seeds --------------------------------------------------------------------------------------


def test_a_made_id_comes_from_the_prompt_and_its_count_among_equals():
    first, second, third = parse("A\n\nB\n\nA").shots
    assert (first.id, second.id) == tuple(parse(prompt).shots[0].id for prompt in "AB")
    assert third.id == parse("A\n\nA").shots[1].id
    assert len({first.id, second.id, third.id}) == 3
    assert first.id == "shot-28b3f56b2e77"  # sha256 of "1 0 A"


def test_a_made_id_gives_way_to_a_given_one():
    made = parse("A").shots[0].id
    other = parse(scenes({"video_prompts": ["A", "B"], "id": [None, made]})).shots
    assert other[1].id == made != other[0].id
    assert parse(dumps(parse(scenes({"video_prompts": ["A"], "id": [made]})))).shots[0].id == made


def test_ids_survive_a_round_trip_even_if_prompts_hash_alike(monkeypatch):
    def weak(text):
        return hashlib.sha256(text.split(" ")[1].encode())  # of a made id: the attempt alone

    monkeypatch.setattr(storymem_core.script.script, "_sha256", weak)
    made = [shot.id for shot in parse("A\n\nB\n\nC").shots]
    assert len(set(made)) == 3
    script = parse(scenes({"video_prompts": ["A", "B", "C"], "id": ["a", None, made[2]]}))
    assert parse(dumps(script)) == script


def test_shot_seed_is_fixed_for_ever():
    assert shot_seed(0, "a") == 476750478927199554  # the first 63 bits of sha256 of "0\na"
    assert shot_seed(1, "23") != shot_seed(12, "3")
