"""Scripts that cannot be told: every defect is named, by scene, shot and field."""

import contextlib
import json
import re

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.script.script import MAX_SEED, parse


def scenes(*documents):
    return json.dumps({"scenes": documents})


def defects(text):
    """The lines of the error that `text` gives."""
    with pytest.raises(StoryMemError) as caught:
        parse(text)
    return [line.strip() for line in caught.value.problem.splitlines()[1:]]


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
        ({"video_prompts": ["A"], "as_written": [1]}, "shot 1, as_written: expected true or false, got 1"),
        ({"shots": [{"prompt": "A", "references": "m"}]}, "shot 1, references: expected a list of names"),
        ({"shots": [{"prompt": "A", "end_image": " "}]}, "shot 1, end_image: expected the name of an image"),
        ({"shots": [{"prompt": "A", "lora": {}}]}, "shot 1, lora: expected the name of a LoRA"),
        ({"shots": [{"prompt": "A", "lora": {"high": "a", "x": 1}}]}, "shot 1, lora: expected the name"),
        ({"shots": [{"prompt": "A", "lora": {"low": "a", "strength": 11}}]}, "shot 1, lora: expected"),
        ({"shots": [{"prompt": "A", "lora_strength": True}]}, "lora_strength: expected a number from -10"),
        (
            {"shots": [{"prompt": "A"}, {"prompt": "B", "cut": False, "start_image": "b.png"}]},
            "shot 2, start_image: expected none, since the shot continues from the previous one, got 'b.png'",
        ),
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


