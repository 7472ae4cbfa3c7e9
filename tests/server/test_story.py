"""A short story on the real server: what a run leaves, what a second one makes again, and how runs end."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.request

import av
import numpy as np
import pytest
from PIL import Image
from short_story import (
    PACKS,
    PROBES,
    SHOTS,
    contents,
    decoded,
    graph,
    pixels,
    sha256,
    shot_by_shot,
    shot_node,
    stored,
    tell,
    unprobed,
)

from runner import client, graphs
from runner.errors import JobError
from runner.server import Server


def column(told, name: str) -> list:
    return [row[name] for row in told.rows]


def counts(told) -> list[int]:
    """How many shots each expert sampled."""
    return [len(lines) for lines in told.sampled.values()]


def with_text_pair(graph):
    """The graph with the small text-to-video pair for its first shot."""
    loop = graphs.only(graph, graphs.LOOP)
    files = {f"t2v_{noise}_noise_model": f"storymem_small_t2v_{noise}_noise" for noise in ("high", "low")}
    loaders = {
        socket: {
            "class_type": "UNETLoader",
            "inputs": {"unet_name": f"{file}.safetensors", "weight_dtype": "default"},
        }
        for socket, file in files.items()
    }
    inputs = graph[loop]["inputs"] | {socket: [socket, 0] for socket in loaders}
    return {**graph, **loaders, loop: {**graph[loop], "inputs": inputs}}


def with_motion_lora(graph):
    """The graph with the small MM2V pair in place of its MI2V pair."""
    return json.loads(json.dumps(graph).replace("Wan2.2-MI2V-A14B", "Wan2.2-MM2V-A14B"))


def picture(server, name: str) -> str:
    """A picture of coloured squares in the server's input folder; its name, from which the squares come."""
    squares = np.random.default_rng(list(name.encode())).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(squares).resize((64, 64), Image.Resampling.NEAREST).save(server.input / name)
    return name


@pytest.fixture(scope="module")
def first(server):
    """The story, told once for all tests that only look at it."""
    return tell(server, "first", graph("first"))


@pytest.fixture(scope="module")
def second_server(server, comfyui, models):
    """Another server with the same output folder."""
    with Server(comfyui, models, server.output, packs=PACKS, cpu=True) as other:
        yield other


# What a run leaves


def test_the_folder_holds_what_was_promised(first):
    keyframes = {
        f"keyframes/{number:03d}_{place}.png"
        for number, row in enumerate(first.rows, 1)
        for place, _ in enumerate(row["keyframes"], 1)
    }
    clips = {f"shots/{number:03d}.mp4" for number in (1, 2, 3, 4)}
    derived = {name for name in contents(first.folder) if not name.startswith(("store/", "."))}
    assert derived == {"film.mp4", "contact_sheet.png", "story.json"} | clips | keyframes
    assert {path.name for path in (first.folder / "store").iterdir() if path.is_dir()} == set(
        column(first, "key")
    )
    sheet = pixels(first.folder / "contact_sheet.png")
    assert sheet.shape[1] == 1720 and sheet.std() > 1


def test_the_story_is_told_as_it_was_made(first):
    assert (first.story["version"], first.story["name"], first.story["fps"]) == (1, "first", 16)
    assert column(first, "id") == ["wake", "trot", "lake", "swim"]
    assert column(first, "scene") == [1, 1, 2, 2]
    assert column(first, "prompt") == [shot["prompt"] for shot in SHOTS]
    assert column(first, "mode") == ["m2v", "mi2v", "m2v", "mi2v"]
    assert (column(first, "frames"), column(first, "dropped")) == ([5, 5, 5, 5], [0, 1, 0, 1])
    assert (column(first, "reused"), column(first, "changed")) == ([False] * 4, [[]] * 4)
    assert len(set(column(first, "seed"))) == 4
    for row in first.rows:
        assert set(row["models"]) == {"high", "low", "vae", "clip"}
        assert {"text", "conditioning", "memory", "sampling", "decoding", "keyframes"} == set(row["seconds"])
        for expert in ("high", "low"):
            [lora] = row["lora"][expert]
            assert lora["file"].endswith(f"Wan2.2-MI2V-A14B/backbone_{expert}_noise.safetensors")
            assert lora["scale"] == pytest.approx(8 / 8**0.5) and "rslora" in lora["why"]
            assert 0 < lora["matched"] == lora["total"]


