"""Each node on small models: what it gives, and what it shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from node_calls import SIZE, SMALL, Pixels, bank_of, call, core, images, prompts, shown

import nodes
from storymem_core.host.memory import ROPE


@pytest.fixture(autouse=True)
def folders(pack, output):
    return output


def test_script():
    result = call("StoryMemScript", text="# Fox\n\nA fox wakes.\n\n[continue] It runs.\n\n---\n\nA lake.")
    script, name, count = result.values
    assert (name, count) == ("Fox", 3)
    assert [shot.scene for shot in script.shots] == [1, 1, 2]
    (text,) = result.ui["text"]
    assert text.split("\n") == [
        "Fox: 3 shots", "1. scene 1, cut: A fox wakes.", "2. scene 1, continued: It runs.",
        "3. scene 2, cut: A lake.",
    ]  # fmt: skip


def test_model_files_have_the_same_names_on_every_system(monkeypatch):
    """The shared graphs say `folder/file`; on Windows the host says `folder\\file`."""
    import folder_paths

    files = core("host.files")
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda kind: ["a.safetensors", "b\\c.safetensors"])
    monkeypatch.setattr(files.os, "sep", "\\")
    assert files.names("loras") == ["a.safetensors", "b/c.safetensors"]


def test_the_scripts_example_is_one():
    assert call("StoryMemScript")[2] == 3


def test_a_bank_starts_empty():
    result = call("StoryMemMemoryBank", embedder=Pixels())
    (bank,) = result.values
    assert (bank.frames, bank.sink, bank.capacity) == ((), 3, 10)
    assert result.ui == {"images": []}


def test_a_bank_takes_references_of_any_size_in_order():
    result = bank_of(images(2), images(1, size=(48, 64), seed=1), sink=1, capacity=5)
    (bank,) = result.values
    assert [frame.pixels.shape for frame in bank.frames] == [(32, 32, 3), (32, 32, 3), (48, 64, 3)]
    assert [frame.origin.source for frame in bank.frames] == ["reference"] * 3
    assert (bank.sink, bank.capacity, bank.embedder) == (1, 5, "pixels")
    for frame, picture in zip(bank.frames, shown(result), strict=True):
        assert np.array_equal(frame.pixels, picture)


def test_a_banks_references_have_the_names_of_their_inputs():
    (bank,) = bank_of(images(2), images(1, seed=1), names="hero, castle").values
    told = [(frame.origin.shot, frame.origin.frame) for frame in bank.frames]
    assert told == [("hero", 0), ("hero", 1), ("castle", 0)]


def test_a_portrait_reference_is_cropped_unless_it_is_asked_otherwise(parts):
    common = {"model": parts["high_noise_model"], "vae": parts["vae"], "seed": 4}
    common["latent"] = {"samples": torch.zeros(1, 16, 2, 4, 4)}
    portrait = images(1, size=(64, 32))
    seen = []
    for fit in ("crop", "pad", "stretch"):
        bank = bank_of(portrait, **({} if fit == "crop" else {"fit": fit}))[0]
        seen.append(remembered(call("StoryMemApplyMemory", memory=bank, **common)[0])["clean"])
    plain = remembered(call("StoryMemApplyMemory", memory=bank_of(portrait)[0], **common)[0])["clean"]
    assert {clean.shape for clean in seen} == {(1, 16, 1, 4, 4)}
    assert torch.equal(seen[0], plain)
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])


def test_a_bank_is_loaded_from_the_output_folder_with_references_behind(output):
    (saved,) = bank_of(images(2)).values
    core("memory.bank_folder").save(saved, output / "story" / "bank")
    (bank,) = bank_of(images(1, seed=1), load_from="story/bank").values
    assert bank.frames[:2] == saved.frames
    assert len(bank.frames) == 3


def test_a_bank_that_was_replaced_in_its_folder_is_read_again(output):
    """The host keeps a node's result for as long as its inputs and this value are the same."""
    save, folder = core("memory.bank_folder").save, output / "story" / "bank"
    known = nodes.NODE_CLASS_MAPPINGS["StoryMemMemoryBank"].fingerprint_inputs
    told = []
    for seed in (0, 0, 1):
        save(bank_of(images(1, seed=seed))[0], folder)
        told.append(known(sink=3, capacity=10, load_from="story/bank"))
    assert told[0] == told[1] != told[2] != known(sink=3, capacity=10)
    wired = known(sink=3, capacity=10, load_from=None)  # as the host tells of a link: its value comes later
    assert wired != wired


def test_keyframe_select_is_remember():
    frames, embedder = images(7), Pixels()
    (before,) = bank_of(frames[3:4]).values
    result = call(
        "StoryMemKeyframeSelect", images=frames, limit=2, shot="one", memory=before, embedder=embedder
    )
    kept, bank, report = result.values
    expected = core("keyframes.remember").remember(
        before, core("frames.pixels").quantise(frames), embedder, None, shot="one", limit=2
    )
    assert bank == expected.bank
    assert report == expected.report
    assert "frame 0: kept" in report
    assert [frame.origin.frame for frame in expected.kept] != [] and len(kept) == len(expected.kept) <= 2
    for frame, picture, image in zip(expected.kept, shown(result), kept, strict=True):
        assert np.array_equal(frame.pixels, picture)
        assert torch.equal(image, frames[frame.origin.frame])


