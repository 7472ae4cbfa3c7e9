"""The shot's conditioning and the VAE, with the host's own node and a small Wan VAE."""

import copy
import gc
import weakref
from types import SimpleNamespace

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_wan import WanFirstLastFrameToVideo, WanImageToVideo
from small_wan import patcher, random

from storymem_core.errors import StoryMemError
from storymem_core.host import vae as host_vae
from storymem_core.host.conditioning import condition_shot, empty_latent
from storymem_core.host.sampling import sample
from storymem_core.host.vae import KeptLatents, decode, encode, encode_each, encode_grey, resize

WIDTH, HEIGHT, LENGTH = 64, 48, 13


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes():
    with torch.inference_mode():
        yield


def load(small_models):
    (file,) = (small_models / "vae").iterdir()
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(file)))


@pytest.fixture(scope="module")
def vae(small_models):
    return load(small_models)


@pytest.fixture
def encoded(vae, monkeypatch):
    """Shapes of the videos that the VAE encodes; nothing is kept from before."""
    shapes = []
    whole = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pixels: (shapes.append(tuple(pixels.shape)), whole(pixels))[1])
    monkeypatch.setattr(host_vae, "_kept", KeptLatents())
    return shapes


def images(count, height=HEIGHT, width=WIDTH, channels=3):
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(count))


def prompts():
    return (
        [[random(1, 12, 4096, seed=1), {"pooled_output": None, "strength": 1.0}]],
        [[random(1, 12, 4096, seed=2), {"pooled_output": None}]],
    )


def the_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if isinstance(value, torch.Tensor):
            assert (ours[name].dtype, ours[name].device) == (value.dtype, value.device)
            assert torch.equal(ours[name], value), name
        else:
            assert ours[name] == value


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (90, 64), (33, 101)])
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("channels", [3, 4])
def test_with_start_frames_all_is_bit_equal_to_the_hosts_node(vae, count, size, channels):
    start = images(count, *size, channels)
    positive, negative = prompts()
    theirs = WanImageToVideo.execute(
        positive, negative, vae, WIDTH, HEIGHT, LENGTH, 1, start_image=start
    ).result
    ours = condition_shot(positive, negative, vae, start, width=WIDTH, height=HEIGHT, length=LENGTH)
    for mine, of_host in zip(ours[:2], theirs[:2], strict=True):
        assert torch.equal(mine[0][0], of_host[0][0])
        the_same(mine[0][1], of_host[0][1])
    the_same(ours.latent, theirs[2])


