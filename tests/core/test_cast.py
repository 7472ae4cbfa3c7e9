"""Names in prompts become looks: where, how, and only once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.script.cast import Character, described, mentioned

CAST = {
    "Mira": Character("a young woman in a red coat."),
    "Mira Stone": Character("an old painter"),
    "Tom": Character("a boy\n with freckles"),
    "Will": Character("a tall sailor"),
    "James": Character("a fisher"),
    "小红": Character("穿红衣的女孩"),
    "미라": Character("a dancer"),
}


@pytest.mark.parametrize(
    ("prompt", "full"),
    [
        ("A lake at noon.", "A lake at noon."),
        ("Mira waits. Mira sleeps.", "Mira, a young woman in a red coat, waits. Mira sleeps."),
        ("At dusk waits Mira.", "At dusk waits Mira, a young woman in a red coat."),
        ("Tom, running", "Tom, a boy with freckles, running"),
        ("Tom - running", "Tom, a boy with freckles - running"),
        ("Tom", "Tom, a boy with freckles"),
        ('He says "Tom" (to Tom).', 'He says "Tom, a boy with freckles" (to Tom).'),
        ("A boat (Tom) sails.", "A boat (Tom, a boy with freckles) sails."),
        (
            "Tom and Mira meet.",
            "Tom, a boy with freckles, and Mira, a young woman in a red coat, meet.",
        ),
        (
            "Mira Stone paints Tom's cat.",
            "Mira Stone, an old painter, paints Tom's cat. Tom: a boy with freckles.",
        ),
        ("Close-up of Tom’s hands", "Close-up of Tom’s hands. Tom: a boy with freckles."),
        ("Tom's cat follows Tom home.", "Tom's cat follows Tom, a boy with freckles, home."),
        ("James' boat sails.", "James' boat sails. James: a fisher."),
        ("will Willow, WILL and Ann-Will Will_2?", "will Willow, WILL and Ann-Will Will_2?"),
        ("小红走进森林。", "小红, 穿红衣的女孩,走进森林。"),
        ("미라가 웃는다.", "미라, a dancer,가 웃는다."),
    ],
)
def test_a_name_is_followed_by_the_looks_at_its_first_mention(prompt, full):
    assert described(prompt, CAST) == full
    assert described(full, CAST) == full


def test_who_is_mentioned_in_order():
    assert mentioned("Tom's cat, Mira Stone and Tom.", CAST) == ("Tom", "Mira Stone")
    assert mentioned("A lake.", CAST) == mentioned("Tom.", {}) == ()


def test_names_within_looks_are_left_alone():
    cast = {"Ann": Character("the sister of Bob"), "Bob": Character("a baker")}
    assert described("Ann and Bob.", cast) == "Ann, the sister of Bob, and Bob, a baker."
    assert described("Ann.", cast) == "Ann, the sister of Bob."


def test_scripts_without_spaces_need_no_gap_on_either_side():
    cast = {"A": Character("x"), "小": Character("y")}
    assert described("A小", cast) == "A, x,小, y"
    assert described("小A", cast) == "小, y,A, x"


names = st.text("ABé小", min_size=1, max_size=3)
prompts = st.text("ABé小 .,'s(", max_size=24)
casts = st.dictionaries(names, st.sampled_from("xyz").map(lambda x: Character(f"{x} {x}")), max_size=4)


@settings(deadline=None)
@given(prompts, casts, st.randoms(use_true_random=False))
def test_laws(prompt, cast, random):
    full, who = described(prompt, cast), mentioned(prompt, cast)
    shuffled = dict(random.sample(list(cast.items()), len(cast)))
    assert described(prompt, shuffled) == full, "the order of the cast does not count"
    assert described(full, cast) == full, "what is told is not told again"
    assert mentioned(full, cast) == who
    assert all(name in prompt for name in who)
    for name in who:
        assert f"{name}, {cast[name].looks}" in full or f"{name}: {cast[name].looks}." in full
    if not who:
        assert full == prompt
    letters = iter(full)
    assert all(letter in letters for letter in prompt.rstrip()), "nothing of the prompt is lost or moved"
