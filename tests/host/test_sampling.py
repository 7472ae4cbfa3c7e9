"""Two experts through the host's samplers, against the host's own nodes on small models."""

import copy
import itertools

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
import pytest
import torch
from comfy.cli_args import LatentPreviewMethod, args
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from small_wan import conditioning, patcher, random

from nodes import KSampler, KSamplerAdvanced
from storymem_core.errors import StoryMemError
from storymem_core.host.sampling import _STOP_BEFORE_ZERO, noise_levels, sample, with_shift
from storymem_core.sampling import expert_switch

SETTINGS = {
    "seed": 11, "steps": 4, "cfg_high": 3.0, "cfg_low": 2.0,
    "sampler_name": "euler", "scheduler": "simple", "shift": 4.0, "boundary": 0.9,
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def experts():
    return patcher(36, seed=1), patcher(36, seed=2)


def empty():
    return {"samples": torch.zeros(1, 16, 5, 8, 8)}


def shot(experts, latent=None, prompts=None, **change):
    high, low = experts
    positive, negative = prompts or (conditioning(1), conditioning(2))
    return sample(high, low, positive, negative, latent or empty(), **SETTINGS | change)


def two_nodes(experts, switch, latent=None, prompts=None, **change):
    """The host's Wan2.2 graph: two ModelSamplingSD3, two KSamplerAdvanced."""
    s = SETTINGS | change
    high, low = (ModelSamplingSD3().patch(expert, s["shift"])[0] for expert in experts)
    common = (s["sampler_name"], s["scheduler"], *(prompts or (conditioning(1), conditioning(2))))
    node = KSamplerAdvanced()
    (rough,) = node.sample(
        high, "enable", s["seed"], s["steps"], s["cfg_high"], *common, latent or empty(), 0, switch, "enable"
    )
    (done,) = node.sample(
        low, "disable", s["seed"], s["steps"], s["cfg_low"], *common, rough, switch, 10000, "disable"
    )
    return done["samples"]


def recorded(expert):
    """The expert, and the list of (batch size, sigma, input) of its calls."""
    calls = []

    def record(
        executor, x, timestep, context, clip_fea=None, time_dim_concat=None, transformer_options=None, **kw
    ):
        calls.append((x.shape[0], float(transformer_options["sigmas"][0]), x.clone()))
        return executor(x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kw)

    clone = expert.clone()
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "record", record)
    return clone, calls


SPLITS = [
    ("euler", "simple", 4, 2),
    ("euler", "beta", 6, 3),
    ("uni_pc", "simple", 8, 3),
    ("dpmpp_2m", "sgm_uniform", 8, 3),
    ("dpmpp_2m_sde", "simple", 6, 2),
    ("euler_ancestral", "karras", 5, 2),
    ("dpm_2", "normal", 5, 2),
    ("ddim", "ddim_uniform", 5, 2),
]


@pytest.mark.parametrize(("sampler_name", "scheduler", "steps", "switch"), SPLITS)
def test_it_equals_two_of_the_hosts_nodes(experts, sampler_name, scheduler, steps, switch):
    change = {"sampler_name": sampler_name, "scheduler": scheduler, "steps": steps}
    levels = noise_levels(with_shift(experts[0], SETTINGS["shift"]), sampler_name, scheduler, steps)
    boundary = float(levels[switch - 1] + levels[switch]) / 2
    ours = shot(experts, boundary=boundary, **change)["samples"]
    assert torch.equal(ours, two_nodes(experts, switch, **change))
    assert ours.std() > 0.1


def test_prompts_for_a_part_of_the_steps_follow_the_shift_with_both_experts(experts):
    def part(seed, **percents):
        return [[embedding, values | percents] for embedding, values in conditioning(seed)]

    # Half of the way stands at sigma .8 with this shift: the low-noise expert has steps on both sides of it.
    prompts = part(1, end_percent=0.5) + part(3, start_percent=0.5), conditioning(2)
    ours = shot(experts, prompts=prompts, steps=8)["samples"]
    assert torch.equal(ours, two_nodes(experts, 3, prompts=prompts, steps=8))


