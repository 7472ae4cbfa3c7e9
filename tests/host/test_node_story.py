"""Stories by the nodes: a shot, the film, and the loop's sub-graph."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import folder_paths
import numpy as np
import pytest
import torch
from comfy.cli_args import args
from comfy_api.latest import InputImpl
from comfy_execution.graph import DynamicPrompt
from node_calls import (
    SMALL,
    Pixels,
    bank_of,
    call,
    core,
    declared,
    hidden_of_expanded,
    images,
    prompts,
    run_expansion,
    shown,
)
from PIL import Image

import nodes


@pytest.fixture(autouse=True)
def folders(pack, output):
    return output


def shot(parts, **change):
    models = {name: parts[name] for name in ("high_noise_model", "low_noise_model", "vae", "clip")}
    widgets = {"prompt": "a red fox", "project": "fox", "embedder": Pixels(), **SMALL}
    return call("StoryMemShot", **(models | widgets | change))


def test_a_shot_is_stored_and_found_again(parts, output):
    first = shot(parts)
    story, memory = first.values
    (stored,) = story.shots()
    assert Path(story.folder) == output.resolve() / "fox"
    assert story.reused == (False,)
    assert len(memory.load().frames) >= 1
    assert len(shown(first)) == 4
    second = shot(parts)
    assert second[0].reused == (True,)
    assert second[0].keys == story.keys
    assert [f.sha256 for f in second[1].load().frames] == [f.sha256 for f in memory.load().frames]
    assert stored.count == 5


class OtherPixels(Pixels):
    name = "other pixels"


class LowThreshold(Pixels):
    threshold = 0.5


def given_bank(**change):
    return replace(bank_of(images(1), images(1, seed=1), names="hero, castle")[0], **change)


def with_pin():
    first, second = given_bank().frames
    return given_bank(frames=(first, replace(second, pinned=True)))


REMEMBERED_OTHERWISE = {
    "fewer keyframes": lambda: {"keyframes": 1},
    "an embedder's threshold": lambda: {"embedder": LowThreshold()},
    "a filter": lambda: {"filter": call("StoryMemAestheticFilter")[0]},
    "a sink": lambda: {"memory": given_bank(sink=2)},
    "a capacity": lambda: {"memory": given_bank(capacity=8)},
    "a pin": lambda: {"memory": with_pin()},
    "a frame set aside": lambda: {"memory": given_bank(aside=given_bank().frames[:1])},
    "names": lambda: {"memory": bank_of(images(1), images(1, seed=1), names="mira, castle")[0]},
    "all references by name": lambda: {"references": "hero, castle"},
}


@pytest.mark.parametrize("name", REMEMBERED_OTHERWISE)
def test_frames_are_kept_where_only_the_memory_after_a_shot_changes(parts, request, name):
    (old,) = shot(parts, memory=given_bank(), length=9)[0].shots()
    before = {path: path.read_bytes() for path in old.folder.rglob("*") if path.is_file()}
    request.getfixturevalue("no_sampling")
    change = {"memory": given_bank(), "length": 9, **REMEMBERED_OTHERWISE[name]()}
    story, memory = shot(parts, **change).values
    (new,) = story.shots()
    assert new.key != old.key and story.reused == (False,)
    assert np.array_equal(new.all_frames(), old.all_frames())
    assert (new.row["frames_of"], old.row["frames_of"]) == (old.key, None)
    assert new.row["changed"] and set(new.row["seconds"]) == {"keyframes"}
    bank = memory.load()
    assert (bank.sink, bank.capacity) == (change["memory"].sink, change["memory"].capacity)
    assert len(new.row["keyframes"]) <= change.get("keyframes", 3)
    assert {path: path.read_bytes() for path in before} == before, "the copy is as it was"
    assert shot(parts, **change)[0].reused == (True,)


def test_a_shot_without_memory_keeps_its_frames_with_another_embedder(parts, request):
    (old,) = shot(parts)[0].shots()
    request.getfixturevalue("no_sampling")
    story, memory = shot(parts, embedder=OtherPixels()).values
    assert story.shots()[0].row["frames_of"] == old.key and memory.load().embedder == "other pixels"


def test_a_pin_in_the_sink_samples_no_shot_of_a_story(parts, output, request):
    def rows(**change):
        run_expansion(*loop(parts, **change))
        return json.loads((output / "Ink/story.json").read_text())["shots"]

    before = rows()
    request.getfixturevalue("no_sampling")
    after = rows(memory_edits="pin 1:0")
    assert [row["frames_of"] for row in after] == [None, before[1]["key"], before[2]["key"]]
    assert [row["reused"] for row in after] == [True, False, False]
    assert [row["follows"] for row in after] == [None, before[0]["key"], before[1]["key"]]
    assert after[2]["memory"][0]["pinned"]


def test_a_storys_memory_tells_its_embedder_and_takes_no_other(parts, request):
    story, memory = shot(parts).values
    assert memory.load().embedder == "pixels"
    assert story.shots()[0].keyframes().embedder == "pixels"
    request.getfixturevalue("no_sampling")
    with pytest.raises(ValueError, match=r"embeddings were made by pixels.*'other pixels'"):
        shot(parts, prompt="a hare", story=story, embedder=OtherPixels())


@pytest.mark.parametrize("name", ["memory", "start_frames"])
def test_a_later_shot_has_its_storys_memory_and_end_and_takes_no_others(parts, name):
    story, memory = shot(parts).values
    assert len(shot(parts, prompt="a hare", story=story, memory=memory)[0].keys) == 2, "it is the story's own"
    given = {"memory": memory.load(), "start_frames": images(1)}[name]
    with pytest.raises(ValueError, match=f"memory and its last frames, and takes no {name}.*memory_edits"):
        shot(parts, prompt="a hare", story=story, **{name: given})


def test_two_shots_of_a_story_have_two_ids(parts):
    """By the id a lock and a take are kept; a copied node brings its own with it."""
    story = shot(parts, shot_id="cat")[0]
    says = r"an earlier shot of this story has the same id.*'cat'.*`shot_id` in Story Shot"
    with pytest.raises(ValueError, match=says):
        shot(parts, shot_id="cat", prompt="a hare", story=story)


def test_a_shots_frames_are_those_of_the_m2v_sampler(parts):
    (stored,) = shot(parts, negative_prompt="fog", seed=3)[0].shots()
    models = {name: parts[name] for name in ("high_noise_model", "low_noise_model", "vae")}
    latent = call("StoryMemM2VSampler", **models, **prompts(parts), seed=3, **SMALL)[0]
    with torch.inference_mode():
        (frames,) = nodes.VAEDecode().decode(parts["vae"], latent)
    assert np.array_equal(np.stack(list(stored.frames())), core("frames.pixels").quantise(frames.float()))


LORA = "storymem_small/Wan2.2-MI2V-A14B/backbone_{}_noise.safetensors"


def with_loras(parts, high="high", low="low"):
    """The parts with an M2V LoRA on each expert, made for the expert that is named."""
    given = {"high_noise_model": high, "low_noise_model": low}
    loaded = {
        name: call("StoryMemM2VLora", model=parts[name], lora_name=LORA.format(file))[0]
        for name, file in given.items()
    }
    return {**parts, **loaded}


SWAPPED = [
    f"{LORA.format('low')} is for the low-noise expert, not for the high-noise one",
    f"{LORA.format('high')} is for the high-noise expert, not for the low-noise one",
]


def test_a_shot_says_how_it_was_made_and_which_loras_do_not_fit(parts, monkeypatch):
    assert shot(parts, project="plain").ui["text"] == ("shot-1: take 1, made",)
    again = shot(parts, project="plain", keyframes=1)
    assert again.ui["text"] == ("shot-1: take 1, frames kept, keyframes selected again",)
    first, again = (shot(with_loras(parts, "low", "high")) for _ in range(2))
    assert first[0].shots()[0].row["doubts"] == SWAPPED
    told = "\n".join(f"warning: {doubt}" for doubt in SWAPPED)
    assert first.ui["text"] == (f"{told}\nshot-1: take 1, made",)
    assert again.ui["text"] == (f"{told}\nshot-1: take 1, found stored",)
    monkeypatch.setattr(DynamicPrompt, "get_display_node_id", lambda *_: "the loop")
    assert "text" not in shot(with_loras(parts)).ui, "the loop's own report stays on the loop"


def test_a_shot_says_that_the_filter_left_it_nothing_to_remember(parts):
    class Strict:
        name, threshold, scale = "strict", 2.0, (0.0, 1.0)

        def __call__(self, frames):
            return torch.zeros(len(frames))

    result = shot(parts, filter=core("keyframes.filter").Filter(Strict(), 1.0))
    assert result.ui["text"][0].startswith("warning: no frame of this shot entered the memory: the filter")


def test_a_new_node_at_the_place_of_a_locked_shot_is_told(parts):
    story = shot(parts)[0]
    call("StoryMemShotStitch", story=story)
    call("StoryMemStoryProject", project="fox", action="lock", shot="1")
    with pytest.raises(ValueError, match=r"shot 1 .*a locked shot with another prompt, 'a red fox'"):
        shot(parts, prompt="a hare")
    stays = shot(parts, prompt="a hare", shot_id="shot-1")
    assert stays[0].keys == story.keys
    assert stays.ui["text"][0].endswith("although these changed: prompt; redo or unlock it in Story Project")
    assert shot(parts, prompt="a hare", shot_id="hare")[0].keys != story.keys


def test_shots_are_chained_and_stitched(parts, output):
    first = shot(parts)
    second = shot(parts, prompt="it runs", cut=False, story=first[0], project="ignored")
    (story, _) = second.values
    one, two = story.shots()
    assert (one.dropped, two.dropped) == (0, 1)
    assert two.seen().frames == first[1].load().frames
    assert two.row["mode"] == "mi2v"
    assert not (output / "ignored").exists()

    result = call("StoryMemShotStitch", story=story, fps=8.0)
    video, path = result.values
    assert Path(path) == output.resolve() / "fox" / "film.mp4"
    parts_of_video = video.get_components()
    assert (len(parts_of_video.images), parts_of_video.frame_rate) == (9, 8)
    assert result.ui["images"] == [{"filename": "film.mp4", "subfolder": "fox", "type": "output"}]
    told = json.loads((output / "fox" / "story.json").read_text())
    assert [row["dropped"] for row in told["shots"]] == [0, 1]


def test_a_film_stays_what_it_was_when_another_stitch_replaces_it(parts, output):
    """A later node reads it, perhaps after a second Shot Stitch of the same story."""
    story = shot(parts)[0]
    slow, fast = (call("StoryMemShotStitch", story=story, fps=fps)[0] for fps in (8.0, 16.0))
    assert [video.get_components().frame_rate for video in (slow, fast)] == [8, 16]
    again = call("StoryMemShotStitch", story=story, fps=16.0)[0]
    assert again.get_stream_source() == fast.get_stream_source()


def test_a_film_is_shown_where_the_output_folder_is_a_link(parts, output, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(output)
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "link"))
    result = call("StoryMemShotStitch", story=shot(parts)[0])
    assert result.ui["images"] == [{"filename": "film.mp4", "subfolder": "fox", "type": "output"}]


PROMPT = {"9": {"class_type": "StoryMemStoryLoop", "inputs": {"fps": 16.0}, "is_changed": [float("nan")]}}
WORKFLOW = {"nodes": [{"id": 9, "type": "StoryMemStoryLoop"}]}


def graph_in(folder):
    """What the host reads out of a film, and what out of its contact sheet."""
    film = InputImpl.VideoFromFile(str(folder / "film.mp4")).get_components().metadata
    with Image.open(folder / "contact_sheet.png") as sheet:
        texts = sheet.text
    names = ("prompt", "workflow")
    return [{name: json.loads(told[name]) for name in names if name in told} for told in (film, texts)]


def test_a_film_and_its_sheet_open_as_the_graph_that_was_queued(parts, output):
    """Not as the sub-graph, and without what the host notes in the prompt as it runs."""
    hidden = hidden_of_expanded(
        "StoryMemShotStitch", PROMPT, {"extra_pnginfo": {"workflow": WORKFLOW}, "client_id": "me"}
    )
    call("StoryMemShotStitch", hidden=hidden, story=shot(parts)[0])
    queued = {"9": {"class_type": "StoryMemStoryLoop", "inputs": {"fps": 16.0}}}
    assert graph_in(output / "fox") == [{"prompt": queued, "workflow": WORKFLOW}] * 2


@pytest.mark.parametrize("reason", ["no graph", "--disable-metadata"])
def test_a_film_without_a_graph(parts, output, monkeypatch, reason):
    extra_data = {"extra_pnginfo": {"workflow": WORKFLOW}}
    if reason == "no graph":
        hidden = hidden_of_expanded("StoryMemShotStitch", {}, {})
    else:
        monkeypatch.setattr(args, "disable_metadata", True)
        hidden = hidden_of_expanded("StoryMemShotStitch", PROMPT, extra_data)
    call("StoryMemShotStitch", hidden=hidden, story=shot(parts)[0])
    assert graph_in(output / "fox") == [{}, {}]


def test_a_shot_has_images_references_and_loras_of_its_own(parts):
    bank = bank_of(images(1), images(1, seed=1), names="hero, castle")[0]
    own = {
        "start_image": images(2, (48, 64)),
        "end_image": images(1, seed=5),
        "references": "castle",
        "extra_lora_low": LORA.format("low"),
        "extra_lora_strength": 0.5,
    }
    story, memory = shot(parts, memory=bank, length=9, **own).values
    (stored,) = story.shots()
    row = stored.row
    assert (row["mode"], row["dropped"], row["references"]) == ("i2v", 0, ["castle"])
    assert [frame["shot"] for frame in row["memory"]] == ["castle"]
    assert [frame.origin.shot for frame in memory.load().frames[:2]] == ["hero", "castle"]
    assert [note["strength"] for note in row["lora"]["low"]] == [0.5] and row["lora"]["high"] == []
    told = stored.made_of
    resized = core("host.vae").resize(images(2, (48, 64))[:1], width=32, height=32)
    start = core("frames.pixels").quantise(resized)
    assert told["start image"] == row["start_image"] == core("making.shot_record").digest(start)
    assert (told["start frames"], told["extra lora low"]) == (None, LORA.format("low"))


@pytest.mark.parametrize("overlap", [5, 9, 13])
def test_longer_overlaps_go_on_from_as_many_frames(parts, overlap):
    first = shot(parts, length=13)
    story, _ = shot(parts, story=first[0], cut=False, overlap=overlap, length=17).values
    one, two = story.shots()
    assert (two.row["mode"], two.dropped, two.count) == ("mm2v", overlap, 17)
    assert two.made_of["start frames"] == core("making.shot_record").digest(one.last(overlap))
    assert min(frame["frame"] for frame in two.row["keyframes"]) >= overlap


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cut": False, "start_image": images(1)}, "cannot have a start image"),
        ({"end_image": images(1), "length": 1}, "nothing is left to generate"),
        ({"references": "hero"}, "no reference with this name"),
        ({"lora_strength": 0.5}, "needs a model with an M2V LoRA"),
        ({"extra_lora_high": "gone.safetensors"}, "no such file in models/loras"),
    ],
)
def test_what_a_shot_cannot_have_is_refused_before_sampling(parts, no_sampling, change, message):
    with pytest.raises(ValueError, match=f"StoryMemShot, shot 1 .*{message}"):
        shot(parts, start_frames=images(1), **change)


@pytest.mark.parametrize("given", ["start_image", "end_image"])
def test_a_text_to_video_model_takes_no_images(parts, no_sampling, given):
    pair = {f"{name}_model": parts[f"t2v_{name}_model"] for name in ("high_noise", "low_noise")}
    with pytest.raises(ValueError, match=f"text-to-video model cannot .* an image.*'{given}'"):
        shot({**parts, **pair}, **{given: images(1)})


SCRIPT = {
    "story_name": "Ink",
    "scenes": [
        {"video_prompts": ["A desk.", "A pen."], "cut": [True, False]},
        {"video_prompts": ["Rain."], "cut": [True], "negative_prompt": ["fog"], "seed": [7], "length": [9]},
    ],
}
WIRES = ("high_noise_model", "low_noise_model", "clip", "vae")


def loop(parts, **change):
    """The loop's result, and its inputs by the node that each is wired from."""
    given = {name: parts[name] for name in WIRES} | {"embedder": Pixels(), **change}
    given["script"] = call("StoryMemScript", text=json.dumps(given.pop("text", SCRIPT)))[0]
    sockets = {name for name in given if declared("StoryMemStoryLoop")[name][0] not in WIDGETS}
    sources = {f"from {name}": given[name] for name in sockets}
    links = {name: [f"from {name}", 0] for name in sockets}
    return call("StoryMemStoryLoop", links, **{**SMALL, **given}), sources


WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def told(result):
    """The expansion's shots in order, and its stitch."""
    *shots, stitch = result.expand.values()
    assert [shot["class_type"] for shot in shots] == ["StoryMemShot"] * len(shots)
    assert stitch["class_type"] == "StoryMemShotStitch"
    return [shot["inputs"] for shot in shots], stitch["inputs"]


def test_the_loop_is_a_chain_of_shots_and_a_stitch(parts):
    widgets = {"seed": 5, "overlap": 5, "keyframes": 2, "length": 9}
    film = {"fps": 8.0, "crossfade": 3, "colour_match": 4}
    result, _ = loop(parts, negative_prompt="blur", **widgets, **film)
    shots, stitch = told(result)
    ids = list(result.expand)
    assert [shot.get("story") for shot in shots] == [None, [ids[0], 0], [ids[1], 0]]
    assert stitch == {"story": [ids[2], 0], **film}
    assert list(result.values) == [[ids[3], 0], [ids[2], 0], [ids[2], 1]]
    parsed = call("StoryMemScript", text=json.dumps(SCRIPT))[0]
    seeds = [core("script.script").shot_seed(5, shot.id) for shot in parsed.shots[:2]]
    own = ("prompt", "scene", "cut", "length", "seed", "negative_prompt")
    assert [[shot[name] for name in own] for shot in shots] == [
        ["A desk.", 1, True, 9, seeds[0], "blur"],
        ["A pen.", 1, False, 9, seeds[1], "blur"],
        ["Rain.", 2, True, 9, 7, "fog"],
    ]
    shared = {"width": 32, "cfg_low": 2.0, "overlap": 5, "keyframes": 2, "shift": 4.0, "project": "Ink"}
    for shot in shots:
        assert shared.items() <= shot.items()
        assert {name: shot[name] for name in (*WIRES, "embedder")} == {
            name: [f"from {name}", 0] for name in (*WIRES, "embedder")
        }
    (text,) = result.ui["text"]
    assert text.split("\n")[1] == f"2. scene 1, continued, 9 frames, seed {seeds[1]}: A pen."


