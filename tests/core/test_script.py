"""Scripts: three spellings in, every defect told, and the same script after a round trip."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.script import MAX_SEED, UNTITLED, dumps, parse, shot_seed
from storymem_core.story import plan

ST_BENCH = Path(__file__).parents[3] / "shared" / "st_bench"


def scenes(*documents):
    return json.dumps({"scenes": documents})


def defects(text):
    """The lines of the error that `text` gives."""
    with pytest.raises(StoryMemError) as caught:
        parse(text)
    return [line.strip() for line in caught.value.problem.splitlines()[1:]]


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


# --- defects --------------------------------------------------------------------------------------------


def test_all_defects_are_told_at_once_with_scene_shot_and_field():
    bad = {
        "video_prompts": ["A", " ", 3],
        "cut": [True, "maybe", 1],
        "seed": [True, -1, 2.0],
        "length": [80, None],
    }
    shots = [{"prompt": "A", "id": "x y", "length": True}, "B", {"seed": MAX_SEED + 1, "negative_prompt": 5}]
    document = {"story_name": "", "story_overview": None, "scenes": [bad, 7, {"shots": shots}]}
    assert set(defects(json.dumps(document))) == {
        "story, story_name: expected text that is not blank, got ''",
        "story, story_overview: expected text, got nothing",
        "scene 1, length: expected 3 entries, as video_prompts has, got 2",
        "scene 1, shot 1, seed: expected a whole number from 0 to 2**64 - 1, got True",
        "scene 1, shot 2, prompt: expected text that is not blank, got ' '",
        "scene 1, shot 2, cut: expected true or false, got 'maybe'",
        "scene 1, shot 2, seed: expected a whole number from 0 to 2**64 - 1, got -1",
        "scene 1, shot 3, prompt: expected text that is not blank, got 3",
        "scene 1, shot 3, cut: expected true or false, got 1",
        "scene 1, shot 3, seed: expected a whole number from 0 to 2**64 - 1, got 2.0",
        "scene 2: expected an object with video_prompts or shots, got 7",
        "scene 3, shot 1, id: expected 1 to 64 letters, digits and . _ -, got 'x y'",
        "scene 3, shot 1, length: expected a whole number of frames 4k+1, such as 77 or 81, got True",
        "scene 3, shot 2: expected an object with a prompt, got 'B'",
        "scene 3, shot 3, prompt: expected text that is not blank, got nothing",
        "scene 3, shot 3, seed: expected a whole number from 0 to 2**64 - 1, got 18446744073709551616",
        "scene 3, shot 3, negative_prompt: expected text, got 5",
    }


@pytest.mark.parametrize(
    ("scene", "defect"),
    [
        ({}, "scene 1, video_prompts: expected a list with at least one entry, got nothing"),
        (
            {"video_prompts": []},
            "scene 1, video_prompts: expected a list with at least one entry, got \\[\\]",
        ),
        ({"video_prompts": "A"}, "scene 1, video_prompts: expected a list with at least one entry, got 'A'"),
        ({"shots": []}, "scene 1, shots: expected a list with at least one entry, got \\[\\]"),
        (
            {"video_prompts": ["A"], "cut": True},
            "scene 1, cut: expected a list with one entry per shot, got True",
        ),
        (
            {"video_prompts": ["A"], "cut": [None]},
            "scene 1, shot 1, cut: expected true or false, got nothing",
        ),
        ({"video_prompts": ["A"], "length": [80]}, "scene 1, shot 1, length: expected .* 4k\\+1, .* got 80"),
        ({"video_prompts": ["A"], "id": [3]}, "scene 1, shot 1, id: expected 1 to 64 .* got 3"),
        ({"video_prompts": ["A"], "id": [""]}, "scene 1, shot 1, id: expected 1 to 64 .* got ''"),
        ({"video_prompts": ["A"], "id": ["../a"]}, "scene 1, shot 1, id: expected 1 to 64 .* got '../a'"),
        ({"video_prompts": ["A"], "id": ["a\n"]}, "scene 1, shot 1, id: expected 1 to 64"),
        ({"video_prompts": ["A"], "id": ["a" * 65]}, "scene 1, shot 1, id: expected 1 to 64"),
        (
            {"video_prompts": ["A"], "first_frame_prompt": [4]},
            "scene 1, shot 1, first_frame_prompt: expected text",
        ),
        (
            {"video_prompts": ["A"], "scene_num": True},
            "scene 1, scene_num: expected a whole number, got True",
        ),
        ({"video_prompts": ["\ud800"]}, "scene 1, shot 1, prompt: expected text"),
        (
            {"shots": [{"prompt": "A"}], "cut": [True]},
            "scene 1, cut: expected this inside each of the scene's shots",
        ),
    ],
)
def test_a_scene_with_one_defect(scene, defect):
    with pytest.raises(StoryMemError, match=defect):
        parse(scenes(scene))
    assert len(defects(scenes(scene))) == 1


def test_an_id_is_used_once():
    text = scenes(
        {"video_prompts": ["A"], "id": ["a"]}, {"shots": [{"prompt": "B"}, {"prompt": "C", "id": "a"}]}
    )
    assert defects(text) == ["scene 2, shot 2, id: expected another id than scene 1, shot 1 has, got 'a'"]


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("", "scene 1: expected at least one shot"),
        (" \n\n", "scene 1: expected at least one shot"),
        ("# Title", "scene 1: expected at least one shot"),
        ("#\n\nA", "story_name: expected text that is not blank"),
        ("A\n---\n", "scene 2: expected at least one shot"),
        ("A\n---\n---\nB", "scene 2: expected at least one shot"),
        ("A\n\n[cut]\n\nB", "scene 1, shot 2, prompt: expected text that is not blank"),
        (
            "A\n---\nB\n\n[contiune] C",
            "scene 2, shot 2, cut: expected \\[cut\\] or \\[continue\\], got 'contiune'",
        ),
        ("[cut A knight", "scene 1, shot 1, cut: expected \\[cut\\] or \\[continue\\]"),
    ],
)
def test_plain_text_with_a_defect(text, defect):
    with pytest.raises(StoryMemError, match=defect):
        parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "story, scenes: expected a list with at least one entry, got nothing"),
        ('{"scenes": {}}', "story, scenes: expected a list"),
        ('[{"video_prompts": ["A"]}]', "story: expected an object that lists scenes"),
        ('{"scenes":\n [{"video_prompts": ["A"', "Unexpected end of input, line 2, column 25"),
        ("{scenes: [\n}", "line 2, column 1"),
        ('{"story_name": "A", "story_name": "B", "scenes": []}', "one field twice \\(got 'story_name'\\)"),
        ("{scenes: [], scenes: []}", "one field twice \\(got 'scenes'\\)"),
        ('{"scenes": ' * 100_000, "recursion"),
        ("{scenes: " * 2_000, "recursion"),
        ('{"seed": ' + "9" * 5_000 + "}", "cannot be read as JSON"),
        (
            '{"scenes": [{"video_prompts": ["A"], "seed": [NaN]}]}',
            "shot 1, seed: expected a whole .* got nan",
        ),
        (
            '{"scenes": [{"video_prompts": ["A"], "x": [1, NaN]}]}',
            "scene 1, 'x': expected a finite number, got nan",
        ),
        ('{"scenes": [{"shots": [{"prompt": "A", "x": 1e999}]}]}', "scene 1, shot 1, 'x': expected a finite"),
        (
            '{"scenes": [{"video_prompts": ["A"]}], "x": {"\\ud800": 1}}',
            "story, 'x': expected text that UTF-8",
        ),
        (
            '{"scenes": [{"video_prompts": ["A"]}], "x": ' + "[" * 40 + "]" * 40 + "}",
            "story, 'x': .* at most 32 deep",
        ),
    ],
)
def test_json_that_cannot_be_used(text, problem):
    with pytest.raises(StoryMemError, match=problem):
        parse(text)


@pytest.mark.parametrize("given", [None, b"A knight.", 3, {}])
def test_a_script_is_text(given):
    with pytest.raises(StoryMemError, match="a script must be text"):
        parse(given)


def test_errors_are_short_whatever_the_script():
    with pytest.raises(StoryMemError) as caught:
        parse(scenes({"video_prompts": ["A" * 10_000], "cut": ["x" * 10_000]}))
    assert len(str(caught.value)) < 500


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


def test_shot_seed_is_fixed_for_ever():
    assert shot_seed(0, "a") == 476750478927199554  # the first 63 bits of sha256 of "0\na"
    assert shot_seed(1, "23") != shot_seed(12, "3")


# --- laws -----------------------------------------------------------------------------------------------

no_clock = settings(deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
prompts = st.one_of(texts.filter(str.strip), st.sampled_from(["A knight rides.", "Rain."]))
ids = st.text("aZ0_.-é", min_size=1, max_size=6).filter(lambda text: text[0] not in ".-")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(texts.map("x{}".format), values, max_size=2)
options = st.fixed_dictionaries(
    {"prompt": prompts},
    optional={
        "cut": st.booleans() | st.sampled_from(["True", "False"]),
        "seed": st.none() | st.integers(0, MAX_SEED),
        "length": st.none() | st.integers(0, 30).map(lambda k: 4 * k + 1),
        "negative_prompt": st.none() | texts,
        "first_frame_prompt": st.none() | texts,
    },
)
shots = st.builds(lambda known, more: known | more, options, st.just({}) | unknown)
scene_documents = st.builds(
    lambda shots, more: more | {"shots": shots}, st.lists(shots, min_size=1, max_size=4), unknown
)
stories = st.builds(
    lambda scenes, more, head: more | head | {"scenes": scenes},
    st.lists(scene_documents, min_size=1, max_size=3),
    unknown,
    st.fixed_dictionaries({}, optional={"story_name": texts.filter(str.strip), "story_overview": texts}),
)
plain_texts = st.lists(
    st.sampled_from(
        ["A knight rides.", "Rain.", "[continue] Rain.", "A castle\nby the sea.", "[cut] Night."]
    ),
    min_size=1,
    max_size=8,
)


@no_clock
@given(stories, st.lists(ids, unique=True, max_size=12), st.randoms(use_true_random=False))
def test_a_round_trip_changes_nothing(story, own_ids, random):
    every_shot = [shot for scene in story["scenes"] for shot in scene["shots"]]
    for shot, own_id in zip(every_shot, own_ids, strict=False):
        if random.random() < 0.5:
            shot["id"] = own_id
    script = parse(json.dumps(story))
    assert [shot.prompt for shot in script.shots] == [shot["prompt"] for shot in every_shot]
    assert parse(dumps(script)) == script
    for before, after in zip(every_shot, script.shots, strict=True):
        assert {name: value for name, value in before.items() if name.startswith("x")} == {
            name: value for name, value in after.extra.items() if name.startswith("x")
        }


@no_clock
@given(plain_texts)
def test_plain_text_makes_the_same_round_trip(paragraphs):
    script = parse("\n\n".join(paragraphs))
    assert parse(dumps(script)) == script
    assert len(script.shots) == len(paragraphs)


@no_clock
@given(plain_texts)
def test_no_two_shots_share_a_seed(paragraphs):
    script = parse("\n\n".join(["Start.", *paragraphs]))
    assert (
        len({shot.seed for shot in plan(script)})
        == len({shot.id for shot in script.shots})
        == len(script.shots)
    )


@no_clock
@given(
    st.lists(st.sampled_from("ABCDEF"), min_size=1, max_size=8), st.integers(0, 8), st.integers(0, MAX_SEED)
)
def test_inserting_a_shot_leaves_the_others_alone(prompts, place, seed):
    before = plan(parse("\n\n".join(prompts)), seed=seed)
    after = plan(parse("\n\n".join([*prompts[:place], "New.", *prompts[place:]])), seed=seed)
    kept = [(shot.id, shot.prompt, shot.seed) for shot in after if shot.prompt != "New."]
    assert kept == [(shot.id, shot.prompt, shot.seed) for shot in before]


@no_clock
@given(st.lists(st.sampled_from("ABCDEF"), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_moving_shots_changes_no_seed(prompts, random):
    moved = random.sample(prompts, len(prompts))
    seeds = [
        {(s.id, s.prompt, s.seed) for s in plan(parse("\n\n".join(order)))} for order in (prompts, moved)
    ]
    assert seeds[0] == seeds[1]


@no_clock
@given(st.text(max_size=60) | st.text("{}[]\"':,/*\\#-\n tTcu0", max_size=30))
def test_any_text_is_a_script_or_a_storymem_error(text):
    try:
        script = parse(text)
    except StoryMemError:
        return
    assert parse(dumps(script)) == script