@pytest.mark.parametrize(
    ("cast", "defect"),
    [
        ([], r"story, cast: expected an object of names .* got \[\]"),
        ({"Mira": "a girl"}, "cast, 'Mira': expected an object with a description, got 'a girl'"),
        ({"Mira": {}}, "cast, 'Mira', description: expected text that is not blank, got ''"),
        ({"Mira": {"description": " "}}, "cast, 'Mira', description: expected text that is not blank"),
        ({" Mira": {"description": "a girl"}}, "cast, ' Mira', name: expected 1 to 64 characters"),
        ({"a:b": {"description": "a girl"}}, "cast, 'a:b', name: expected 1 to 64 characters"),
        ({"Mira": {"description": "a", "references": "m"}}, "cast, 'Mira', references: expected a list"),
        ({"Mira": {"description": "a", "references": ["m", "m"]}}, "references: expected .* each once"),
        ({"Mira": {"description": "a", "references": ["m, n"]}}, "references: expected .* without commas"),
        ({"Mira": {"description": "a", "x": float("nan")}}, "cast, 'Mira', 'x': expected a finite number"),
    ],
)
def test_a_cast_with_one_defect(cast, defect):
    text = json.dumps({"cast": cast, "scenes": [{"video_prompts": ["A"]}]})
    with pytest.raises(StoryMemError, match=defect):
        parse(text)
    assert len(defects(text)) == 1


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
            "scene 2, shot 2, cut: expected \\[cut\\] or \\[continue\\], .* got 'contiune'",
        ),
        ("A\n\n[continue, as wirtten] B", r"shot 2, cut: expected .* got 'continue, as wirtten'"),
        ("A\n\n[continue, cut] B", r"shot 2, cut: expected .* got 'continue, cut'"),
        ("[cut, id: a, id: b] A", r"shot 1, cut: expected .* got 'cut, id: a, id: b'"),
        ("[cut, harbour] A", r"shot 1, cut: expected .* id: harbour\], got 'cut, harbour'"),
        ("[cut, id: ../a] A", "shot 1, id: expected 1 to 64 letters, digits .* got '../a'"),
        ("[cut, id:] A", "shot 1, id: expected 1 to 64 letters, digits .* got ''"),
        ("[id: a] A\n---\n[id: a] B", "scene 2, shot 1, id: expected another id than scene 1, shot 1 has"),
        ("@Mira a girl\n\nA", "cast: expected @Name: description, .* got '@Mira a girl'"),
        ("@Mira:\n\nA", "cast: expected @Name: description"),
        ("@Mira: a girl\n@Mira: a boy\n\nA", "cast: expected each name once, got 'Mira'"),
        ("@Mira [a,,b]: a girl\n\nA", "cast, 'Mira', references: expected a list of names"),
        ("A\n\n@Mira: a girl", "scene 1, shot 2: expected the cast before the first shot, got '@Mira"),
        ("@Mira: a girl", "scene 1: expected at least one shot"),
        ("[cut A knight", "scene 1, shot 1, cut: expected \\[cut\\] or \\[continue\\]"),
    ],
)
def test_plain_text_with_a_defect(text, defect):
    with pytest.raises(StoryMemError, match=defect):
        parse(text)


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("Here is your script:\n\n```json\n{}\n```", r"shot 2: expected the script alone, .* got '```json'"),
        ("Here it is:\n```\nA fox.\n```", "shot 1: expected the script alone, .* got '```'"),
        ("```json\n{}", "shot 1: expected the script alone"),
        ("```\nA.\n```\nor\n```\nB.\n```", "shot 1: expected the script alone"),
        ("`A fox.`", "shot 1: expected the script alone"),
        ("Here is your script:\n{scenes: []}", "shot 1: expected JSON alone, .* got '{scenes: "),
        ('Here is your script: {\n"scenes": []}', "shot 1: expected JSON alone, .* got '{'"),
        ('Here it is:\n\n[\n {"scenes": []}]', r"shot 2: expected JSON alone, .* got '\['"),
        ("# Ink\n\n## Scene 1\n\nA.", "shot 1: expected # only in the first line, .* got '## Scene 1'"),
        ("# Ink\n\nA.\n#Scene 2\nB.", "shot 1: expected # only in the first line, .* got '#Scene 2'"),
        ("@Mira: a girl\n# Harbour\n\nA.", "cast: expected # only in the first line, .* got '# Harbour'"),
        ("@Mira: a girl\n\n# Harbour\n\nA.", "shot 1: expected # only in the first line"),
        (
            "A.\n\n**Shot 2:** [continue] B.",
            r"shot 2: expected a prompt without \*\* before it; .* got '\*\*Sh",
        ),
        ("A.\n\n[continue] **B.**", r"shot 2: expected a prompt without \*\* before it"),
        ("A.\n\n【继续】小红走开。", "shot 2: expected \\[ \\] around a tag, .* got '【继续】小红走开。'"),
        ("A.\n\n［continue］ B.", "shot 2: expected \\[ \\] around a tag"),
        ("A.\n\n——\n\nB.", "shot 2: expected a line --- where a scene starts, got '——'"),
        ("A.\n___\nB.", "shot 1: expected a line --- where a scene starts, got '___'"),
        ("A.\n\n* * *\n\nB.", "shot 2: expected a line --- where a scene starts"),
        ("A.\n\n--- Scene 2 ---\n\nB.", "shot 2: expected a line --- where a scene starts"),
        ("A.\n\n[continue] ...", "shot 2: expected words, or a line ---"),
        ("A.\n\n—", "shot 2: expected words, or a line ---"),
        (
            "[cut] A.\n[continue] B.\n[cut] C.",
            r"shot 1: expected one tag at the start .* got '\[continue\] B\.'",
        ),
        ("Shot 1: [ Continue, as written ] A.", "shot 1: expected one tag at the start"),
        ("第二镜 【cut】 A.", "shot 1: expected one tag at the start"),
        ("[cut] [as written] A.", "shot 1: expected one tag at the start"),
        ("[cut] [id: harbour] A.", r"shot 1: expected one tag at the start .* got '\[id: harbour\] A\.'"),
        ("A.\n[id: b] B.", "shot 1: expected one tag at the start"),
        ("@Mira: a girl\n[cut] Mira waits.\n\nA.", "cast: expected one tag at the start"),
    ],
)
def test_text_pasted_in_another_form_is_told_not_taken_for_prompts(text, defect):
    (told,) = defects(text)
    assert re.match(f"(scene 1, )?{defect}", told)


def test_an_error_inside_a_code_fence_names_the_line_of_the_whole_text():
    with pytest.raises(StoryMemError, match="line 4, column 25"):
        parse('\n```json\n{"scenes":\n [{"video_prompts": ["A"\n```')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "story, scenes: expected a list with at least one entry, got nothing"),
        ('{"scenes": {}}', "story, scenes: expected a list"),
        ('[{"video_prompts": ["A"]}]', "story: expected an object that lists scenes"),
        ('{"scenes":\n [{"video_prompts": ["A"', "Unexpected end of input, line 2, column 25"),
        ("{scenes: [\n}", "line 2, column 1"),
        ('{"story_name": "A", "story_name": "B", "scenes": []}', "this field twice \\(got 'story_name'\\)"),
        ("{scenes: [], scenes: []}", "this field twice \\(got 'scenes'\\)"),
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


@pytest.mark.parametrize("piece", ["[cut,", "[", "【", '{"', "- ", "```\n", "\n[ ", "#"])
def test_a_long_text_of_nothing_but_marks_does_not_hang(piece):
    with contextlib.suppress(StoryMemError):
        parse("A." + piece * 100_000)