def report(parts, **change):
    """The lines of the loop's report."""
    return loop(parts, **change)[0].ui["text"][0].split("\n")


def test_the_loops_report_begins_with_what_is_suspicious_each_said_once(parts, no_sampling):
    swapped, length = with_loras(parts, "low", "high"), {"overlap": 5, "length": 9}
    lines = report(swapped, **length)
    needs = "warning: {} was trained for MI2V; an overlap of 5 needs MM2V"
    other = [needs.format(LORA.format(name)) for name in ("low", "high")]
    assert sorted(lines[:4]) == sorted([*(f"warning: {doubt}" for doubt in SWAPPED), *other])
    assert lines[4].startswith("1. scene 1, cut, ") and len(lines) == 7
    assert report(with_loras(parts))[0].startswith("1. scene 1, cut, ")


def test_the_14b_without_an_m2v_lora_is_told_where_a_shot_sees_memory(parts, no_sampling, monkeypatch):
    assert report(parts)[0].startswith("1. "), "the small models read memory with all their weights"
    monkeypatch.setattr(core("host.lora"), "A14B_WIDTH", 256)  # that of the small models
    none = (
        "warning: StoryMem M2V LoRA has loaded no LoRA on the {}-noise model: "
        "unless one is merged into it, it cannot read memory"
    )
    assert report(parts)[:2] == [none.format("high"), none.format("low")]
    assert report(with_loras(parts))[0].startswith("1. ")
    one = {"scenes": [{"video_prompts": ["Rain."], "cut": [True]}]}
    assert report(parts, text=one)[0].startswith("1. "), "its only shot sees no memory"
    assert len(report(parts, text=one, memory=bank_of(images(1))[0])) == 3
    lora = {"scenes": [{"shots": [{"prompt": "A lake.", "lora": {"high": LORA.format("high")}}]}]}
    assert report(parts, text=lora, memory=bank_of(images(1))[0])[0] == none.format("low")


