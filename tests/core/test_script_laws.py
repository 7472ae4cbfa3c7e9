"""What holds for every script: the round trip, seeds that stay with their shots, no error but ours."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.script.plan import plan
from storymem_core.script.script import MAX_SEED, dumps, parse

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
strengths = st.integers(-10, 10) | st.floats(-10, 10)
extra_loras = st.fixed_dictionaries(
    {"low": st.just("b.safetensors")},
    optional={"high": st.sampled_from(["a.safetensors", "b.safetensors", None]), "strength": strengths},
)
options = st.fixed_dictionaries(
    {"prompt": prompts},
    optional={
        "cut": st.booleans() | st.sampled_from(["True", "False"]),
        "seed": st.none() | st.integers(0, MAX_SEED),
        "length": st.none() | st.integers(0, 30).map(lambda k: 4 * k + 1),
        "negative_prompt": st.none() | texts,
        "first_frame_prompt": st.none() | texts,
        "as_written": st.none() | st.booleans(),
        "references": st.none() | st.lists(st.sampled_from(["a", "b c"]), unique=True),
        "end_image": st.none() | st.just("end.png"),
        "lora": st.none() | st.just("style.safetensors") | extra_loras,
        "lora_strength": st.none() | strengths,
    },
)
shots = st.builds(lambda known, more: known | more, options, st.just({}) | unknown)
scene_documents = st.builds(
    lambda shots, more: more | {"shots": shots}, st.lists(shots, min_size=1, max_size=4), unknown
)
names = st.text("aZ é小", min_size=1, max_size=5).map(str.strip).filter(bool)
characters = st.builds(
    lambda description, more, known: more | known | {"description": description},
    texts.filter(str.strip),
    unknown,
    st.fixed_dictionaries({}, optional={"references": st.lists(names, unique=True, max_size=2)}),
)
stories = st.builds(
    lambda scenes, more, head: more | head | {"scenes": scenes},
    st.lists(scene_documents, min_size=1, max_size=3),
    unknown,
    st.fixed_dictionaries(
        {},
        optional={
            "story_name": texts.filter(str.strip),
            "story_overview": texts,
            "cast": st.dictionaries(names, characters, max_size=2),
        },
    ),
)
plain_texts = st.lists(
    st.sampled_from(
        [
            "A knight rides.",
            "Rain.",
            "[continue] Rain.",
            "A castle\nby the sea.",
            "[cut] Night.",
            "[continue, as written] Mira waits.",
        ]
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
@given(plain_texts, st.lists(ids, unique=True, max_size=4))
def test_plain_text_makes_the_same_round_trip(paragraphs, own_ids):
    named = [f"[continue, id: {own_id}] Rain." for own_id in own_ids]
    script = parse("\n\n".join(["# Ink", "@Mira [m 1, m 2]: a girl\nin red", *paragraphs, *named]))
    assert parse(dumps(script)) == script
    assert [shot.id for shot in script.shots[len(paragraphs) :]] == own_ids


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
@given(st.text(max_size=60) | st.text("{}[]@\"':,/*\\#-`_【】\n tTcu0", max_size=30))
def test_any_text_is_a_script_or_a_storymem_error(text):
    try:
        script = parse(text)
    except StoryMemError:
        return
    assert parse(dumps(script)) == script
