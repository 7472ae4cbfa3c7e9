"""What a script that goes on with a story needs to know of it, and how little of it that reads."""

from __future__ import annotations

import pytest
from stories import Told, noise, tell

from storymem_core.errors import StoryMemError
from storymem_core.making.going_on import asked
from storymem_core.store import stored_shot

SHOTS = [Told(name, noise(number), prompt=f"The {name}.") for number, name in enumerate(("fox", "lake"))]


def test_the_shots_of_a_story_are_told_in_order(tmp_path):
    told = asked(tell(tmp_path, SHOTS))
    assert told == ({"shot_id": "fox", "prompt": "The fox."}, {"shot_id": "lake", "prompt": "The lake."})
    assert asked(None) == ()


def test_no_file_of_an_earlier_shot_is_read_but_its_record(tmp_path, monkeypatch):
    """Each shot asks it of all those before: to read their frames would cost a long story hours."""
    story = tell(tmp_path, SHOTS)
    read = []
    sha256 = stored_shot.file_sha256
    monkeypatch.setattr(stored_shot, "file_sha256", lambda path: (read.append(path), sha256(path))[1])
    asked(story)
    assert read == []
    assert len(story.shots()) == 2 and read, "a full look reads them"
    for shot in story.shots():
        (shot.folder / "frames.mkv").unlink()
    assert [told["shot_id"] for told in asked(story)] == ["fox", "lake"]


def test_a_shot_that_is_gone_is_told(tmp_path):
    story = tell(tmp_path, SHOTS)
    (story.shots()[0].folder / "shot.json").unlink()
    with pytest.raises(StoryMemError, match="stored shot of this story is missing or damaged"):
        asked(story)