def test_some_shots_of_a_script_keep_the_numbers_of_the_whole(parts, output):
    def made(only, edits=""):
        result, sources = loop(parts, only=only, memory_edits=edits)
        run_expansion(result, sources)
        return result, json.loads((output / "Ink/story.json").read_text())["shots"]

    ids = [one.id for one in call("StoryMemScript", text=json.dumps(SCRIPT))[0].shots]
    result, before = made("1,3")
    assert [line[:2] for line in result.ui["text"][0].split("\n")] == ["1.", "3."]
    assert [row["id"] for row in before] == [ids[0], ids[2]]
    result, after = made("1,3", "drop 2:4\npin 3:0")
    assert told(result)[0][0]["memory_edits"] == f"drop {ids[1]}:4\npin {ids[2]}:0"
    assert [row["reused"] for row in after] == [True, True], "shot 2 is left out, and pin comes after shot 3"


def test_the_loops_shots_take_what_it_gives_them(parts):
    """Nodes of a sub-graph are not checked by the host: names and ranges are checked here."""
    for inputs in told(loop(parts)[0])[0]:
        known = declared("StoryMemShot")
        assert inputs.keys() <= known.keys()
        required = nodes.NODE_CLASS_MAPPINGS["StoryMemShot"].INPUT_TYPES()["required"]
        assert required.keys() <= inputs.keys()
        for name, value in inputs.items():
            options = known[name][1]
            assert options.get("min", value) <= value <= options.get("max", value), name


