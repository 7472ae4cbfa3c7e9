from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from stories import Told, make, scene

from storymem_core.errors import StoryMemError
from storymem_core.film import film, movie
from storymem_core.store.project import Project

HERE = Path(__file__).resolve().parent
RANGES = {"src_color_range": ColorRange.MPEG, "dst_color_range": ColorRange.JPEG}


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "story")


def grey(value: int, count: int, size=(64, 48)) -> np.ndarray:
    """Frames of one grey each: value, value + 1, ..."""
    levels = np.arange(value, value + count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, size[1], size[0], 3)).copy()


def stored(project, *shots):
    """Shots told as (first grey, frames, dropped)."""
    return [
        make(project, Told(f"shot-{number}", grey(*told[:2]), told[2], seed=number))
        for number, told in enumerate(shots, 1)
    ]


def decoded(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        # The colour space by hand: older PyAV does not take it from the frame.
        pictures = [
            frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709, **RANGES)
            for frame in container.decode(video=0)
        ]
        return [picture.to_ndarray() for picture in pictures]


def levels(path) -> list[float]:
    return [float(frame.mean()) for frame in decoded(path)]


# Joining


def test_repeated_frames_are_dropped_and_the_rest_stands_in_order(project, tmp_path):
    shots = stored(project, (10, 5, 0), (60, 9, 1), (110, 9, 5), (160, 5, 0))
    info = film.stitch(shots, tmp_path / "film.mp4")
    expected = [*range(10, 15), *range(61, 69), *range(115, 119), *range(160, 165)]
    assert info == (22, 22 / 16, (64, 48))
    assert np.allclose(levels(tmp_path / "film.mp4"), expected, atol=1.5)


def test_a_cut_is_faded_and_a_continued_take_is_not(project):
    shots = stored(project, (0, 6, 0), (100, 7, 1), (200, 6, 0))
    frames = [int(frame[0, 0, 0]) for frame in film.join(shots, 2)]
    # Two frames of the cut become mixtures: 2/3 and 1/3 of the old take, then 1/3 and 2/3.
    mixed = [round((105 * 2 + 200) / 3), round((106 + 201 * 2) / 3)]
    assert frames == [0, 1, 2, 3, 4, 5, 101, 102, 103, 104, *mixed, 202, 203, 204, 205]
    assert film.measure(shots, crossfade=2).frames == len(frames)


@pytest.mark.parametrize("crossfade", range(5))
def test_counts_are_exact_for_any_fade(project, crossfade):
    shots = stored(project, (0, 9, 0), (50, 9, 0), (100, 9, 1), (150, 9, 0))
    frames = list(film.join(shots, crossfade))
    assert len(frames) == film.measure(shots, crossfade=crossfade).frames == 9 + 9 + 8 + 9 - 2 * crossfade
    assert all(frame.dtype == np.uint8 and frame.shape == (48, 64, 3) for frame in frames)


def test_a_fade_never_wraps_around(project):
    white, black = np.full((6, 16, 16, 3), 255, np.uint8), np.zeros((6, 16, 16, 3), np.uint8)
    shots = [make(project, Told("w", white)), make(project, Told("b", black, seed=8))]
    fade = [int(frame[0, 0, 0]) for frame in film.join(shots, 4)]
    assert fade == [255, 255, 204, 153, 102, 51, 0, 0]


def test_no_more_than_the_fade_is_held(project, monkeypatch):
    """Frames are handed on while the shot is still being read."""
    shots = stored(project, (0, 20, 0), (100, 20, 0))
    read, given, ahead = 0, 0, []
    real = type(shots[0]).frames

    def counted(self):
        nonlocal read
        for frame in real(self):
            read += 1
            yield frame

    monkeypatch.setattr(type(shots[0]), "frames", counted)
    for _ in film.join(shots, 3):
        given += 1
        ahead.append(read - given)
    assert max(ahead) == 3 and given == 37


# The file


@pytest.mark.parametrize("fps", [16, 24, 30, 23.976, Fraction(24000, 1001), 12.5, 1])
@pytest.mark.parametrize("count", [1, 2, 3, 17])
def test_counts_and_durations_are_exact(project, tmp_path, fps, count):
    info = film.stitch(stored(project, (0, count, 0)), tmp_path / "film.mp4", fps=fps)
    rate = film.rate(fps)
    assert info.frames == count and info.seconds == float(count / rate)
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert times == [place / rate for place in range(count)]
        assert stream.frames == count
        assert stream.average_rate == rate
        assert stream.duration * stream.time_base == count / rate
        assert container.duration == round(1_000_000 * count / rate)
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == info.size