@pytest.mark.parametrize(("boundary", "expert"), [(0.0, 0), (1.1, 1)])
@pytest.mark.parametrize("sampler_name", ["euler", "uni_pc"])
def test_all_steps_may_belong_to_one_expert(experts, boundary, expert, sampler_name):
    s = SETTINGS | {"sampler_name": sampler_name}
    (model,) = ModelSamplingSD3().patch(experts[expert], s["shift"])
    cfg = (s["cfg_high"], s["cfg_low"])[expert]
    prompts = conditioning(1), conditioning(2)
    (alone,) = KSampler().sample(model, s["seed"], s["steps"], cfg, sampler_name, "simple", *prompts, empty())
    ours = shot(experts, boundary=boundary, sampler_name=sampler_name)
    assert torch.equal(ours["samples"], alone["samples"])


@pytest.mark.parametrize("sampler_name", ["euler", "uni_pc"])
@pytest.mark.parametrize(("steps", "high"), [(4, 2), (8, 3), (40, 13)])
def test_with_scheduler_simple_the_experts_change_where_the_releases_do(experts, sampler_name, steps, high):
    levels = noise_levels(with_shift(experts[0], 4.0), sampler_name, "simple", steps)
    assert len(levels) == steps + 1
    assert expert_switch(levels, 0.9) == high


@pytest.mark.parametrize(("shift", "boundary"), [(4.0, 0.9), (5.0, 0.9), (12.0, 0.875)])
def test_so_they_do_for_any_number_of_steps(experts, shift, boundary):
    shifted = with_shift(experts[0], shift)
    for steps in range(1, 101):
        # The release's scheduler: .999 down to 0, shifted, then whole numbers of thousandths.
        t = [0.999 * (1 - i / steps) for i in range(steps)]
        timesteps = [int(1000 * shift * u / (1 + (shift - 1) * u)) for u in t]
        ours = expert_switch(noise_levels(shifted, "euler", "simple", steps), boundary)
        on_the_edge = any(abs(timestep - 1000 * boundary) <= 1 for timestep in timesteps)
        assert on_the_edge or ours == sum(timestep >= 1000 * boundary for timestep in timesteps), steps


def test_each_expert_gets_its_steps_and_its_noise_levels(experts):
    (high, rough), (low, fine) = map(recorded, experts)
    shot((high, low), cfg_high=1.0, cfg_low=1.0, steps=8)
    levels = noise_levels(with_shift(experts[0], 4.0), "euler", "simple", 8)
    assert [sigma for _, sigma, _ in rough] == levels[:3].tolist()
    assert [sigma for _, sigma, _ in fine] == levels[3:8].tolist()
    assert min(sigma for _, sigma, _ in rough) >= 0.9 > fine[0][1]


@pytest.mark.parametrize(("cfg_high", "cfg_low", "batches"), [(3.0, 1.0, (2, 1)), (1.0, 3.0, (1, 2))])
def test_cfg_of_one_computes_one_branch(experts, cfg_high, cfg_low, batches):
    (high, rough), (low, fine) = map(recorded, experts)
    shot((high, low), cfg_high=cfg_high, cfg_low=cfg_low)
    assert [sum(batch for batch, *_ in calls) for calls in (rough, fine)] == [2 * n for n in batches]


def test_the_negative_prompt_and_the_seed_matter(experts):
    first = shot(experts)["samples"]
    assert torch.equal(first, shot(experts)["samples"])
    assert not torch.allclose(first, shot(experts, seed=12)["samples"], atol=0.01)
    other = conditioning(1), conditioning(3)
    assert not torch.allclose(first, shot(experts, prompts=other)["samples"], atol=0.01)


@pytest.mark.parametrize("scheduler", comfy.samplers.KSampler.SCHEDULERS)
def test_any_scheduler(experts, scheduler):
    assert shot(experts, scheduler=scheduler, cfg_high=1.0, cfg_low=1.0)["samples"].isfinite().all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "sampler_name", [name for name in comfy.samplers.KSampler.SAMPLERS if name not in _STOP_BEFORE_ZERO]
)
def test_any_sampler(experts, sampler_name):
    out = shot(experts, sampler_name=sampler_name, cfg_high=1.0, cfg_low=1.0)["samples"]
    assert out.shape == (1, 16, 5, 8, 8)
    assert out.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sampler_name", _STOP_BEFORE_ZERO)
