from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from stories import PROMPTS, Told, contents, make, scene, tell

from storymem_core.disk import digest
from storymem_core.errors import StoryMemError
from storymem_core.film import film, movie
from storymem_core.film.publish import publish
from storymem_core.sheets import contact_sheet
from storymem_core.store.project import Project, Story


def shots(count: int = 4) -> list[Told]:
    return [
        Told(
            f"id-{place}",
            scene(place, 9),
            dropped=(0, 1, 5, 0)[place % 4],
            prompt=PROMPTS[place % 4],
            seed=place,
        )
        for place in range(count)
    ]


def derived(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.startswith(("store/", ".lock"))}


def told(folder: Path) -> dict:
    return json.loads((folder / "story.json").read_text())


@pytest.fixture
def story(tmp_path):
    return tell(tmp_path / "The Lantern", shots(), keep=(5, -1))


@pytest.fixture
def folder(story):
    return Path(story.folder)


def test_what_a_run_leaves(story, folder):
    assert publish(story) == folder / "film.mp4"
    assert sorted(derived(folder)) == [
        "contact_sheet.png", "film.mp4",
        *(f"keyframes/00{shot}_{place}.png" for shot in (1, 2, 3, 4) for place in (1, 2)),
        *(f"shots/00{shot}.mp4" for shot in (1, 2, 3, 4)), "story.json",
    ]  # fmt: skip


def test_story_json(story, folder):
    publish(story._replace(reused=(True, False, True, True)))
    record = told(folder)
    assert {name: record[name] for name in ("version", "name", "fps", "frames", "seconds", "size")} == {
        "version": 1, "name": "The Lantern", "fps": 16.0, "frames": 9 + 8 + 4 + 9, "seconds": 30 / 16,
        "size": [64, 64],
    }  # fmt: skip
    assert [row["id"] for row in record["shots"]] == ["id-0", "id-1", "id-2", "id-3"]
    assert [row["key"] for row in record["shots"]] == list(story.keys)
    assert [digest(row["made_of"]) for row in record["shots"]] == list(story.keys)
    assert [row["reused"] for row in record["shots"]] == [True, False, True, True]
    assert record["shots"][1] == {
        **shots()[1].row, "key": story.keys[1], "made_of": shots()[1].made_of, "reused": False, "take": 1,
        "stale": [], "locked": False,
    }  # fmt: skip


def test_the_sheet_numbers_shots_by_the_whole_script(story, folder):
    def sheet():
        publish(story)
        return np.asarray(Image.open(folder / "contact_sheet.png"))

    before, project = sheet(), Project.open(folder)
    ids = [f"id-{place}" for place in range(5)]
    whole = [ids[4], *ids[:4]]  # the script's first shot is left out of the film
    script = {"scenes": [{"shots": [{"id": one, "prompt": "A fox."} for one in whole]}]}
    project.outlined(replace(project.outline(), script=json.dumps(script)))
    expected = contact_sheet.draw(story.shots(), title="The Lantern", whole=whole)
    assert np.array_equal(sheet(), np.asarray(expected)) and not np.array_equal(before, expected)


def test_a_reused_shot_has_no_changes(tmp_path):
    changed = [one._replace(extra={"changed": ["prompt"]}) for one in shots(2)]
    story = tell(tmp_path / "story", changed)
    publish(story._replace(reused=(True, False)))
    assert [row["changed"] for row in told(tmp_path / "story")["shots"]] == [[], ["prompt"]]


def test_keyframes_are_the_pixels_that_the_bank_took(story, folder):
    publish(story)
    for number, shot in enumerate(story.shots(), 1):
        for place, frame in enumerate(shot.keyframes().frames, 1):
            with Image.open(folder / f"keyframes/{number:03d}_{place}.png") as image:
                assert image.mode == "RGB" and np.array_equal(np.asarray(image), frame.pixels)


def test_clips_are_the_shots_without_repeated_frames(story, folder):
    publish(story)
    for number, frames in enumerate((9, 8, 4, 9), 1):
        with av.open(str(folder / f"shots/{number:03d}.mp4")) as container:
            assert len(list(container.decode(video=0))) == frames
            assert json.loads(container.metadata["comment"])["shots"][0]["seed"] == number - 1


def test_a_second_run_leaves_every_byte_and_encodes_nothing(story, folder, monkeypatch):
    publish(story)
    before = derived(folder)
    ages = {name: (folder / name).stat().st_mtime_ns for name in before if name != "story.json"}

    def encoded(*args):
        raise AssertionError("encoded again")

    monkeypatch.setattr(movie, "write", encoded)
    publish(story)
    assert derived(folder) == before
    assert {name: (folder / name).stat().st_mtime_ns for name in ages} == ages


