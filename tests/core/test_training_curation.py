"""Curation: a person's own videos -> groups, on videos made here from real photographs."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.photos import SCENES, photo, view
from storymem_core.errors import StoryMemError
from storymem_core.keyframes import filter
from storymem_core.training import curation, grouping, looking, scene_cuts, video_files
from storymem_core.training.grouping import Band, Clip, Look
from storymem_core.training.scene_cuts import Shot

HEIGHT, WIDTH = 96, 160
PANS = {"left": (0.5, 0.3, 0.5), "right": (0.5, 0.7, 0.5), "far": (0.5, 0.5, 0.9), "up": (0.3, 0.5, 0.6)}


def take(name, pan="left", frames=17, speed=0.05):
    """Frames of a slow pan over a photograph, uint8 [frames, HEIGHT, WIDTH, 3]."""
    y, x, size = PANS[pan]
    windows = [(y, x + speed * along, size) for along in np.linspace(0, 1, frames)]
    views = [view(photo(SCENES[name]), HEIGHT, WIDTH, window) for window in windows]
    return (torch.stack(views) * 255).round().byte().numpy()


def write(path, frames, rate=16, codec="libx264", aspect=None, transfer=None, interlaced=False, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    coding = {"crf": "12", "g": "12", **({"x264-params": "tff=1"} if interlaced else {})}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=coding)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if transfer is not None:
            stream.codec_context.color_trc = transfer
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


class Colours:
    """An embedder that is quick: what the corners and the middle of a frame look like."""

    name = "colours"
    threshold = 0.97

    def __init__(self):
        self.frames = 0

    def __call__(self, frames):
        self.frames += len(frames)
        small = F.adaptive_avg_pool2d(frames.movedim(-1, 1), (6, 6)).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)


def curate(folder, out, embedder=None, length=17, low=0.4, **options):
    embedder = embedder or Colours()
    return curation.curate(
        folder, out, length=length, low=low, embedder=embedder, say=lambda line: None, **options
    )


# --- scene cuts ---


def tiny(frames):
    return np.stack([scene_cuts.thumbnail(frame) for frame in frames])


def test_a_thumbnail_is_the_mean_of_each_cell():
    frame = np.zeros((36, 64, 3), np.uint8)
    frame[:2, :2] = [[[255, 0, 0], [255, 0, 0]], [[0, 0, 255], [0, 0, 0]]]
    small = scene_cuts.thumbnail(frame)
    assert small.shape == (18, 32, 3) and small.dtype == np.float32
    np.testing.assert_allclose(small[0, 0], [0.5, 0, 0.25])
    assert small[1:].max() == 0 and small[0, 1:].max() == 0
    np.testing.assert_allclose(scene_cuts.thumbnail(np.full((19, 41, 3), 51, np.uint8)), 0.2, atol=1e-6)


def test_hard_cuts_are_found_to_the_frame():
    frames = np.concatenate([take("coffee"), take("chelsea", frames=9), take("chelsea", "far", 12)])
    assert scene_cuts.cuts(tiny(frames)) == (17, 26)
    assert scene_cuts.shots(tiny(frames)) == (Shot(0, 17), Shot(17, 26), Shot(26, 38))


@pytest.mark.parametrize("name", sorted(SCENES))
def test_a_moving_camera_is_no_cut(name):
    assert scene_cuts.shots(tiny(take(name, frames=24, speed=0.4))) == (Shot(0, 24),)


def test_a_flash_or_a_passer_by_is_no_cut():
    frames = take("coffee", frames=30)
    frames[14:16] = 255
    frames[22:24, :, 40:120] = 0
    assert scene_cuts.shots(tiny(frames)) == (Shot(0, 30),)


def test_a_dissolve_ends_a_take_and_its_frames_belong_to_none():
    a, b = take("coffee", frames=40).astype(float), take("chelsea", frames=40).astype(float)
    share = np.linspace(0, 1, 18)[1:-1, None, None, None]
    frames = np.concatenate([a[:24], a[24:] * (1 - share) + b[:16] * share, b[16:]]).astype(np.uint8)
    first, *between, last = scene_cuts.shots(tiny(frames))
    assert not between
    assert first.start == 0 and 20 <= first.end <= 25  # the dissolve's frames are 24 to 39
    assert last.end == 64 and 39 <= last.start <= 44


def test_no_frames_are_no_takes():
    assert scene_cuts.shots(np.zeros((0, 18, 32, 3), np.float32)) == ()
    assert scene_cuts.shots(np.zeros((1, 18, 32, 3), np.float32)) == (Shot(0, 1),)


# --- reading ---


def numbered(count):
    """Frames whose brightness is their number."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3) * 4