def test_every_shot_saw_the_keyframes_of_those_before(first):
    made: list[str] = []
    for number, row in enumerate(first.rows, 1):
        memory = row["memory"]
        # Of so few frames none has left the bank yet.
        assert [frame["sha256"] for frame in memory] == made
        assert bool(memory) == (number > 1)
        assert row["positions"] == [-5.0 * back for back in range(len(memory), 0, -1)] + [0.0, 1.0]
        for place, keyframe in enumerate(row["keyframes"], 1):
            png = pixels(first.folder / "keyframes" / f"{number:03d}_{place}.png")
            assert sha256(png) == keyframe["sha256"]
            assert np.array_equal(png, stored(first, number)[keyframe["frame"]])
            assert (keyframe["source"], keyframe["shot"]) == ("shot", row["id"])
            made.append(keyframe["sha256"])
    assert len(first.rows[3]["memory"]) > 1


def test_the_film_is_the_shots_without_what_they_repeat(first):
    film = decoded(first.folder / "film.mp4")
    assert len(film) == first.story["frames"] == 5 + 4 + 5 + 4
    assert first.story["seconds"] == 18 / 16
    made = np.concatenate([stored(first, n)[row["dropped"] :] for n, row in enumerate(first.rows, 1)])
    # Lossy, but each frame is nearer to its own source than to any other.
    distance = np.abs(film[:, None].astype(int) - made[None].astype(int)).mean(axis=(2, 3, 4))
    assert distance.argmin(axis=1).tolist() == list(range(18))


def test_film_and_sheet_hold_the_graph_that_was_queued(first):
    """The whole of it, though a node of the loop's sub-graph writes them."""
    with av.open(str(first.folder / "film.mp4")) as film:
        in_film = film.metadata["prompt"]
    with Image.open(first.folder / "contact_sheet.png") as sheet:
        in_sheet = sheet.text["prompt"]
    assert json.loads(in_film) == json.loads(in_sheet) == graph("first")


def test_no_frame_is_flat(first):
    assert min(frame.std() for number in (1, 2, 3, 4) for frame in stored(first, number)) > 2


def test_both_experts_sample_each_shot_from_noise_of_its_own(first):
    high, low = (first.sampled[expert] for expert in PROBES)
    assert [line["shape"] for line in high] == [[1, 16, 2, 8, 8]] * 4  # f latent frames, no memory among them
    assert len({line["noise"] for line in high}) == 4
    assert len({line["noise"] for line in low}) == 1  # none is added: it goes on from the other's leftover
    assert len({line["latent"] for line in high + low}) == 8


# A second run


def test_the_same_run_again_makes_nothing(server, first):
    before = contents(first.folder)
    again = tell(server, "first", graph("first"))
    assert (column(again, "reused"), counts(again)) == ([True] * 4, [0, 0])
    assert contents(again.folder) | {"story.json": b""} == before | {"story.json": b""}


def test_another_server_finds_the_same_shots(second_server, first):
    again = tell(second_server, "first", graph("first"))
    assert (column(again, "reused"), counts(again)) == ([True] * 4, [0, 0])
    assert column(again, "key") == column(first, "key")


def test_a_changed_prompt_makes_its_shot_and_those_after_it_again(server, first):
    before = tell(server, "prompt", graph("prompt"))
    shots = [shot | {"prompt": "The fox drinks."} if shot["id"] == "lake" else shot for shot in SHOTS]
    changed = tell(server, "prompt", graph("prompt", *shots))
    assert column(changed, "reused") == [True, True, False, False]
    assert counts(changed) == [2, 2]
    assert changed.rows[2]["changed"] == ["prompt"]
    assert "start frames" in changed.rows[3]["changed"]  # it goes on from the changed shot
    assert set(changed.rows[3]["changed"]) <= {"start frames", "memory"}
    assert column(changed, "seed") == column(first, "seed")
    assert changed.film != before.film
    # What was made first is stored still.
    back = tell(server, "prompt", graph("prompt"))
    assert (column(back, "reused"), counts(back), back.film) == ([True] * 4, [0, 0], before.film)


def test_a_shot_that_remembers_a_changed_one_is_made_again(server):
    wake, lake = SHOTS[0], SHOTS[2]
    tell(server, "remembers", graph("remembers", wake, lake))
    changed = tell(server, "remembers", graph("remembers", wake | {"prompt": "The fox sleeps."}, lake))
    assert column(changed, "changed") == [["prompt"], ["memory"]]


def test_a_story_deleted_from_disk_is_made_again(server):
    """The host holds all outputs in its cache; the folder alone knows what there is."""
    one = graph("deleted", *SHOTS[:2])
    before = contents(tell(server, "deleted", one).folder)
    shutil.rmtree(server.output / "deleted")
    again = tell(server, "deleted", one)
    assert (column(again, "reused"), counts(again)) == ([False] * 2, [2, 2])
    assert again.film == before["film.mp4"]