def test_why_some_samplers_are_refused(experts, sampler_name):
    """A model that always predicts the same clean picture: any sampler that goes down to 0 ends on it."""

    def clean(name):
        expert = patcher(36, seed=1)
        expert.set_model_sampler_cfg_function(lambda args: args["input"] - 0.25)  # x - x0
        out = KSampler().sample(
            expert, 1, 4, 1.0, name, "simple", conditioning(1), conditioning(2), empty(), 1.0
        )
        return out[0]["samples"]

    assert (clean("euler") - clean("heun")).abs().max() < 1e-3
    assert (clean(sampler_name) - clean("euler")).abs().max() > 0.1


def test_one_progress_bar_with_previews_counts_all_steps(experts, monkeypatch):
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    seen, calls = [], []
    monkeypatch.setattr(
        comfy.utils,
        "PROGRESS_BAR_HOOK",
        lambda value, total, preview, node_id=None: seen.append((value, total, preview)),
    )
    bars = []
    bar = latent_preview.prepare_callback
    monkeypatch.setattr(latent_preview, "prepare_callback", lambda *a: (bars.append(a), bar(*a))[1])
    shot(experts, steps=8, callback=lambda step, x0, x, total: calls.append((step, x0.shape, x.shape, total)))
    assert len(bars) == 1
    assert [(value, total) for value, total, _ in seen] == [(step, 8) for step in range(1, 9)]
    assert all(kind == "JPEG" and image.size == (8, 8) for _, _, (kind, image, _) in seen)
    shape = torch.Size([1, 16, 5, 8, 8])
    assert calls == [(step, shape, shape, 8) for step in range(8)]


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_an_interruption_stops_within_the_step(experts, stop):
    (high, rough), (low, fine) = map(recorded, experts)
    done = []

    def callback(step, *_):
        done.append(step)
        if step == stop:
            comfy.model_management.interrupt_current_processing()

    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            shot((high, low), cfg_high=1.0, cfg_low=1.0, callback=callback)
    finally:
        comfy.model_management.interrupt_current_processing(False)
    assert done == list(range(stop + 1))
    assert len(rough) + len(fine) <= stop + 2  # the step after has begun, and has not ended


def test_a_run_after_an_interruption_is_whole(experts):
    expected = shot(experts)["samples"]
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        shot(experts)
    assert torch.equal(shot(experts)["samples"], expected)


def protected(frames=2):
    """A latent whose first frames a noise mask protects."""
    mask = torch.ones(1, 1, 5, 8, 8)
    mask[:, :, :frames] = 0.0
    return {"samples": random(1, 16, 5, 8, 8, seed=5), "noise_mask": mask}


def test_what_a_noise_mask_protects_stays_through_both_stages(experts):
    latent = protected()
    kept = shot(experts, latent)["samples"]
    assert (kept[:, :, :2] - latent["samples"][:, :, :2]).abs().max() < 1e-5
    assert (kept[:, :, 2:] - latent["samples"][:, :, 2:]).abs().max() > 1
    assert (
        two_nodes(experts, 2, latent)[:, :, :2] - latent["samples"][:, :, :2]
    ).abs().max() > 1  # why it is ours


def test_the_model_sees_what_is_protected_at_its_own_noise_level(experts):
    latent = protected()
    (high, rough), (low, fine) = map(recorded, experts)
    shot((high, low), latent, cfg_high=1.0, cfg_low=1.0)
    clean = experts[0].model.process_latent_in(latent["samples"])[:, :, :2]
    noise = comfy.sample.prepare_noise(latent["samples"], SETTINGS["seed"])[:, :, :2]
    for _, sigma, x in rough + fine:
        torch.testing.assert_close(x[:, :16, :2], sigma * noise + (1 - sigma) * clean, atol=2e-6, rtol=0)