def test_keyframe_select_keeps_nothing_that_the_memory_holds_already():
    frames = images(1).expand(3, -1, -1, -1)
    (before,) = bank_of(frames[:1]).values
    result = call("StoryMemKeyframeSelect", images=frames, memory=before, embedder=Pixels())
    kept, bank, report = result.values
    assert kept.shape == (0, 32, 32, 3)
    assert bank.frames == before.frames
    assert report.startswith("no frame of this shot entered the memory")
    assert result.ui == {"images": []}


def test_keyframe_selects_threshold_replaces_the_embedders():
    frames = images(5)
    strict = call("StoryMemKeyframeSelect", images=frames, limit=5, embedder=Pixels(), threshold=0.01)
    loose = call("StoryMemKeyframeSelect", images=frames, limit=5, embedder=Pixels())
    assert len(strict[0]) < len(loose[0])


def filtered():
    good = images(1, size=(96, 96))
    return torch.cat([good, torch.zeros_like(good), good.flip(1)])


def test_the_filter_filters_images_by_itself():
    frames = filtered()
    result = call("StoryMemAestheticFilter", images=frames)
    _, passed, report = result.values
    assert torch.equal(passed, frames[[0, 2]])
    assert len(shown(result)) == 2
    assert len(report.strip().split("\n")) >= 3


def test_the_filter_may_reject_all():
    result = call("StoryMemAestheticFilter", images=torch.zeros(2, 32, 32, 3))
    assert result[1].shape == (0, 32, 32, 3)
    assert result.ui == {"images": []}


def test_the_filter_keeps_spoiled_frames_out_of_the_memory():
    chosen = call("StoryMemAestheticFilter")
    assert chosen[1] is None
    assert chosen.ui["text"] == (chosen[2],)
    kept, bank, _ = call(
        "StoryMemKeyframeSelect", images=filtered(), embedder=Pixels(), filter=chosen[0]
    ).values
    assert [frame.origin.frame for frame in bank.frames] == [0, 2]
    assert all(frame.score > 0.5 for frame in bank.frames)
    assert len(kept) == 2


def test_embedder_loader():
    result = call("StoryMemEmbedderLoader")
    (embedder,) = result.values
    assert embedder(images(2)).shape[0] == 2
    assert embedder.name in result.ui["text"][0]


def test_a_hero_of_the_small_world_is_a_reference_of_its_seed():
    result = call("StoryMemSmallWorldHero", seed=7, size=64)
    (image,) = result.values
    assert image.shape == (1, 64, 64, 3)
    assert np.array_equal(shown(result)[0], (255 * image[0]).round().byte().numpy())
    assert torch.equal(call("StoryMemSmallWorldHero", seed=7, size=64)[0], image)
    assert not torch.equal(call("StoryMemSmallWorldHero", seed=8, size=64)[0], image)


def test_text_encoder_loader(parts):
    result = call("StoryMemTextEncoderLoader", text_encoder="storymem_small_text_encoder.safetensors")
    [[features, _]] = nodes.CLIPTextEncode().encode(result[0], "a red fox")[0]
    assert features.shape[-1] == 4096
    assert result.ui["text"]


LORA = "storymem_small/Wan2.2-MI2V-A14B/backbone_high_noise.safetensors"


def test_lora(parts):
    result = call("StoryMemM2VLora", model=parts["high_noise_model"], lora_name=LORA, strength=0.5)
    model, report = result.values
    assert model is not parts["high_noise_model"] and len(model.patches) == 20
    assert report.startswith(f"{LORA}: 20 of 20 layers matched")
    assert "rslora" in report
    assert result.ui["text"] == (report,)


def test_shot_conditioning_is_the_cores(parts):
    given, start = {**prompts(parts), "vae": parts["vae"]}, images(1, size=(48, 40))
    result = call("StoryMemShotConditioning", **given, start_frames=start, **SIZE)
    expected = core("host.conditioning").condition_shot(**given, start=start, **SIZE)
    for [[text, values]], [[same_text, same_values]] in zip(result[:2], expected[:2], strict=True):
        assert torch.equal(text, same_text)
        assert values.keys() == same_values.keys()
        assert torch.equal(values["concat_latent_image"], same_values["concat_latent_image"])
        assert torch.equal(values["concat_mask"], same_values["concat_mask"])
    assert result[2]["samples"].shape == (1, 16, 2, 4, 4)
    assert result.ui["text"][0].startswith("mi2v: 5 frames, continues from 1 frame;")
    cut = call("StoryMemShotConditioning", **given, **SIZE)
    assert cut.ui["text"][0].startswith("m2v: 5 frames, starts with a cut;")
    assert cut[0][0][1]["concat_mask"].min() == 1


def remembered(model):
    return model.model_options["transformer_options"]["storymem_memory"]