@pytest.mark.parametrize("count", [5, 9, 13])
def test_longer_overlaps_are_bit_equal_to_the_hosts_node_too(vae, count):
    start, size = images(count), {"width": WIDTH, "height": HEIGHT, "length": 17}
    theirs = WanImageToVideo.execute(*prompts(), vae, *size.values(), 1, start_image=start).result
    ours = condition_shot(*prompts(), vae, start, **size)
    the_same(ours.positive[0][1], theirs[0][0][1])
    known = 1 - ours.positive[0][1]["concat_mask"][0, 0, :, 0, 0]
    assert known.tolist() == [1] * ((count - 1) // 4 + 1) + [0] * (4 - (count - 1) // 4)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_an_end_image_is_bit_equal_to_the_hosts_first_last_frame_node(vae, count):
    start, end = images(count) if count else None, images(1, 90, 64)
    theirs = WanFirstLastFrameToVideo.execute(
        *prompts(), vae, WIDTH, HEIGHT, LENGTH, 1, start_image=start, end_image=end
    ).result
    ours = condition_shot(*prompts(), vae, start, width=WIDTH, height=HEIGHT, length=LENGTH, end=end)
    for mine, of_host in zip(ours[:2], theirs[:2], strict=True):
        the_same(mine[0][1], of_host[0][1])
    the_same(ours.latent, theirs[2])


def test_a_cut_is_the_encoding_of_grey_and_nothing_is_known(vae):
    ours = condition_shot(*prompts(), vae, None, width=WIDTH, height=HEIGHT, length=LENGTH)
    grey = vae.encode(torch.full((LENGTH, HEIGHT, WIDTH, 3), 0.5))
    for prompt in (ours.positive, ours.negative):
        (_, values) = prompt[0]
        assert torch.equal(values["concat_latent_image"], grey)
        assert torch.equal(values["concat_mask"], torch.ones(1, 1, 4, HEIGHT // 8, WIDTH // 8))
    assert grey.std() > 0.01
    assert torch.equal(ours.latent["samples"], torch.zeros(1, 16, 4, HEIGHT // 8, WIDTH // 8))


def test_the_inputs_stay_as_they_were(vae):
    start = images(5, 90, 64)
    given = (*prompts(), start)
    before = copy.deepcopy(given)
    condition_shot(*given[:2], vae, start, width=WIDTH, height=HEIGHT, length=LENGTH)
    for (embedding, values), (embedding_before, values_before) in zip(
        [*given[0], *given[1]], [*before[0], *before[1]], strict=True
    ):
        assert torch.equal(embedding, embedding_before)
        assert values == values_before
    assert torch.equal(start, before[2])


def test_sampling_leaves_the_condition_alone(vae):
    # The host turns concat_latent_image into the model's space in place, on what it takes for its own copy.
    ours = condition_shot(*prompts(), vae, None, width=WIDTH, height=HEIGHT, length=LENGTH)
    before = ours.positive[0][1]["concat_latent_image"].clone()
    high = patcher()
    settings = {"sampler_name": "euler", "scheduler": "simple", "shift": 4.0, "boundary": 0.9}
    sample(high, high, *ours, seed=1, steps=2, cfg_high=1.0, cfg_low=1.0, **settings)
    assert torch.equal(ours.positive[0][1]["concat_latent_image"], before)
    assert torch.equal(encode_grey(vae, length=LENGTH, width=WIDTH, height=HEIGHT), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 72}, "divisible by 16"),
        ({"height": 40}, "divisible by 16"),
        ({"length": 80}, r"4k\+1"),
        ({"start": images(3)}, "number of start frames"),
        ({"length": 1, "start": images(1)}, "fill the whole shot"),
    ],
)
def test_shots_that_cannot_be(vae, change, message):
    start = change.pop("start", None)
    with pytest.raises(StoryMemError, match=message):
        condition_shot(
            *prompts(), vae, start, **{"width": WIDTH, "height": HEIGHT, "length": LENGTH} | change
        )
    if "length" not in change and start is None:
        with pytest.raises(StoryMemError, match=message):
            empty_latent(**{"width": WIDTH, "height": HEIGHT, "length": LENGTH} | change)


def test_each_memory_frame_is_encoded_alone(vae, encoded):
    frames = images(5)
    latents = encode_each(vae, frames, width=WIDTH, height=HEIGHT)
    assert encoded == [(1, HEIGHT, WIDTH, 3)] * 5
    assert latents.shape == (5, 16, HEIGHT // 8, WIDTH // 8)
    for latent, frame in zip(latents, frames, strict=True):
        assert torch.equal(latent, vae.encode(frame[None])[0, :, 0])
    assert vae.encode(frames).shape[2] == 2  # the trap


def test_memory_of_another_size_is_cropped_at_the_centre(vae):
    # Three bands, of which a square crop keeps the middle one.
    wide = torch.cat([torch.zeros(1, 48, 48, 3), torch.ones(1, 48, 48, 3), torch.zeros(1, 48, 48, 3)], dim=2)
    assert (resize(wide, width=64, height=64) > 0.9).all()
    latents = encode_each(vae, [wide[0], images(1)[0]], width=64, height=64)
    assert torch.equal(latents[0], vae.encode(torch.ones(1, 64, 64, 3))[0, :, 0])
    assert latents.shape == (2, 16, 8, 8)


@pytest.mark.parametrize("shape", [(48, 144), (144, 48)])
def test_memory_of_another_shape_is_padded_with_grey_or_stretched_if_asked(vae, shape):
    white = torch.ones(*shape, 3)
    padded = resize(white[None], width=96, height=96, fit="pad")[0]
    grey = (padded == 0.5).all(2)
    assert padded.shape == (96, 96, 3) and ((padded > 0.99).all(2) ^ grey).all()
    kept = slice(32, 64)  # a third of the square, in the middle
    assert not grey[kept, :].any() if shape[0] < shape[1] else not grey[:, kept].any()
    assert grey.float().mean() == pytest.approx(2 / 3)
    assert (resize(white[None], width=96, height=96, fit="stretch") > 0.99).all()
    fits = ["pad", "stretch", "crop"]
    latents = encode_each(vae, [white] * 3, fits, width=96, height=96)
    for latent, fit in zip(latents, fits, strict=True):
        expected = vae.encode(resize(white[None], width=96, height=96, fit=fit))
        assert torch.equal(latent, expected[0, :, 0])
    assert not torch.equal(latents[0], latents[1]), "one picture in two fits is encoded twice"


def test_no_memory_frames(vae):
    assert encode_each(vae, [], width=WIDTH, height=HEIGHT).shape == (0, 16, HEIGHT // 8, WIDTH // 8)


def test_an_encoding_is_made_once(vae, encoded):
    first, second = images(2)
    size = {"width": WIDTH, "height": HEIGHT}
    once = encode_each(vae, [first, second], **size)
    again = encode_each(vae, [second, first.clone()], **size)
    grey = [encode_grey(vae, length=LENGTH, **size) for _ in range(3)]
    assert len(encoded) == 3
    assert torch.equal(again, once.flip(0))
    assert torch.equal(grey[0], grey[2])


def test_what_differs_is_encoded_anew(vae, small_models, encoded):
    (frame,) = images(1)
    other = frame.clone()
    other[3, 4, 1] += 0.001
    encode_each(vae, [frame], width=WIDTH, height=HEIGHT)
    encode_each(vae, [other], width=WIDTH, height=HEIGHT)
    encode_each(vae, [frame], width=HEIGHT, height=WIDTH)
    encode_each(vae, [frame.reshape(WIDTH, HEIGHT, 3)], width=WIDTH, height=HEIGHT)
    for length, width in [(LENGTH, WIDTH), (5, WIDTH), (5, 32)]:
        encode_grey(vae, length=length, width=width, height=HEIGHT)
    assert len(encoded) == 7

    second = load(small_models)
    second.first_stage_model.conv2.weight.data *= 2
    second.first_stage_model.conv1.weight.data *= 2
    changed = encode_each(second, [frame], width=WIDTH, height=HEIGHT)
    assert not torch.equal(changed, encode_each(vae, [frame], width=WIDTH, height=HEIGHT))
    assert len(encoded) == 7


def test_nobody_can_change_what_is_kept(vae, encoded):
    size = {"length": 5, "width": WIDTH, "height": HEIGHT}
    first = encode_grey(vae, **size)
    expected = first.clone()
    first.zero_()
    second = encode_grey(vae, **size)
    assert torch.equal(second, expected)
    second.zero_()
    assert torch.equal(encode_grey(vae, **size), expected)


def test_what_is_kept_does_not_keep_its_vae(small_models):
    vae = load(small_models)
    encode_grey(vae, length=5, width=WIDTH, height=HEIGHT)
    gone = weakref.ref(vae)
    del vae
    gc.collect()
    assert gone() is None
    assert all(owner is not None for owner in host_vae._kept._of_vae)


class AnyVae:
    output_device = torch.device("cpu")


def test_the_oldest_unused_goes_first():
    made = []
    kept, vae = KeptLatents(capacity=3 * 400), AnyVae()

    def get(key):
        return kept.get(vae, key, lambda: (made.append(key), torch.zeros(100))[1])

    for key in "abcabcadabdc":
        get(key)
    # d came when a, b and c were kept and b had rested longest; then b pushed c out, and c pushed a out.
    assert "".join(made) == "abcdbc"


def test_what_is_larger_than_the_room_is_given_but_not_kept():
    kept, vae = KeptLatents(capacity=10), AnyVae()
    made = []
    for _ in range(2):
        assert kept.get(vae, "large", lambda: (made.append(1), torch.ones(100))[1]).sum() == 100
    assert len(made) == 2


def test_decoded_frames_are_pictures_on_the_cpu(vae):
    frames = decode(vae, encode(vae, images(LENGTH)))
    assert frames.shape == (LENGTH, HEIGHT, WIDTH, 3)
    assert (frames.dtype, frames.device.type) == (torch.float32, "cpu")
    assert 0 <= frames.min() < frames.max() <= 1


def test_latents_that_are_not_finite_are_not_decoded(vae):
    latent = random(1, 16, 2, 6, 8)
    latent[0, 3, 1, 2, 2] = float("nan")
    with pytest.raises(StoryMemError, match=r"latents of shot 'a-2' must not be NaN.*'1 of 1536 values'"):
        decode(vae, latent, shot="a-2")


def test_a_vae_that_overflows_is_named(vae, monkeypatch):
    monkeypatch.setattr(vae, "decode", lambda latent: torch.full((1, 5, 48, 64, 3), float("nan")))
    with pytest.raises(StoryMemError, match=r"VAE's pixels of shot 'a-2'.*--fp32-vae"):
        decode(vae, random(1, 16, 2, 6, 8), shot="a-2")
    monkeypatch.setattr(vae, "encode", lambda pixels: torch.full((1, 16, 1, 6, 8), float("inf")))
    with pytest.raises(StoryMemError, match=r"VAE's latents must not be NaN or infinite.*--fp32-vae"):
        encode(vae, images(1))


def test_an_encoding_checks_the_size(vae):
    with pytest.raises(StoryMemError, match=r"divisible by 16.*'72x48'"):
        encode(vae, images(1, 48, 72))
    with pytest.raises(StoryMemError, match=r"divisible by 16.*'64x40'"):
        encode_each(vae, images(1), width=64, height=40)


class OtherVae(SimpleNamespace):
    __hash__ = object.__hash__  # as the host's


def other_vae(model, channels=16, time=4, space=8):
    return OtherVae(
        first_stage_model=model,
        latent_channels=channels,
        temporal_compression_decode=lambda: time,
        spacial_compression_decode=lambda: space,
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hunyuan", r"must be the Wan 2.1 VAE.*AutoencodingEngine, 16 channels"),
        ("wan2.2", r"48 channels, stride \(time, space\) \(4, 16\).*wan_2.1_vae"),
        ("wide", r"48 channels, stride \(time, space\) \(4, 8\)"),
        ("picture", r"stride \(time, space\) \(None, 8\)"),
    ],
)
def test_a_vae_of_another_family_is_refused(vae, kind, message):
    wan = vae.first_stage_model
    strange = {
        # HunyuanVideo's latents have the very shape of Wan's.
        "hunyuan": other_vae(type("AutoencodingEngine", (), {})()),
        "wan2.2": other_vae(wan, channels=48, space=16),
        "wide": other_vae(wan, channels=48),
        "picture": other_vae(wan, time=None),
    }[kind]
    for use in (
        lambda: encode(strange, images(1)),
        lambda: encode_each(strange, images(1), width=WIDTH, height=HEIGHT),
        lambda: decode(strange, random(1, 16, 2, 6, 8)),
    ):
        with pytest.raises(StoryMemError, match=message):
            use()