@pytest.mark.parametrize("harm", ["gone", "changed", "cut"])
def test_what_was_harmed_is_written_again(story, folder, harm):
    publish(story)
    before = derived(folder)
    for name in ("film.mp4", "contact_sheet.png", "shots/002.mp4", "keyframes/003_1.png"):
        path, data = folder / name, before[name]
        if harm == "gone":
            path.unlink()
        else:
            path.write_bytes(data[: len(data) // 2] if harm == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    publish(story)
    assert derived(folder) == before


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}'])
def test_without_a_record_all_is_made_again(story, folder, text):
    publish(story)
    before = derived(folder)
    (folder / "story.json").write_text(text)
    publish(story)
    assert derived(folder) == before


def test_only_what_changed_is_encoded_again(story, folder, monkeypatch):
    publish(story)
    project = Project.open(folder)
    other = make(project, shots()[1]._replace(prompt="another", frames=scene(7, 9)), keep=(5, -1))
    changed = story._replace(keys=(story.keys[0], other.key, *story.keys[2:]))
    encoded, encode = [], movie.write

    def counted(frames, path, *args):
        encoded.append(path.name)
        encode(frames, path, *args)

    monkeypatch.setattr(movie, "write", counted)
    publish(changed)
    assert encoded == [".film.mp4.part", ".002.mp4.part"]
    again = derived(folder)
    fresh = tell(folder.parent / "fresh", [])
    for key in changed.keys:
        os.renames(folder / "store" / key, Path(fresh.folder) / "store" / key)
    publish(Story(fresh.folder, changed.keys), name="The Lantern")
    assert derived(Path(fresh.folder)) == again


def graph_in(path: Path) -> str:
    """What a file tells of its graph, as the test gives it."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return json.loads(image.text["prompt"])
    with av.open(str(path)) as container:
        return json.loads(container.metadata["prompt"])


def test_film_and_sheet_hold_the_graph_that_made_them(story, folder):
    publish(story, graph={"prompt": "first"})
    before = derived(folder)
    assert [graph_in(folder / name) for name in ("film.mp4", "contact_sheet.png")] == ["first"] * 2
    with av.open(str(folder / "shots/001.mp4")) as container:
        assert "prompt" not in container.metadata
    # Another graph, or none, of the same shots is no reason to write them again.
    publish(story, graph={"prompt": "second"})
    publish(story)
    assert derived(folder) == before
    (folder / "contact_sheet.png").unlink()
    publish(story, crossfade=2, graph={"prompt": "second"})
    assert [graph_in(folder / name) for name in ("film.mp4", "contact_sheet.png")] == ["second"] * 2
    (folder / "film.mp4").unlink()
    (folder / "contact_sheet.png").unlink()
    publish(story, graph={"prompt": "first"})
    assert derived(folder) == before


@pytest.mark.parametrize("settings", [{"fps": 24}, {"crossfade": 2}, {"name": "another name"}])
def test_other_settings_make_another_film(story, folder, settings):
    publish(story)
    before = (folder / "film.mp4").read_bytes()
    publish(story, **settings)
    assert (folder / "film.mp4").read_bytes() != before


def test_a_shorter_story_leaves_no_old_files_of_ours(story, folder):
    publish(story)
    for name in ("shots/mine.mp4", "shots/0012.mp4.bak", "keyframes/notes.txt", "keyframes/001_1.jpg"):
        (folder / name).write_text("mine")
    publish(Story(story.folder, story.keys[:2]))
    assert {name for name in derived(folder) if "/" in name} == {
        "keyframes/001_1.jpg", "keyframes/001_1.png", "keyframes/001_2.png", "keyframes/002_1.png",
        "keyframes/002_2.png", "keyframes/notes.txt", "shots/001.mp4", "shots/002.mp4", "shots/0012.mp4.bak",
        "shots/mine.mp4",
    }  # fmt: skip


def test_more_than_999_shots_keep_their_order_and_names(tmp_path):
    from storymem_core.film.publish import _outputs

    (one,) = tell(tmp_path / "story", shots(1)).shots()
    names = [
        output.name for output in _outputs([one] * 1001, film.rate(16), 0, "x") if "shots/" in output.name
    ]
    assert names[0] == "shots/001.mp4" and names[-1] == "shots/1001.mp4" and len(set(names)) == 1001


def test_a_shot_that_is_gone_is_told(story, folder):
    (folder / "store" / story.keys[1] / "frames.mkv").unlink()
    with pytest.raises(StoryMemError, match="stored shot of this story is missing or damaged"):
        publish(story)
    assert not (folder / "film.mp4").exists()


def test_a_story_that_cannot_be_a_film_leaves_the_old_outputs(story, folder):
    publish(story)
    before = derived(folder)
    wide = make(Project.open(folder), Told("wide", scene(0, 9, (96, 64)), seed=99))
    with pytest.raises(StoryMemError, match="shot 'wide' is 96x64, the first is 64x64"):
        publish(story.added(wide.key))
    assert derived(folder) == before


def test_another_run_in_the_folder(story, folder):
    with Project.open(folder).locked(), pytest.raises(StoryMemError, match="another run is writing"):
        publish(story)