def test_apply_memory_takes_a_bank_or_its_images(parts):
    frames = core("frames.pixels").as_images(core("frames.pixels").quantise(images(3)))
    (bank,) = bank_of(frames).values
    common = {"model": parts["high_noise_model"], "vae": parts["vae"], "seed": 4, "spacing": 2.5}
    latent = {"samples": torch.zeros(1, 16, 2, 4, 4)}
    by_bank, by_images = (
        call("StoryMemApplyMemory", memory=memory, latent=latent, **common) for memory in (bank, frames)
    )
    one, two = remembered(by_bank[0]), remembered(by_images[0])
    assert torch.equal(one["clean"], two["clean"]) and torch.equal(one["noise"], two["noise"])
    assert one["clean"].shape == (1, 16, 3, 4, 4)
    assert {model[0].get_model_object(ROPE).args[1] for model in (by_bank, by_images)} == {2.5}
    assert len(shown(by_bank)) == len(shown(by_images)) == 3
    again = call("StoryMemApplyMemory", memory=frames[:1], latent=latent, **{**common, "model": by_bank[0]})
    assert remembered(again[0])["clean"].shape[2] == 1
    assert "storymem_memory" not in parts["high_noise_model"].model_options["transformer_options"]


def test_memory_for_the_14b_without_its_lora_is_warned_of(parts, caplog, monkeypatch):
    high, low = parts["high_noise_model"], parts["low_noise_model"]
    given = {"vae": parts["vae"], "memory": images(1)}
    apply = {"model": high, "latent": {"samples": torch.zeros(1, 16, 2, 4, 4)}, **given}
    sampler = {"high_noise_model": high, "low_noise_model": low, **given, **prompts(parts), **SMALL}
    call("StoryMemApplyMemory", **apply)
    call("StoryMemM2VSampler", **sampler)
    assert "M2V LoRA" not in caplog.text, "the small models read memory with all their weights"
    monkeypatch.setattr(core("host.lora"), "A14B_WIDTH", 256)  # that of the small models
    call("StoryMemApplyMemory", **apply)
    call("StoryMemM2VSampler", **{**sampler, "memory": None})
    assert [text for text in caplog.messages if "M2V LoRA" in text] == [
        "StoryMem: StoryMem M2V LoRA has loaded no LoRA on this model: "
        "unless one is merged into it, it cannot read memory"
    ]
    caplog.clear()
    call("StoryMemM2VSampler", **sampler)
    told = [text for text in caplog.messages if "M2V LoRA" in text]
    assert ["high-noise" in told[0], "low-noise" in told[1], len(told)] == [True, True, 2]


def test_each_frame_of_memory_keeps_its_place(parts):
    common = {"model": parts["high_noise_model"], "vae": parts["vae"], "seed": 4}
    common["latent"] = {"samples": torch.zeros(1, 16, 2, 4, 4)}
    frames = images(3)
    together = remembered(call("StoryMemApplyMemory", memory=frames, **common)[0])
    for place in range(3):
        alone = remembered(call("StoryMemApplyMemory", memory=frames[place : place + 1], **common)[0])
        for what in ("clean", "noise"):
            assert torch.equal(together[what][:, :, place], alone[what][:, :, 0])


@pytest.mark.parametrize("start", [None, 1])
def test_the_m2v_sampler_is_conditioning_memory_and_two_samplers(parts, start):
    """Against the host's own Wan2.2 graph: two ModelSamplingSD3 and two KSamplerAdvanced."""
    memory, seed, vae = images(2, seed=2), 9, parts["vae"]
    start = None if start is None else images(start, seed=3)
    experts = {name: parts[name] for name in ("high_noise_model", "low_noise_model")}
    given = {**prompts(parts), "vae": vae, "start_frames": start}
    result = call("StoryMemM2VSampler", **experts, **given, **SMALL, seed=seed, memory=memory)
    assert len(shown(result)) == 2

    positive, negative, latent = call("StoryMemShotConditioning", **given, **SIZE).values
    apply = {"vae": vae, "memory": memory, "latent": latent, "seed": seed}
    remembering = [call("StoryMemApplyMemory", model=model, **apply)[0] for model in experts.values()]
    high, low = (ModelSamplingSD3().patch(model, 4.0)[0] for model in remembering)
    sample, common = nodes.KSamplerAdvanced().sample, ("euler", "simple", positive, negative)
    with torch.inference_mode():
        (rough,) = sample(high, "enable", seed, 2, 1.0, *common, latent, 0, 1, "enable")
        (done,) = sample(low, "disable", seed, 2, 2.0, *common, rough, 1, 10000, "disable")
    assert torch.equal(result[0]["samples"], done["samples"])
    assert done["samples"].std() > 0.1


def test_the_m2v_sampler_sees_the_memory(parts):
    given = {name: parts[name] for name in ("high_noise_model", "low_noise_model", "vae")}
    given |= {**prompts(parts), **SMALL}
    without, some, others = (
        call("StoryMemM2VSampler", **given, memory=memory)[0]["samples"]
        for memory in (None, images(2, seed=1), images(2, seed=2))
    )
    assert not torch.equal(without, some)
    assert not torch.equal(some, others)