def test_a_damaged_shot_is_made_again_and_said_so(server):
    one = graph("damaged", *SHOTS[:2])
    before = tell(server, "damaged", one)
    frames = before.folder / "store" / before.rows[0]["key"] / "frames.mkv"
    whole = frames.read_bytes()
    frames.write_bytes(whole[:-1])
    again = tell(server, "damaged", one)
    assert (column(again, "reused"), again.rows[0]["changed"]) == ([False, True], ["stored copy"])
    assert frames.read_bytes() == whole
    assert again.film == before.film


# Seeds, memory, modes


def test_another_seed_is_another_film(server, first):
    other = tell(server, "seed", graph("seed", *SHOTS[:1], seed=1))
    assert other.rows[0]["seed"] != first.rows[0]["seed"]
    assert other.sampled["high_noise_model"][0]["noise"] != first.sampled["high_noise_model"][0]["noise"]
    assert not np.array_equal(stored(other, 1), stored(first, 1))


def test_swapped_memory_is_another_film_of_the_same_noise(server, first):
    """Ignored memory cannot hide behind noise: but for the picture in the bank the runs are the same."""
    runs = []
    for name in ("fox", "cat", "fox cat", "cat fox"):
        images = [picture(server, f"{animal}.png") for animal in name.split()]
        runs.append(tell(server, name, graphs.with_references(graph(name, *SHOTS[:1]), images)))
        assert column(runs[-1], "seed") == column(first, "seed")[:1]
        assert [frame["source"] for frame in runs[-1].rows[0]["memory"]] == ["reference"] * len(images)
    high, low = ([run.sampled[expert][0] for run in runs] for expert in PROBES)
    assert {line["noise"] for line in high} == {first.sampled["high_noise_model"][0]["noise"]}
    assert len({line["latent"] for line in high}) == len({line["latent"] for line in low}) == len(runs)
    frames = [stored(run, 1) for run in (first, *runs)]
    assert len({sha256(made) for made in frames}) == len(frames)


def test_a_memory_is_looked_at_and_edited_where_a_story_leaves_it(server):
    story = graph("edited", *SHOTS[:2], memory_edits="pin wake:0\ndrop 2:4")
    loop = graphs.only(story, graphs.LOOP)
    nodes = {
        "edit": ("StoryMemMemoryEdit", {"memory": [loop, 2], "edits": "drop wake\nrestore 1\ncap 1"}),
        "preview": ("StoryMemMemoryPreview", {"memory": ["edit", 0], "story": [loop, 1]}),
        "sheet": ("SaveImage", {"images": ["preview", 0], "filename_prefix": "memory"}),
    }
    wired = {id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}
    told = tell(server, "edited", {**story, **wired})
    assert [frame["pinned"] for frame in told.rows[1]["memory"]] == [
        frame["frame"] == 0 for frame in told.rows[1]["memory"]
    ]
    [sheet] = server.output.glob("memory_*.png")
    assert pixels(sheet).shape[1] == 1720


def test_a_longer_overlap_goes_on_in_motion(server):
    told = tell(server, "motion", with_motion_lora(graph("motion", *SHOTS[:3], length=9, overlap=5)))
    assert (column(told, "mode"), column(told, "dropped")) == (["m2v", "mm2v", "m2v"], [0, 5, 0])
    assert told.rows[1]["lora"]["high"][0]["mode"] == "mm2v"
    assert len(decoded(told.folder / "film.mp4")) == told.story["frames"] == 9 + 4 + 9


def test_the_first_shot_by_text_to_video(server):
    told = tell(server, "text", with_text_pair(graph("text", *SHOTS[:2])))
    assert column(told, "mode") == ["t2v", "mi2v"]
    assert (told.rows[0]["memory"], told.rows[0]["lora"]) == ([], None)
    assert told.rows[1]["memory"] and counts(told) == [1, 1]
    assert told.rows[0]["models"]["high"] != told.rows[1]["models"]["high"]


def test_references_are_seen_by_the_first_shot_though_there_is_a_text_pair(server):
    one = graphs.with_references(graph("reference", *SHOTS[:1]), [picture(server, "hero.png")])
    told = tell(server, "reference", with_text_pair(one))
    [row] = told.rows
    assert (row["mode"], row["positions"]) == ("m2v", [-5.0, 0.0, 1.0])
    assert [(frame["source"], frame["sha256"]) for frame in row["memory"]] == [
        ("reference", sha256(pixels(server.input / "hero.png")))
    ]


