import pytest
import torch

from storymem_core.conditioning.start import check_size, check_start, shot_pixels, unknown_mask
from storymem_core.errors import StoryMemError


def images(count: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, 32, 48, channels, generator=torch.Generator().manual_seed(count))


def test_a_cut_is_grey_all_over():
    pixels = shot_pixels(None, 17, 32, 48)
    assert pixels.shape == (17, 32, 48, 3)
    assert pixels.dtype == torch.float32
    assert (pixels == 0.5).all()


@pytest.mark.parametrize("count", [1, 5, 9, 13])
def test_start_frames_stand_first_and_grey_follows(count):
    start = images(count)
    before = start.clone()
    pixels = shot_pixels(start, 17, 32, 48)
    assert pixels.shape == (17, 32, 48, 3)
    assert torch.equal(pixels[:count], start)
    assert (pixels[count:] == 0.5).all()
    pixels.zero_()
    assert torch.equal(start, before)


def test_an_alpha_channel_is_left_out_and_the_dtype_kept():
    start = images(1, channels=4).half()
    pixels = shot_pixels(start, 5, 32, 48)
    assert pixels.dtype == torch.float16
    assert torch.equal(pixels[:1], start[..., :3])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, [1, 1, 1, 1, 1]),
        (1, [0, 1, 1, 1, 1]),
        (5, [0, 0, 1, 1, 1]),
        (9, [0, 0, 0, 1, 1]),
        (13, [0, 0, 0, 0, 1]),
    ],
)
def test_the_mask_is_zero_where_a_latent_frame_is_known(count, expected):
    mask = unknown_mask(count, 17, 32, 48)
    assert mask.shape == (1, 1, 5, 4, 6)
    assert torch.equal(mask, torch.tensor(expected).float().view(1, 1, 5, 1, 1).expand(1, 1, 5, 4, 6))


@pytest.mark.parametrize("count", [0, 1, 9])
def test_an_end_image_is_the_last_frame_and_the_last_of_the_masks_channels(count):
    start, end = images(count) if count else None, images(1, channels=4)
    pixels = shot_pixels(start, 17, 32, 48, end)
    assert torch.equal(pixels[:-1], shot_pixels(start, 17, 32, 48)[:-1])
    assert torch.equal(pixels[-1:], end[..., :3])
    mask, plain = unknown_mask(count, 17, 32, 48, end=True), unknown_mask(count, 17, 32, 48)
    assert mask.shape == (1, 4, 5, 4, 6)
    assert (mask[:, -1, -1] == 0).all()
    mask[:, -1, -1] = 1
    assert torch.equal(mask, plain.expand(1, 4, 5, 4, 6))


@pytest.mark.parametrize(("count", "shortest"), [(0, 5), (1, 9), (5, 13)])
def test_something_must_be_left_between_start_and_end(count, shortest):
    check_start(count, shortest, end=True)
    with pytest.raises(StoryMemError, match=rf"between {count} start frames .* at least {shortest} frames"):
        check_start(count, shortest - 4, end=True)


@pytest.mark.parametrize("function", [check_start, lambda n, length: unknown_mask(n, length, 32, 48)])
@pytest.mark.parametrize(
    ("count", "length", "message"),
    [
        (1, 80, r"4k\+1 \(got 80\)\. Use 77 or 81"),
        (3, 81, r"number of start frames must be 4k\+1 \(got 3\)"),
        (5, 5, r"fill the whole shot of 5 frames \(got 5\)"),
        (9, 5, r"fill the whole shot"),
    ],
)
def test_start_frames_and_lengths_that_cannot_be(function, count, length, message):
    with pytest.raises(StoryMemError, match=message):
        function(count, length)


def test_pixels_check_their_start_too():
    with pytest.raises(StoryMemError, match="start frames must be 4k"):
        shot_pixels(images(2), 17, 32, 48)
    with pytest.raises(StoryMemError, match=r"4k\+1"):
        shot_pixels(None, 16, 32, 48)


@pytest.mark.parametrize("size", [(72, 64), (64, 72), (64, 0), (8, 64), (-16, 64)])
def test_sizes_that_would_be_cropped_are_refused(size):
    with pytest.raises(StoryMemError, match=rf"divisible by 16 \(got '{size[0]}x{size[1]}'\)"):
        check_size(*size)


def test_the_remedy_for_a_size_names_one_that_works():
    check_size(832, 480)
    with pytest.raises(StoryMemError, match="Use 832x480, for example"):
        check_size(834, 474)