def own_story(**own):
    shots = [{"prompt": "Mira waits."}, {"prompt": "A lake.", **own}]
    cast = {"Mira": {"description": "a girl", "references": ["hero"]}}
    return {"story_name": "Ink", "cast": cast, "scenes": [{"shots": shots}]}


def test_the_loop_gives_each_shot_what_the_script_says(parts, picture):
    bank = bank_of(images(1), images(1, seed=1), names="hero, castle")[0]
    lora = {"high": LORA.format("high"), "strength": 0.5}
    own = own_story(start_image=picture, end_image=picture, lora=lora)
    result, _ = loop(parts, memory=bank, length=9, text=own)
    loads = {id: node["inputs"] for id, node in result.expand.items() if node["class_type"] == "LoadImage"}
    assert [*loads.values()] == [{"image": picture}] * 2
    # What a run prints tells shots by these: their ids are their numbers.
    numbers = [id.rpartition(".")[2] for id in result.expand]
    assert numbers == ["1", "2-start_image", "2-end_image", "2", "film"]
    first, second = (n["inputs"] for n in result.expand.values() if n["class_type"] == "StoryMemShot")
    assert (first["prompt"], first["references"]) == ("Mira, a girl, waits.", "*")
    assert (second["prompt"], second["references"]) == ("A lake.", "castle")
    assert [second["start_image"][0], second["end_image"][0]] == [*loads]
    assert (second["extra_lora_high"], second["extra_lora_strength"]) == (lora["high"], 0.5)
    assert second["extra_lora_low"] == first["extra_lora_high"] == "none"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"start_image": "gone.png"}, "no such image in the input folder.*'gone.png'"),
        ({"end_image": "text.png"}, "cannot be read as an image"),
        ({"start_image": "door.png", "end_image": "door.png"}, "StoryLoop, shot 'shot-.*nothing is left"),
        ({"lora": "gone.safetensors"}, "no such file in models/loras.*'gone.safetensors'"),
        ({"lora_strength": 0.5}, "needs a model with an M2V LoRA"),
        ({"references": ["dog"]}, "no reference with this name.*'dog'"),
    ],
)
def test_what_a_script_names_must_be_there_before_any_shot(
    parts, no_sampling, picture, tmp_path, own, message
):
    (tmp_path / "input" / "text.png").write_text("no picture")
    bank = bank_of(images(1), names="hero")[0]
    with pytest.raises(ValueError, match=message):
        loop(parts, memory=bank, text=own_story(**own))