def test_a_mask_that_protects_nothing_changes_nothing(experts):
    latent = protected(frames=0)
    expected = shot(experts, {"samples": latent["samples"]})["samples"]
    assert torch.equal(shot(experts, latent)["samples"], expected)


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def test_no_input_is_changed(experts):
    latent = protected() | {"batch_index": [0]}
    prompts = conditioning(1), conditioning(2)
    before = copy.deepcopy((latent, prompts))
    weights = [{k: v.clone() for k, v in expert.model.state_dict().items()} for expert in experts]
    patches = [copy.deepcopy((expert.model_options, expert.object_patches)) for expert in experts]
    out = shot(experts, latent, prompts, sampler_name="uni_pc")
    assert equal((latent, prompts), before)
    assert out is not latent
    assert out["noise_mask"] is latent["noise_mask"]
    for expert, weight, patch in zip(experts, weights, patches, strict=True):
        assert equal((expert.model_options, expert.object_patches), patch)
        assert equal(dict(expert.model.state_dict()), weight)


def test_a_shift_set_earlier_is_replaced(experts):
    shifted = [with_shift(expert, 9.0) for expert in experts]
    assert torch.equal(shot(shifted)["samples"], shot(experts)["samples"])
    assert not torch.equal(shot(experts, shift=9.0)["samples"], shot(experts)["samples"])


def bare(seed):
    return [[random(1, 12, 4096, seed=seed), {}]]


def test_a_text_to_video_pair_makes_a_first_shot():
    pair = patcher(16, seed=1), patcher(16, seed=2)
    out = shot(pair, prompts=(bare(1), bare(2)), shift=12.0, boundary=0.875)["samples"]
    assert out.shape == (1, 16, 5, 8, 8)
    assert out.std() > 0.1


def test_models_and_conditioning_belong_together(experts):
    text = patcher(16)
    for pair in itertools.product((experts[0], text), repeat=2):
        if text in pair:
            with pytest.raises(
                StoryMemError, match=r"image-to-video model, whose input has 36 channels \(got '16"
            ):
                shot(pair)
        if experts[0] in pair:
            with pytest.raises(
                StoryMemError, match=r"needs a shot's conditioning, even for a cut.*StoryMemShotCond"
            ):
                shot(pair, prompts=(bare(1), bare(2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler_name": "eular"}, "unknown sampler.*'eular'.*euler"),
        ({"scheduler": "easy"}, "unknown scheduler.*'easy'.*simple"),
        ({"sampler_name": "dpm_fast"}, r"dpm_fast stops at sigma 0\.57 and would leave"),
        ({"sampler_name": "uni_pc", "steps": 2}, r"uni_pc cannot sample a single step.*'1 \+ 1 steps'"),
        ({"sampler_name": "uni_pc_bh2", "steps": 3}, r"'2 \+ 1 steps'.*euler"),
    ],
)
def test_settings_that_cannot_be(experts, change, message):
    with pytest.raises(StoryMemError, match=message):
        shot(experts, **change)


@pytest.mark.parametrize(("sampler_name", "moves"), [("uni_pc", False), ("euler", True)])
def test_why_uni_pc_needs_two_steps(experts, sampler_name, moves):
    # When this turns red, the host has mended its uni_pc and the refusal can go.
    levels = noise_levels(with_shift(experts[0], 4.0), sampler_name, "simple", 2)
    prompts = conditioning(1), conditioning(2)
    (rough,) = KSamplerAdvanced().sample(
        with_shift(experts[0], 4.0),
        "enable",
        11,
        2,
        1.0,
        sampler_name,
        "simple",
        *prompts,
        empty(),
        0,
        1,
        "enable",
    )
    left = experts[0].model.process_latent_in(rough["samples"]) * (1 - levels[1])
    noise = comfy.sample.prepare_noise(left, 11)
    alike = torch.nn.functional.cosine_similarity(left.flatten(), noise.flatten(), dim=0)
    assert (alike < 0.999) == moves


def test_latents_that_are_not_finite_name_the_shot(experts):
    broken = patcher(36, seed=1)
    broken.model.diffusion_model.head.head.bias.data[0] = float("nan")
    with pytest.raises(StoryMemError, match=r"sampled latents of shot '003' must not be NaN.*LoRA strength"):
        shot((experts[0], broken), shot="003")