def test_fractions_of_common_rates():
    assert [film.rate(fps) for fps in (16, 16.0, 29.97, 0.5)] == [16, 16, Fraction(2997, 100), Fraction(1, 2)]


def test_colours_are_those_of_the_frames(project, tmp_path):
    colours = [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
        (0, 0, 0),
        (200, 120, 40),
        (10, 200, 240),
    ]
    frames = np.stack([np.full((32, 48, 3), colour, np.uint8) for colour in colours])
    film.stitch([make(project, Told("a", frames))], tmp_path / "film.mp4")
    for frame, colour in zip(decoded(tmp_path / "film.mp4"), colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 3
    with av.open(str(tmp_path / "film.mp4")) as container:
        first = next(container.decode(video=0))
        assert (first.colorspace, first.color_range) == (1, 1)  # BT.709, limited: what players assume least


def test_pictures_survive_the_codec(project, tmp_path):
    frames = scene(1, 17, (128, 96))
    film.stitch([make(project, Told("a", frames))], tmp_path / "film.mp4")
    error = (np.stack(decoded(tmp_path / "film.mp4")).astype(float) - frames) @ (0.2126, 0.7152, 0.0722)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 36  # dB of brightness


def test_prompts_and_seeds_are_in_the_metadata(project, tmp_path):
    prompt = 'A „猫“ says: "no"\n\\ Ω 🎬 \ud800' + "long " * 2000
    shots = [
        make(project, Told(f"s{number}", grey(0, 5), prompt=prompt, seed=2**62 + number, scene=number))
        for number in (1, 2)
    ]
    film.stitch(shots, tmp_path / "film.mp4", title="Ein Märchen 猫 \ud800", crossfade=1)
    with av.open(str(tmp_path / "film.mp4")) as container:
        metadata = container.metadata
    assert metadata["title"] == "Ein Märchen 猫 ?"
    told = json.loads(metadata["comment"])
    assert {name: told[name] for name in ("name", "fps", "crossfade")} == {
        "name": "Ein Märchen 猫 \ud800", "fps": 16.0, "crossfade": 1
    }  # fmt: skip
    assert told["shots"] == [
        {"id": f"s{number}", "scene": number, "mode": "m2v", "prompt": prompt, "seed": 2**62 + number,
         "frames": 5, "dropped": 0}
        for number in (1, 2)
    ]  # fmt: skip


GRAPH = {
    "workflow": {"nodes": [{"id": 9, "title": "Der Film 猫", "widgets_values": [float("nan")]}]},
    "prompt": {"9": {"class_type": "StoryMemShotStitch", "inputs": {"fps": 16.0}}},
}


def test_the_graph_is_in_the_metadata_beside_the_rest(project, tmp_path):
    shots = stored(project, (0, 5, 0))
    for name in ("one.mp4", "two.mp4"):
        film.stitch(shots, tmp_path / name, title="t", graph=GRAPH)
    data = (tmp_path / "one.mp4").read_bytes()
    assert data == (tmp_path / "two.mp4").read_bytes()
    # Free tags, before the frames: where the page looks for them.
    assert data.index(b"mdta") < data.index(b"mdat")
    with av.open(str(tmp_path / "one.mp4")) as container:
        metadata = container.metadata
    assert {name: metadata[name] for name in GRAPH} == {name: json.dumps(GRAPH[name]) for name in GRAPH}
    assert metadata["title"] == "t" and json.loads(metadata["comment"])["name"] == "t"
    assert np.allclose(levels(tmp_path / "one.mp4"), range(5), atol=1.5)


@pytest.mark.parametrize("graph", [None, {}])
def test_without_a_graph_title_and_comment_are_fields_that_players_show(project, tmp_path, graph):
    film.stitch(stored(project, (0, 5, 0)), tmp_path / "film.mp4", title="t", graph=graph)
    data = (tmp_path / "film.mp4").read_bytes()
    assert b"\xa9nam" in data and b"\xa9cmt" in data and b"mdta" not in data


def test_same_film_is_same_bytes(project, tmp_path):
    shots = [
        make(project, Told(name, scene(place, 9, (96, 64)), place % 2, seed=place))
        for place, name in enumerate("abc")
    ]
    for name in ("one.mp4", "two.mp4"):
        film.stitch(shots, tmp_path / name, crossfade=2, title="t")
    one = (tmp_path / "one.mp4").read_bytes()
    assert one == (tmp_path / "two.mp4").read_bytes()
    film.stitch(shots, tmp_path / "three.mp4", crossfade=1, title="t")
    assert one != (tmp_path / "three.mp4").read_bytes()


ENCODE = """
import hashlib, sys
from fractions import Fraction
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from stories import scene
from storymem_core.film import movie
from storymem_core.frames import frame_file
path = Path(sys.argv[3])
for size in ((64, 64), (416, 240)):
    movie.write(iter(scene(2, 9, size)), path, size, Fraction(16), {})
    print(hashlib.sha256(path.read_bytes()).hexdigest())
    frame_file.write(scene(2, 9, size), path)
    print(hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_bytes_do_not_depend_on_what_memory_held_before(tmp_path):
    """Where a codec reads memory that it never wrote, the fill of fresh memory shows in its output."""
    told = {
        subprocess.run(
            [sys.executable, "-c", ENCODE, HERE.parents[1], HERE, tmp_path / "x"],
            env={**os.environ, "MALLOC_PERTURB_": fill},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for fill in ("0", "1", "85")
    }
    assert len(told) == 1


def test_a_clip_is_the_shot_as_it_stands_in_the_film(project, tmp_path):
    (shot,) = stored(project, (50, 9, 5))
    assert film.write_clip(shot, tmp_path / "001.mp4") == (4, 0.25, (64, 48))
    assert np.allclose(levels(tmp_path / "001.mp4"), [55, 56, 57, 58], atol=1.5)


# Refusals


def test_a_shot_of_another_size_is_named_with_both_sizes(project, tmp_path):
    shots = [
        make(project, Told("small", grey(0, 5))),
        make(project, Told("large", grey(0, 5, (832, 480)), seed=8)),
    ]
    with pytest.raises(StoryMemError, match="shot 'large' is 832x480, the first is 64x48"):
        film.stitch(shots, tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()


def test_a_shot_of_another_rate_is_named_with_both_rates(project, tmp_path):
    shots = [
        make(project, Told("slow", grey(0, 5), extra={"fps": 16})),
        make(project, Told("fast", grey(0, 5), seed=8, extra={"fps": 24})),
        make(project, Told("any", grey(0, 5), seed=9)),
    ]
    with pytest.raises(StoryMemError, match="shot 'fast' was made for 24 fps, the film has 16"):
        film.stitch(shots, tmp_path / "film.mp4")
    assert film.measure([shots[0], shots[2]]).frames == 10
    assert film.measure([shots[1], shots[2]], fps=24.0).frames == 10


def test_odd_sizes_are_refused(project, tmp_path):
    shot = make(project, Told("odd", grey(0, 5, (48, 31))))
    with pytest.raises(StoryMemError, match="width and height must be even, shot 'odd' is not") as error:
        film.stitch([shot], tmp_path / "film.mp4")
    assert "48x31" in str(error.value)


@pytest.mark.parametrize(("count", "crossfade"), [(5, 3), (9, 5)])
def test_a_shot_too_short_for_its_fades_is_named(project, count, crossfade):
    shots = stored(project, (0, 20, 0), (50, count, 0), (100, 20, 0))
    film.measure(shots, crossfade=count // 2)
    with pytest.raises(StoryMemError, match=f"shot 'shot-2' adds {count} frames.*take {2 * crossfade}"):
        film.measure(shots, crossfade=crossfade)


def test_a_shot_that_adds_nothing_is_named(project):
    with pytest.raises(StoryMemError, match="shot 'shot-1' adds 0 frames"):
        film.measure(stored(project, (0, 5, 5)))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1001])
def test_rates_out_of_range(fps):
    with pytest.raises(StoryMemError, match="fps must be above 0"):
        film.rate(fps)


@pytest.mark.parametrize("crossfade", [-1, 1.5, True])
def test_fades_out_of_range(project, crossfade):
    with pytest.raises(StoryMemError, match="crossfade must be a whole number"):
        film.measure(stored(project, (0, 5, 0)), crossfade=crossfade)


def test_no_shots():
    with pytest.raises(StoryMemError, match="at least one shot"):
        film.measure([])


def test_a_failed_film_leaves_the_old_one(project, tmp_path, monkeypatch):
    shots = stored(project, (0, 9, 0))
    film.stitch(shots, tmp_path / "film.mp4")
    before = (tmp_path / "film.mp4").read_bytes()

    def broken(*args):
        yield from grey(0, 120)  # enough for the encoder to have written some
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(film, "join", broken)
    with pytest.raises(StoryMemError, match="no space is left"):
        film.stitch(shots, tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "story"]


def test_a_film_on_a_full_disk(project):
    shots = stored(project, (0, 9, 0))
    with pytest.raises(OSError, match="No space left"):
        movie.write(film.join(shots, 0), Path("/dev/full"), (64, 48), Fraction(16), {})