def test_text_to_video_makes_the_first_shot_alone(parts):
    pair = {name: parts[name] for name in ("t2v_high_noise_model", "t2v_low_noise_model")}
    first, *others = told(loop(parts, **pair, t2v_shift=11.0, t2v_boundary=0.8, shift=3.0)[0])[0]
    assert first["high_noise_model"] == ["from t2v_high_noise_model", 0]
    assert first["low_noise_model"] == ["from t2v_low_noise_model", 0]
    assert (first["shift"], first["boundary"]) == (11.0, 0.8)
    for shot in others:
        assert shot["high_noise_model"] == ["from high_noise_model", 0]
        assert (shot["shift"], shot["boundary"]) == (3.0, 0.9)


def test_memory_and_start_go_to_the_first_shot_alone(parts):
    bank = call("StoryMemMemoryBank", **{"references.reference_0": images(1)}, embedder=Pixels())[0]
    pair = {name: parts[name] for name in ("t2v_high_noise_model", "t2v_low_noise_model")}
    shots, _ = told(loop(parts, memory=bank, start_frames=images(1), **pair)[0])
    assert [shot.get("memory") for shot in shots] == [["from memory", 0], None, None]
    assert [shot.get("start_frames") for shot in shots] == [["from start_frames", 0], None, None]
    assert shots[0]["high_noise_model"] == ["from high_noise_model", 0], "only the I2V pair sees memory"


