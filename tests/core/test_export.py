"""The film for other programs: files, frame counts, a timeline that adds up, one sound."""

from __future__ import annotations

import json
import shutil
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image
from stories import Told, noise, scene, tell

from storymem_core.errors import StoryMemError
from storymem_core.film import export, film, sound, timeline
from storymem_core.film.sound import Sound

FRAMES = (9, 8, 9)
"""What each shot adds to the film."""


@pytest.fixture
def story(tmp_path):
    shots = [
        Told("wake", scene(0, 9), prompt="A fox wakes."),
        Told("trot", scene(1, 9), dropped=1),
        Told("lake", scene(2, 9)),
    ]
    return tell(tmp_path / "fox", shots)


def tone(seconds: float, channels: int = 2, rate: int = 8000) -> Sound:
    times = np.arange(int(seconds * rate)) / rate
    return Sound(np.stack([(8000 * np.sin(times * 2764)).astype(np.int16)] * channels), rate)


def video(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def heard(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16p")
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def pictures(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def wanted(story, crossfade: int = 0) -> np.ndarray:
    return np.stack(list(film.join(story.shots(), crossfade)))


def test_pictures_are_the_films_own_pixels(story):
    folder = export.export(story, "png", crossfade=2)
    assert np.array_equal(pictures(folder / "film"), wanted(story, 2))
    for number, (shot, count) in enumerate(zip(story.shots(), FRAMES, strict=True), 1):
        own = pictures(folder / "shots" / f"{number:03d}")
        assert np.array_equal(own, np.stack(list(shot.frames()))[shot.dropped :]) and len(own) == count
    assert export.film_path(folder) == folder / "film"


@pytest.mark.parametrize(
    "format, name, codec, off", [("h264", "film.mp4", "h264", 6), ("prores", "film.mov", "prores", 3)]
)
def test_films_have_every_frame_and_the_sound(story, format, name, codec, off):
    folder = export.export(story, format, fps=8, sound=tone(99))
    path = export.film_path(folder)
    assert path == folder / name
    made = video(path)
    assert made.shape == (26, 64, 64, 3)
    assert np.abs(made.astype(int) - wanted(story)).mean() < off
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == (codec, 8)
    samples = heard(path)
    assert abs(samples.shape[1] - 26 / 8 * 8000) <= 2048, "cut where the film ends, but for the codec's block"
    assert samples.std() > 3000
    with wave.open(str(folder / "sound.wav")) as file:
        assert (file.getnframes(), file.getnchannels(), file.getframerate()) == (26_000, 2, 8000)
    assert [len(video(folder / "shots" / f"00{n}{path.suffix}")) for n in (1, 2, 3)] == list(FRAMES)


def test_the_timeline_adds_up_to_the_film(story):
    folder = export.export(story, "png", fps=8, crossfade=3, sound=tone(1, 1))
    timeline = otio.adapters.read_from_file(str(folder / "film.otio"))
    shots, below = timeline.tracks
    clips = list(shots.find_clips())
    assert shots.duration().value == 26 - 3 == len(wanted(story, 3))
    assert [clip.name for clip in clips] == ["001 wake", "002 trot", "003 lake"]
    assert [clip.media_reference.available_range.duration.value for clip in clips] == list(FRAMES)
    [fade] = [item for item in shots if isinstance(item, otio.schema.Transition)]
    assert (fade.in_offset.value, fade.out_offset.value) == (1, 2)
    # Each side of the cut has media for the whole fade: its last 3 frames, and its first 3.
    _, trot, lake = (clip.source_range for clip in clips)
    assert trot.end_time_exclusive().value + fade.out_offset.value == 8
    assert lake.start_time.value - fade.in_offset.value == 0
    assert clips[0].metadata["storymem"]["prompt"] == "A fox wakes."
    assert (folder / clips[0].media_reference.target_url_for_image_number(0)).is_file()
    [under] = below.find_clips()
    assert under.media_reference.target_url == "sound.wav"
    assert under.source_range.duration.to_seconds() == 1


def test_a_timeline_of_films_names_their_files(story):
    folder = export.export(story, "h264")
    timeline = otio.adapters.read_from_file(str(folder / "film.otio"))
    urls = [clip.media_reference.target_url for clip in timeline.find_clips()]
    assert urls == ["shots/001.mp4", "shots/002.mp4", "shots/003.mp4"]
    assert all((folder / url).is_file() for url in urls)
    told = json.loads((folder / "export.json").read_text())
    assert [(shot["file"], shot["frames"]) for shot in told["shots"]] == list(zip(urls, FRAMES, strict=True))


def test_what_is_there_is_not_written_again(story, monkeypatch):
    folder = export.export(story, "png")
    age = (folder / "film" / "000001.png").stat().st_mtime_ns
    assert export.export(story, "png") == folder
    assert (folder / "film" / "000001.png").stat().st_mtime_ns == age
    (folder / "film" / "000002.png").unlink()
    export.export(story, "png")
    assert len(pictures(folder / "film")) == 26
    # One that breaks off leaves the one before.
    monkeypatch.setattr(export, "_timeline", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.export(story, "png", fps=8)
    assert len(pictures(folder / "film")) == 26
    assert [path.name for path in folder.parent.iterdir()] == ["png"]


def test_what_a_person_puts_or_changes_there_stays(story):
    folder = export.export(story, "png")
    age = (folder / "film" / "000001.png").stat().st_mtime_ns
    (folder / ".DS_Store").write_text("finder")
    (folder / "cut").mkdir()
    (folder / "cut" / "film project.drp").write_text("mine")
    export.export(story, "png")
    assert (folder / "film" / "000001.png").stat().st_mtime_ns == age, "it is whole as it was written"
    for edit in ("first", "second"):
        (folder / "film.otio").write_text(edit)
        export.export(story, "png", fps=8 if edit == "first" else 12)
    assert (folder / "cut" / "film project.drp").read_text() == "mine"
    assert [(folder / f"film.edited{n}.otio").read_text() for n in (1, 2)] == ["first", "second"]
    assert otio.adapters.read_from_file(str(folder / "film.otio")).name == "fox"
    shutil.copytree(folder, folder.with_name("copied"))  # with other times, and by other hands
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("copied"), folder, copy_function=shutil.copyfile)
    export.export(story, "png", fps=8)
    assert len([*folder.rglob("*.edited*")]) == 2 and len(pictures(folder / "film")) == 26
    # Nobody knows any more who wrote what: what the new one has not is kept.
    (folder / "export.json").write_text("{")
    export.export(story, "png", fps=12)
    assert len([*folder.rglob("*.edited*")]) == 2 and (folder / "cut" / "film project.drp").exists()
    assert export.film_path(folder) == folder / "film"


@pytest.mark.parametrize("seed", [2**63 - 1, 2**64 - 1])
def test_any_seed_can_be_on_the_timeline(tmp_path, seed):
    clip = timeline.Clip("one", "one.mp4", 5, 0, {"seed": seed, "id": "a"})
    timeline.write(tmp_path / "film.otio", "fox", [clip], Fraction(16))
    (read,) = otio.adapters.read_from_file(str(tmp_path / "film.otio")).find_clips()
    assert int(read.metadata["storymem"]["seed"]) == seed and read.metadata["storymem"]["id"] == "a"


def test_what_a_killed_export_has_left_is_in_nobodys_way(story):
    folder = export.export(story, "png")
    for left in (".png.part", ".png.old.part"):
        (folder.parent / left / "film").mkdir(parents=True)
    export.export(story, "png", fps=8)
    (folder / "mine.txt").write_text("mine")
    folder.rename(folder.parent / ".png.old.part")  # killed just then
    export.export(story, "png", fps=12)
    assert (folder / "mine.txt").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["png"]


def test_a_shorter_story_leaves_no_old_shots(story):
    folder = export.export(story, "png")
    export.export(story._replace(keys=story.keys[:1]), "png")
    assert [path.name for path in (folder / "shots").iterdir()] == ["001"]


def test_the_hosts_audio_becomes_sixteen_bits():
    import torch

    waveform = torch.tensor([[[0.0, 1.0, -1.0, 2.0, 0.5]]])
    made = sound.from_host({"waveform": waveform, "sample_rate": 4})
    assert made.samples.tolist() == [[0, 32767, -32767, 32767, 16384]]
    assert made.cut(Fraction(1, 2)).samples.tolist() == [[0, 32767]]


@pytest.mark.parametrize("rate", [192_000, 50_000])
@pytest.mark.parametrize(("format", "file"), [("h264", "film.mp4"), ("prores", "film.mov")])
def test_a_sound_of_any_rate_is_heard_at_its_speed(story, format, file, rate):
    folder = export.export(story, format, fps=8, sound=tone(2, rate=rate))
    with av.open(str(folder / file)) as container:
        stream = container.streams.audio[0]
        assert stream.rate == (rate if format == "prores" else 48_000)
        assert float(stream.duration * stream.time_base) == pytest.approx(2, abs=0.05)
    loud = np.abs(heard(folder / file)[0, 1000:-4000].astype(int))
    assert loud.max() > 6000


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 1, 0)])
def test_a_sound_that_cannot_be_laid_under_a_film(shape):
    import torch

    with pytest.raises(StoryMemError, match="one or two channels"):
        sound.from_host({"waveform": torch.zeros(shape), "sample_rate": 8})


def test_another_format_is_told(story):
    with pytest.raises(StoryMemError, match=r"unknown export format.*\(got 'gif'\)"):
        export.export(story, "gif")


def test_a_shot_of_another_size_is_told_before_anything_is_written(tmp_path):
    story = tell(tmp_path / "fox", [Told("a", noise(1)), Told("b", noise(2, size=(64, 64)))])
    with pytest.raises(StoryMemError, match="the same size"):
        export.export(story, "png")
    assert not (tmp_path / "fox" / "export").exists()