def test_shots_wired_by_hand_are_those_of_the_loop(server, first):
    told = tell(server, "by hand", shot_by_shot("by hand"))
    assert [[line["latent"] for line in lines] for lines in told.sampled.values()] == [
        [line["latent"] for line in lines] for lines in first.sampled.values()
    ]
    for number in (1, 2, 3, 4):
        assert np.array_equal(stored(told, number), stored(first, number))
    assert [told.rows[3][name] for name in ("memory", "positions", "mode", "scene")] == [
        first.rows[3][name] for name in ("memory", "positions", "mode", "scene")
    ]


def test_a_story_in_a_subfolder_with_lengths_of_its_own_and_a_cross_fade(server):
    wake, trot, lake, _ = SHOTS
    faded = graph("series/first", wake | {"length": 9}, trot, lake | {"negative_prompt": "fog"}, crossfade=2)
    told = tell(server, "series/first", faded)
    assert (column(told, "frames"), column(told, "dropped")) == ([9, 5, 5], [0, 1, 0])
    assert column(told, "negative_prompt") == ["", "", "fog"]
    # Only the cut is faded: the continued shot is one take with the one before.
    assert len(decoded(told.folder / "film.mp4")) == told.story["frames"] == 9 + 4 + 5 - 2


# How runs end


def test_an_interrupted_run_keeps_the_finished_shots(server):
    long = graph("stopped", *SHOTS[:2], steps=30)
    seen = []

    def stop(event) -> None:
        if not seen and shot_node(event, 2).get("max") == 30:
            seen.append(shot_node(event, 2)["value"])
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/interrupt", b"{}", method="POST"))

    with pytest.raises(JobError, match="interrupted"):
        client.run(server.url, long, stop)
    assert seen and seen[0] < 30
    folder = server.output / "stopped"
    assert not (folder / "film.mp4").exists()
    assert len([path for path in (folder / "store").iterdir() if path.is_dir()]) == 1
    told = tell(server, "stopped", long)
    assert column(told, "reused") == [True, False]
    assert told.story["frames"] == 5 + 4


def test_a_shot_lost_in_the_middle_is_told_by_its_number(server):
    by_hand = shot_by_shot("lost", *SHOTS[:2])
    damage = {"class_type": "ProbeDamage", "inputs": {"story": ["shot 1", 0]}}
    second = {**by_hand["shot 2"], "inputs": by_hand["shot 2"]["inputs"] | {"story": ["damage", 0]}}
    with pytest.raises(JobError) as failed:
        client.run(server.url, {**by_hand, "damage": damage, "shot 2": second})
    told = str(failed.value)
    assert "StoryMemShot, shot 2 (trot): a stored shot of this story is missing or damaged" in told
    assert "Run the story again" in told
    # As it says.
    assert column(tell(server, "lost", by_hand), "reused") == [False, False]


def test_an_error_of_a_shot_names_its_number(server):
    # One step for each expert, which the host's uni_pc cannot do; the first shot's is told.
    with pytest.raises(JobError, match=r"^StoryMemShot, shot 1 \(wake\): .*uni_pc cannot sample"):
        client.run(server.url, shot_by_shot("failed", sampler_name="uni_pc"))
    # The loop knows before anything is made.
    with pytest.raises(JobError, match=r"^StoryMemStoryLoop: .*uni_pc cannot sample"):
        client.run(server.url, graph("failed", sampler_name="uni_pc"))


def test_two_runs_on_one_project_folder(server, second_server):
    one = graph("shared", *SHOTS[:1])
    gates = {
        probe: {"class_type": "ProbeGate", "inputs": {"model": one[probe]["inputs"]["model"], "name": "gate"}}
        for probe in PROBES.values()
    }
    one = {**one, **gates}
    finished = []
    run = threading.Thread(target=lambda: finished.append(client.run(server.url, one)))
    run.start()
    try:
        end = time.monotonic() + 60
        while not (server.output / "gate.waiting").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        by_hand = shot_by_shot("shared", *SHOTS[:1])
        for second, node in ((one, "StoryMemStoryLoop"), (by_hand, r"StoryMemShot, shot 1 \(wake\)")):
            told = rf"^{node}: another run is writing this story \(process {server.pid} on .*/shared'"
            with pytest.raises(JobError, match=told):
                client.run(second_server.url, second)
    finally:
        (server.output / "gate.open").touch()
        run.join(60)
    assert finished and (server.output / "shared" / "film.mp4").exists()


@pytest.mark.parametrize("project", ["../x", "/tmp/x", "a/../../x"])
def test_a_project_outside_the_output_folder_is_refused(server, project):
    outside = server.output.parent / "x"
    with pytest.raises(JobError, match="a story's folder must not"):
        client.run(server.url, unprobed(graph(project, *SHOTS[:1])))
    assert not outside.exists()