def test_the_loops_shots_make_the_film(parts, output):
    pair = {name: parts[name] for name in ("t2v_high_noise_model", "t2v_low_noise_model")}
    result, sources = loop(parts, **pair)
    *_, film = run_expansion(result, sources).values()
    story = json.loads((output / "Ink/story.json").read_text())
    assert [row["mode"] for row in story["shots"]] == ["t2v", "mi2v", "m2v"]
    assert [len(row["memory"]) > 0 for row in story["shots"]] == [False, True, True]
    assert [row["negative_prompt"] for row in story["shots"]] == ["", "", "fog"]
    assert len(film[0].get_components().images) == story["frames"] == 5 + 4 + 9
    run_expansion(*loop(parts, **pair))
    story = json.loads((output / "Ink/story.json").read_text())
    assert [row["reused"] for row in story["shots"]] == [True] * 3


def test_an_edit_of_the_memory_remakes_the_shots_that_see_it(parts, output):
    def rows(**change):
        run_expansion(*loop(parts, **change))
        return json.loads((output / "Ink/story.json").read_text())["shots"]

    before = rows()
    frame = before[0]["keyframes"][-1]["frame"]
    after = rows(memory_edits=f"drop 1:{frame}\npin shot-2")
    assert [row["reused"] for row in after] == [True, False, False]
    assert after[0]["key"] == before[0]["key"]
    saw = [[(memory["shot"], memory["frame"]) for memory in row["memory"]] for row in after]
    assert (before[0]["id"], frame) not in saw[1] + saw[2]
    assert after[1]["changed"][0] == "memory"
    assert [row["key"] for row in rows()] == [row["key"] for row in before], "taken back, all is as it was"


def test_a_frame_that_a_person_adds_is_seen_by_the_next_shots_and_its_own_is_not_sampled(
    parts, output, caplog
):
    def rows(**change):
        run_expansion(*loop(parts, **change))
        return json.loads((output / "Ink/story.json").read_text())["shots"]

    before = rows(keyframes=1)
    after = rows(keyframes=1, memory_edits="add 1:3")
    assert [row["frames_of"] for row in after] == [before[0]["key"], None, None]
    assert after[0]["changed"] == ["added keyframes"]
    assert [frame["frame"] for frame in after[0]["keyframes"]] == [0, 3]
    assert (before[0]["id"], 3) in [(memory["shot"], memory["frame"]) for memory in after[1]["memory"]]
    assert [row["key"] for row in rows(keyframes=1)] == [row["key"] for row in before]


def test_a_story_shot_adds_frames_of_its_own(parts):
    story, memory = shot(parts, keyframes=1, memory_edits="add 1:2").values
    assert [frame.origin.frame for frame in memory.load().frames] == [0, 2]
    with pytest.raises(ValueError, match=r"Its own frames are 0 to 4"):
        shot(parts, memory_edits="add 1:5")
    with pytest.raises(ValueError, match=r"'shot-1' added no frame 3 to the memory.*It added: 0, 2"):
        shot(parts, prompt="a hare", story=story, memory_edits="add 1:3")


def test_an_edit_of_a_frame_that_a_shot_did_not_give_is_refused(parts):
    says = r"StoryMemShot, shot 2 .*added no frame 77 to the memory .*It added: 0"
    with pytest.raises(ValueError, match=says):
        run_expansion(*loop(parts, memory_edits="drop 1:77"))
    with pytest.raises(ValueError, match="StoryMemStoryLoop: a memory edit names a shot"):
        loop(parts, memory_edits="pin hero")


def test_memory_edit_edits_any_memory_and_adds_pictures(parts):
    _, memory = shot(parts).values
    before = memory.load()
    told = core("memory.edits").spelt(before.frames[0])
    result = call(
        "StoryMemMemoryEdit", memory=memory, edits=f"pin {told}", images=images(1, seed=3), name="hero",
        embedder=Pixels(),
    )  # fmt: skip
    bank = result[0]
    assert len(bank.frames) == len(before.frames) + 1
    assert shown(result)[0].shape[1] == 1720
    assert bank.frames[0].pinned and not memory.load().frames[0].pinned
    assert (bank.frames[-1].origin.source, bank.frames[-1].origin.shot) == ("reference", "hero")