def numbers(frames):
    return [round(float(frame.mean()) / 4) for frame in frames]


@pytest.mark.parametrize(
    "rate, expected",
    [
        (16, list(range(12))),
        (32, [0, 2, 4, 6, 8, 10]),
        (24, [0, 1, 3, 4, 6, 7, 9, 10]),
        (Fraction(30000, 1001), [0, 1, 3, 5, 7, 9, 11]),
    ],
)
def test_any_rate_is_read_at_sixteen_frames_a_second(tmp_path, rate, expected):
    file = write(tmp_path / "a.mp4", numbered(12), rate)
    assert numbers(video_files.frames(file)) == expected


def test_reading_from_the_middle_gives_the_same_frames(tmp_path):
    file = write(tmp_path / "a.mp4", numbered(60), 24)
    every = list(video_files.frames(file))
    for start in (0, 1, 13, 30):
        rest = list(video_files.frames(file, start=start))
        assert np.array_equal(np.stack(rest), np.stack(every[start:]))


def test_a_clip_fills_its_size_without_being_stretched(tmp_path):
    frames = np.zeros((8, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 200  # the middle square
    file = write(tmp_path / "a.mp4", frames)
    clip = video_files.clip(file, 2, 5, (32, 32))
    assert clip.shape == (5, 32, 32, 3) and clip.min() > 180
    with pytest.raises(StoryMemError, match="ends before frame 9"):
        video_files.clip(file, 4, 5, (32, 32))


def test_a_video_held_upright_is_read_upright(tmp_path):
    frames = np.zeros((4, 32, 64, 3), np.uint8)
    frames[:, :, :16] = 250  # left in the file
    file = write(tmp_path / "a.mp4", frames)
    data = file.read_bytes()

    def matrix(*numbers):
        return b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)

    one, w = 1 << 16, 1 << 30
    straight, turned = matrix(one, 0, 0, 0, one, 0, 0, 0, w), matrix(0, one, 0, -one, 0, 0, 0, 0, w)
    track = data.index(b"tkhd")
    file.write_bytes(data[:track] + data[track:].replace(straight, turned, 1))
    picture = next(video_files.frames(file))
    assert picture.shape == (64, 32, 3)
    # A quarter turn clockwise (x' = -y, y' = x): what was left is on top.
    assert picture[:12].min() > 200 and picture[20:].max() < 50


def test_pixels_that_are_no_squares_are_made_square(tmp_path):
    """As on a DVD: 32 pixels that are shown as wide as 64."""
    frames = np.zeros((4, 48, 32, 3), np.uint8)
    frames[:, :, :8] = 250
    file = write(tmp_path / "a.mp4", frames, aspect=Fraction(2))
    picture = next(video_files.frames(file))
    assert picture.shape == (48, 64, 3) and picture[:, :12].min() > 200 and picture[:, 20:].max() < 50
    assert (
        video_files.shape(file) == (64, 48) and video_files.shape(write(tmp_path / "b.mp4", frames))[0] == 32
    )
    assert next(video_files.frames(file, short_side=32)).shape == (32, 43, 3)


def test_hdr_is_refused_by_name(tmp_path):
    file = write(tmp_path / "a.mp4", numbered(12), transfer=18)
    with pytest.raises(StoryMemError, match=r"HDR \(HLG\), and Wan2\.2 knows SDR"):
        list(video_files.frames(file))


def test_interlaced_frames_are_refused(tmp_path):
    file = write(tmp_path / "a.mp4", numbered(12), interlaced=True)
    with pytest.raises(StoryMemError, match="interlaced"):
        list(video_files.frames(file))


def test_slow_videos_are_refused(tmp_path):
    file = write(tmp_path / "a.mp4", numbered(12), 10)
    with pytest.raises(StoryMemError, match="10 frames a second"):
        list(video_files.frames(file))


def test_damage_within_a_file_is_told(tmp_path):
    file = write(tmp_path / "a.mp4", take("coffee", frames=48), movflags="+faststart")
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = os.urandom(4000)
    file.write_bytes(data)
    with pytest.raises(StoryMemError, match="damaged"):
        list(video_files.frames(file))


def test_a_file_that_was_cut_off_is_told(tmp_path):
    file = write(tmp_path / "a.mp4", take("coffee", frames=48), movflags="+faststart")
    with av.open(str(file)) as film:
        # Between two frames, wherever the encoder's threads have put them: a torn frame is another error.
        places = [packet.pos for packet in film.demux(video=0) if packet.pts is not None]
    file.write_bytes(file.read_bytes()[: places[len(places) // 2]])
    with pytest.raises(StoryMemError, match="it ends at 1"):
        list(video_files.frames(file))


def test_a_title_in_another_alphabets_bytes_harms_nothing(tmp_path):
    file = write(tmp_path / "a.avi", numbered(12), codec="mpeg4")
    plain = numbers(video_files.frames(file))
    with av.open(str(file)) as old, av.open(str(tmp_path / "titled.avi"), "w") as new:
        new.metadata["title"] = "MUELLER"
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    titled = tmp_path / "titled.avi"
    data = titled.read_bytes()
    assert data.count(b"MUELLER") == 1
    titled.write_bytes(data.replace(b"MUELLER", "MÜLLER ".encode("latin-1")))
    assert numbers(video_files.frames(titled)) == plain


def test_sound_may_last_longer_than_the_picture(tmp_path):
    """Matroska tells one length for both."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        picture = container.add_stream("mpeg4", rate=16)
        picture.height = picture.width = 32
        picture.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for frame in numbered(12):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(picture.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 4), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    assert len(list(video_files.frames(tmp_path / "a.mkv"))) == 12


# --- grouping ---


def look(id, angles, scores=None, video=None, start=0, length=17):
    """Frames as directions in a plane, in degrees: the cosine of two is that of their angle."""
    radians = torch.tensor(angles, dtype=torch.float64).deg2rad()
    rows = torch.stack([radians.cos(), radians.sin()], 1).float()
    scores = torch.tensor(scores if scores is not None else [1.0] * len(angles))
    clip = Clip(id, video or f"{id}.mp4", start, length)
    return Look(clip, tuple(range(0, 4 * len(angles), 4)), rows, scores)


BAND = Band(low=0.5, high=0.9, same=0.9)  # 60 and 25.8 degrees


def groups(*looks, band=BAND, min_score=0.5):
    return {group.target: group for group in grouping.group(looks, band, min_score)}


def test_relatives_lie_within_the_band():
    found = groups(look("a", [0]), look("twin", [20]), look("kin", [40]), look("far", [80]))
    assert [item.clip for item in found["a"].relatives] == ["kin"]
    assert found["a"].relatives[0].similarity == pytest.approx(0.7660, abs=1e-4)
    assert found["a"].refused == {"twin": grouping.DUPLICATE}
    assert [item.clip for item in found["far"].relatives] == ["kin"]


def test_the_ends_of_the_band():
    looks = [look("a", [0]), look("low", [60.0]), look("high", [-25.0])]
    exact = float(grouping.similarities(looks)[0, 1]), float(grouping.similarities(looks)[0, 2])
    found = groups(*looks, band=Band(exact[0], exact[1], 0.99))
    assert [item.clip for item in found["a"].relatives] == ["low"]  # low is within, high is not


def test_at_most_five_relatives_the_nearest():
    looks = [look("a", [0, 0])] + [look(f"k{n}", [30 + n, 30 + n]) for n in range(7)]
    # Frames that differ by a degree: alike, were `same` not so near to 1.
    found = groups(*looks, band=Band(0.5, 0.99, 0.99999))
    assert [item.clip for item in found["a"].relatives] == ["k0", "k1", "k2", "k3", "k4"]
    assert found["a"].refused == {"k5": grouping.ENOUGH, "k6": grouping.ENOUGH}


def test_frames_too_alike_to_any_target_frame_are_no_memory():
    # The mean of b is 50 degrees away, its second frame 10 degrees from one of a's.
    found = groups(look("a", [0, -10, 30]), look("b", [60, 40, 90]))
    assert found["a"].relatives == (grouping.Relative("b", pytest.approx(0.5, abs=0.2), (0, 8)),)


def test_a_relative_of_leaks_alone_is_refused():
    found = groups(
        look("a", [0, 40, 80]), look("b", [-20, -10, -15]), look("c", [-60]), band=Band(-0.5, 0.9, 0.9)
    )
    assert found["a"].refused["b"] == grouping.LEAK and "b" not in [r.clip for r in found["a"].relatives]


def test_memory_frames_pass_the_filter():
    found = groups(
        look("a", [0]), look("b", [40, 70, 41], scores=[0.1, 0.9, 0.2]), look("c", [-50], scores=[0.4])
    )
    assert found["a"].relatives[0].frames == (4,)
    assert found["a"].refused == {"c": grouping.POOR}


def test_memory_holds_no_view_twice():
    found = groups(look("a", [0]), look("b", [40]), look("c", [41, 72]), look("d", [42]))
    assert [(item.clip, item.frames) for item in found["a"].relatives] == [("b", (0,)), ("c", (4,))]
    assert found["a"].refused == {"d": grouping.REPEATED}


def test_moments_of_the_target_are_never_its_memory():
    a = look("a", [0], video="v.mp4", start=0)
    found = groups(
        a,
        look("b", [50], video="v.mp4", start=16),
        look("c", [-50], video="v.mp4", start=17),
        look("d", [55]),
    )
    assert found["a"].refused == {"b": grouping.OVERLAP}
    assert {item.clip for item in found["a"].relatives} == {"c"} | (
        {"d"} & {r.clip for r in found["a"].relatives}
    )
    assert "b" not in [item.clip for item in found["a"].relatives]


def test_few_frames_of_each_relative_are_kept():
    found = groups(look("a", [-90]), look("b", [-60, -30, 0, 30, 60]), band=Band(-0.5, 0.99, 0.9))
    assert len(found["a"].relatives[0].frames) == 3


def test_a_sudden_change_is_found_and_a_single_odd_frame_is_not():
    assert grouping.sudden_change(look("a", [0, 5, 10, 15]).embeddings, 0.5) is None
    assert grouping.sudden_change(look("a", [0, 5, 90, 95]).embeddings, 0.5) == 2
    assert grouping.sudden_change(look("a", [0, 5, 90, 10, 15]).embeddings, 0.5) is None


# --- all of it ---


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two films of two places each, one alone, a copy, one take too short, and a file that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    write(
        folder / "one.mp4",
        np.concatenate([take("coffee", "left"), take("chelsea", "far"), take("coffee", "far")]),
    )
    write(
        folder / "more" / "two.mkv", np.concatenate([take("chelsea", "up", 19), take("coffee", "up", 9)]), 16
    )
    shutil.copy(folder / "one.mp4", folder / "one copy.mp4")
    (folder / "broken.mp4").write_bytes(b"not a video" * 100)
    (folder / "one.txt").write_text("A cup of\ncoffee.\n", "utf-8")
    (folder / "notes.pdf").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def real(videos, tmp_path_factory):
    """Curated by the true embedder and filter."""
    out = tmp_path_factory.mktemp("curated")
    lines = []
    result = curation.curate(videos, out, length=17, say=lines.append)
    return result, out, lines


def places(result):
    return {clip.id: f"{clip.video} {clip.start}" for clip in result.clips}


def test_takes_become_clips_and_all_that_is_left_out_is_told(real):
    result, _, lines = real
    assert sorted(places(result).values()) == [
        "more/two.mkv 0", "one copy.mp4 0", "one copy.mp4 17", "one copy.mp4 34",
        "one.mp4 0", "one.mp4 17", "one.mp4 34",
    ]  # fmt: skip
    refused = {(part.video, part.start, part.end): part.reason for part in result.refused}
    assert set(refused) == {("broken.mp4", None, None), ("more/two.mkv", 19, 28)}
    assert "damaged" in refused["broken.mp4", None, None] and "too short" in refused["more/two.mkv", 19, 28]
    assert any(line.startswith("broken.mp4: left out") for line in lines)


def test_real_photographs_are_grouped_by_place_and_never_with_their_copies(real):
    result, _, _ = real
    place = places(result)
    related = {place[g.target]: {place[r.clip] for r in g.relatives} for g in result.groups}
    cat = {"one.mp4 17", "one copy.mp4 17", "more/two.mkv 0"}
    assert related
    for target, relatives in related.items():
        assert all((target in cat) == (name in cat) for name in relatives)
        assert not any(
            name.split()[-1] == target.split()[-1] and "one" in name for name in relatives if "one" in target
        )


def test_what_is_stored_is_read_again(real, videos):
    result, out, _ = real
    assert curation.load(out) == result
    captions = json.loads((out / "captions.json").read_text())
    place = places(result)
    assert {place[key]: text for key, text in captions.items()} == {
        name: "A cup of coffee." if name.startswith("one.mp4") else "" for name in place.values()
    }


def test_a_later_run_looks_at_new_videos_only_and_keeps_edited_captions(tmp_path, videos):
    folder, out = tmp_path / "videos", tmp_path / "out"
    shutil.copytree(videos, folder)
    first = curate(folder, out)
    captions = json.loads((out / "captions.json").read_text())
    edited = captions | {first.clips[0].id: "My own words."}
    (out / "captions.json").write_text(json.dumps(edited))
    again = Colours()
    assert curate(folder, out, again) == first and again.frames == 0
    assert json.loads((out / "captions.json").read_text()) == edited

    write(folder / "new.mp4", take("motorcycle"))
    assert len(curate(folder, out, again).clips) == len(first.clips) + 1
    assert again.frames == 5  # 0, 4, 8, 12, 16 of the new one alone
    os.utime(folder / "new.mp4", ns=(1, 1))
    curate(folder, out, again)
    assert again.frames == 10  # changed: looked at anew


def test_captions_that_are_no_json_are_left_as_they_are(tmp_path, videos):
    out = tmp_path / "out"
    curate(videos, out)
    edited = (out / "captions.json").read_text().replace("}", ",}")
    (out / "captions.json").write_text(edited)
    with pytest.raises(StoryMemError, match=r"captions of the clips are no JSON.*Mend the last edit"):
        curate(videos, out)
    assert (out / "captions.json").read_text() == edited


def test_a_stopped_run_goes_on(tmp_path, videos, monkeypatch):
    done = []
    see = looking.look

    def killed(file, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(file)
        return see(file, *rest)

    monkeypatch.setattr(looking, "look", killed)
    with pytest.raises(KeyboardInterrupt):
        curate(videos, tmp_path / "out")
    monkeypatch.setattr(looking, "look", see)
    rest = Colours()
    result = curate(videos, tmp_path / "out", rest)
    whole = Colours()
    assert result == curate(videos, tmp_path / "other", whole)
    assert 0 < rest.frames < whole.frames


def test_a_damaged_entry_is_made_again(tmp_path, videos):
    first = curate(videos, tmp_path)
    for path in (tmp_path / "videos").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert curate(videos, tmp_path) == first


# --- bad input ---


def test_a_folder_without_videos(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(StoryMemError, match="holds no videos"):
        curate(tmp_path, tmp_path / "out")
    with pytest.raises(StoryMemError, match="no folder of videos"):
        curate(tmp_path / "none", tmp_path / "out")


def test_nothing_but_damaged_videos(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x" * 1000)
    with pytest.raises(StoryMemError, match=r"none of the 1 videos can be used; a\.mp4"):
        curate(tmp_path, tmp_path / "out")
    assert "a.mp4" in (tmp_path / "out" / "refused.json").read_text()


def test_nothing_but_short_takes(tmp_path):
    write(tmp_path / "a.mp4", take("coffee", frames=12))
    with pytest.raises(StoryMemError, match=r"no take in these videos has 17 frames \(1.06 seconds\)"):
        curate(tmp_path, tmp_path / "out")


def test_clips_that_do_not_belong_together(tmp_path):
    write(tmp_path / "a.mp4", take("coffee"))
    write(tmp_path / "b.mp4", take("rocket"))
    with pytest.raises(StoryMemError, match="no two of the 2 clips belong together"):
        curate(tmp_path, tmp_path / "out", low=0.96)


@pytest.mark.parametrize("length", [1, 16, 80, -3])
def test_lengths_that_wan_does_not_make(tmp_path, length):
    with pytest.raises(StoryMemError, match="4 n"):
        curate(tmp_path, tmp_path / "out", length=length)


def test_an_embedder_without_a_known_band(tmp_path, videos):
    with pytest.raises(StoryMemError, match="lower end of the band"):
        curate(videos, tmp_path, low=None)
    with pytest.raises(StoryMemError, match="lower end of the band"):
        curate(videos, tmp_path, low=0.98)


def test_nothing_is_stored_there(tmp_path):
    with pytest.raises(StoryMemError, match="no curated videos"):
        curation.load(tmp_path)


def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path, videos, monkeypatch):
    curate(videos, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storymem_core.disk.sync", full)
    with pytest.raises(StoryMemError, match="no space"):
        curate(videos, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_default_filter_is_the_stories_own(real):
    told = json.loads((real[1] / "clips.json").read_text())["settings"]
    assert told["filter"] == filter.create("technical-quality").summary
    assert told["embedder"] == "efficientnet-lite0" and (told["low"], told["high"]) == (0.5, 0.85)
