from __future__ import annotations

import json

import pytest

from storymem_core.errors import StoryMemError
from storymem_core.script.script import take_seed
from storymem_core.store.outline import Decision, Outline, read, write

TOLD = Outline(
    '{"scenes": []}',
    ({"shot_id": "wake", "prompt": "猫\ud800", "seed": 2**64 - 1, "shift": 4.0}, {"shot_id": "lake"}),
    {"wake": Decision(2, "ab12", locked=True), "gone from the script": Decision(3)},
)


def test_an_outline_comes_back_as_it_was_written(tmp_path):
    write(tmp_path / "outline.json", TOLD)
    assert read(tmp_path / "outline.json") == TOLD
    assert read(tmp_path / "nothing.json") == Outline()


def test_numbers_are_places_in_the_whole_story():
    shots = [{"id": name, "prompt": f"{name}."} for name in ("wake", "trot", "lake")]
    asked = [{"shot_id": name} for name in ("clip", "wake", "lake")]
    outline = Outline(json.dumps({"scenes": [{"shots": shots}]}), tuple(asked))
    assert outline.whole(["clip", "lake"]) == ("clip", "wake", "trot", "lake")
    assert outline.whole(["clip", "another"]) == Outline().whole(["clip"]) == ()


def test_what_says_the_same_is_not_written_again(tmp_path):
    path = tmp_path / "outline.json"
    write(path, TOLD)
    before = path.read_bytes(), path.stat().st_mtime_ns
    write(path, Outline(TOLD.script, TOLD.shots, dict(reversed(TOLD.decisions.items()))))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("harm", ["cut", "emptied", "edited", "unsealed", "list"])
def test_a_damaged_outline_is_refused_and_stays(tmp_path, harm):
    path = tmp_path / "outline.json"
    write(path, TOLD)
    whole = path.read_text()
    told = json.loads(whole)
    told.pop("seal")
    path.write_text(
        {
            "cut": whole[:-9],
            "emptied": "",
            "edited": whole.replace('"take": 2', '"take": 4'),
            "unsealed": json.dumps(told),
            "list": "[]",
        }[harm]
    )
    damaged = path.read_bytes()
    with pytest.raises(StoryMemError, match="chosen takes and the locked shots of this story, is damaged"):
        read(path)
    assert path.read_bytes() == damaged


def test_every_flipped_byte_is_noticed_or_means_nothing(tmp_path):
    path = tmp_path / "outline.json"
    write(path, TOLD)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert read(path) == TOLD  # white space
        except StoryMemError as error:
            assert "damaged" in error.problem or "newer version" in error.problem


def test_a_newer_outline_is_left_to_a_newer_pack(tmp_path):
    path = tmp_path / "outline.json"
    path.write_text('{"version": 2}')
    with pytest.raises(StoryMemError, match="newer version of the pack"):
        read(path)


def test_decisions_are_values():
    outline = Outline().decided("wake", take=2).decided("wake", held="ab12")
    assert (Outline().of("wake"), outline.of("wake")) == (Decision(), Decision(2, "ab12"))
    assert outline.decided("wake", take=1, held=None) == Outline()  # nothing is decided, nothing is kept


def test_each_take_has_a_seed_of_its_own():
    assert take_seed(7, 1) == 7
    seeds = [take_seed(seed, take) for seed in (7, 8) for take in range(1, 50)]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 2**64
    assert take_seed(7, 2) == 62348705788286362  # a literal: a take must not change between versions