def test_memory_preview_is_the_cores_sheet(parts):
    story, memory = shot(parts).values
    result = call("StoryMemMemoryPreview", memory=memory, story=story)
    expected = np.asarray(core("sheets.memory_sheet").draw(memory.load(), ["shot-1"]))
    assert np.array_equal(shown(result)[0], expected)
    assert np.array_equal((result[0][0] * 255).round().byte().numpy(), expected)
    alone = call("StoryMemMemoryPreview", memory=memory)
    assert not np.array_equal(shown(alone)[0], expected), "without its story a shot is told by its id"


def test_a_bank_starts_from_what_a_story_remembers(parts):
    story, memory = shot(parts).values
    call("StoryMemShotStitch", story=story, fps=8.0)
    bank = call("StoryMemMemoryBank", load_from="fox", embedder=Pixels())[0]
    assert bank.frames == memory.load().frames


def clip(**change):
    widgets = {"images": images(5), "project": "clip", "width": 32, "height": 32, "embedder": Pixels()}
    return call("StoryMemGivenClip", **(widgets | change))


def test_a_script_goes_on_with_a_given_clip(parts, output):
    text = {"scenes": [{"video_prompts": ["It goes on.", "Rain."], "cut": [False, True]}]}
    pair = {name: parts[name] for name in ("t2v_high_noise_model", "t2v_low_noise_model")}
    result, sources = loop(parts, text=text, story=clip()[0], project="ignored", **pair)
    shots, _ = told(result)
    assert [shot.get("story") for shot in shots] == [["from story", 0], [next(iter(result.expand)), 0]]
    assert shots[0]["high_noise_model"] == ["from high_noise_model", 0], "only the I2V pair sees memory"
    *_, film = run_expansion(result, sources).values()
    story = json.loads((output / "clip/story.json").read_text())
    assert [row["mode"] for row in story["shots"]] == ["given", "mi2v", "m2v"]
    assert [len(row["memory"]) > 0 for row in story["shots"]] == [False, True, True]
    assert len(film[0].get_components().images) == story["frames"] == 5 + 4 + 5
    assert not (output / "ignored").exists()
    outline = core("store.project").Project.open(output / "clip").outline()
    assert [shot["shot_id"] for shot in outline.shots] == [row["id"] for row in story["shots"]]


def test_the_report_counts_the_shots_of_the_story_that_a_script_goes_on_with(parts, no_sampling):
    """As memory_edits, the contact sheet and Story Project do."""
    assert [line[:2] for line in report(parts, story=clip()[0])] == ["2.", "3.", "4."]


def test_a_clip_of_another_size_is_told_before_anything_is_made(parts, no_sampling):
    with pytest.raises(Exception, match=r"the same size as the shots before it, 64x32 \(got '32x32'\)"):
        loop(parts, story=clip(width=64)[0])


@pytest.mark.parametrize(
    ("given", "widgets", "says"),
    [
        ({"clip_fps": 24.0, "fps": 24.0}, {"fps": 16.0}, "'clip' was made for 24 fps"),
        ({}, {"crossfade": 6, "length": 33}, "'clip' adds 5 frames to the film, and its cross-fades take 6"),
    ],
)
def test_a_clip_that_fits_no_film_is_told_before_anything_is_made(parts, no_sampling, given, widgets, says):
    with pytest.raises(ValueError, match=says):
        loop(parts, story=clip(**given)[0], **widgets)


def test_a_story_is_exported_with_a_sound(output):
    audio = {"waveform": torch.zeros(1, 2, 44100), "sample_rate": 44100}
    story = clip()[0]
    movie = call("StoryMemFilmExport", story=story, format="h264", audio=audio)
    assert movie[0] == str(output.resolve() / "clip/export/h264/film.mp4")
    assert movie.ui["images"] == [{"filename": "film.mp4", "subfolder": "clip/export/h264", "type": "output"}]
    frames = call("StoryMemFilmExport", story=story, format="png")
    assert len(list(Path(frames[0]).iterdir())) == 5 and frames.ui["text"] == (frames[0],)
