"""Memory inside the model, on the host's own WanModel."""

from __future__ import annotations

import comfy.context_windows
import comfy.model_management
import comfy.sample
import comfy.sampler_helpers
import pytest
import torch
import wan_reference
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_easycache import EasyCacheNode
from small_wan import SHAPE, conditioning, memory_images, patcher, random, sample, state_dict, velocity

from storymem_core.conditioning.memory_patch import MEMORY
from storymem_core.conditioning.positions import temporal_positions
from storymem_core.conditioning.slots import memory_slots, path_noise
from storymem_core.errors import StoryMemError
from storymem_core.host.memory import ROPE, apply_memory, without_memory


@pytest.fixture(scope="module")
def model():
    return patcher()


def remember(model, frames, *, spacing=5.0, seed=3, images=0):
    latents, hashes = memory_images(frames, images)
    return apply_memory(model, latents, hashes, seed=seed, spacing=spacing)


def slots_of(model, frames, sigma, batch, *, seed=3, images=0):
    """The M slots as the model should see them, built without the code under test's bookkeeping."""
    latents, hashes = memory_images(frames, images)
    clean = model.model.process_latent_in(latents.transpose(0, 1).unsqueeze(0))
    return memory_slots(clean, path_noise(seed, hashes, clean.shape[1:2] + clean.shape[-2:]), sigma, batch)


def in_front(model, x, context, sigma, frames, positions, **more):
    """The release's layout on an unpatched model: memory slots first, and its own rotary rows for them."""
    reference = without_memory(model)
    first = reference.get_model_object(ROPE)

    def rope(t, h, w, **kwargs):
        return torch.cat([first(1, h, w, **{**kwargs, "t_start": position}) for position in positions], dim=1)

    reference.add_object_patch(ROPE, rope)
    slots = slots_of(model, frames, sigma, x.shape[0], **more) if frames else x[:, :, :0]
    return velocity(reference, torch.cat([slots, x], dim=2), context, sigma)[:, :, frames:]


class TestOneCall:
    x = random(2, 36, 5, 8, 8, seed=1)
    context = random(2, 512, 4096, seed=2)
    sigma = torch.tensor([0.7])

    @pytest.mark.parametrize("frames", [0, 1, 3, 10])
    @pytest.mark.parametrize("spacing", [5.0, 11.7, 0.0])
    def test_equals_wans_own_code(self, model, frames, spacing):
        # At t = 700 the host's fp32 sine embedding of t alone differs by 1e-5 from Wan's fp64 one.
        sigma = torch.tensor([0.125])
        ours = velocity(remember(model, frames, spacing=spacing), self.x, self.context, sigma)
        oracle = wan_reference.load(
            state_dict(), dim=SHAPE["dim"], ffn_dim=SHAPE["ffn_dim"], heads=SHAPE["num_heads"], layers=2
        )
        slots = slots_of(model, frames, sigma, 2) if frames else self.x[:, :, :0]
        theirs = wan_reference.run(
            oracle,
            torch.cat([slots, self.x], dim=2),
            (sigma * 1000).expand(2),
            self.context,
            temporal_positions(frames, 5, spacing),
        )[:, :, frames:]
        assert (ours - theirs).abs().max() < 1e-5

    @pytest.mark.parametrize("frames", [1, 3, 10])
    def test_equals_the_releases_extended_latent(self, model, frames):
        ours = velocity(remember(model, frames), self.x, self.context, self.sigma)
        theirs = in_front(model, self.x, self.context, self.sigma, frames, temporal_positions(frames, 5))
        assert (ours - theirs).abs().max() < 1e-5
        assert (ours - velocity(model, self.x, self.context, self.sigma)).abs().max() > 1e-2

    @pytest.mark.parametrize("frames", [1, 3, 10])
    def test_spacing_one_is_the_unpatched_host_on_the_extended_input(self, model, frames):
        ours = velocity(remember(model, frames, spacing=1.0), self.x, self.context, self.sigma)
        extended = torch.cat([slots_of(model, frames, self.sigma, 2), self.x], dim=2)
        assert (ours - velocity(model, extended, self.context, self.sigma)[:, :, frames:]).abs().max() < 1e-4

    def test_spacing_matters(self, model):
        five, one = (
            velocity(remember(model, 3, spacing=s), self.x, self.context, self.sigma) for s in (5.0, 1.0)
        )
        assert (five - one).abs().max() > 1e-3

    def test_a_common_shift_of_all_positions_changes_nothing(self, model):
        ours = velocity(remember(model, 3), self.x, self.context, self.sigma)
        positions = [position + 31.5 for position in temporal_positions(3, 5)]
        assert (ours - in_front(model, self.x, self.context, self.sigma, 3, positions)).abs().max() < 1e-5
        shifted = velocity(
            remember(model, 3),
            self.x,
            self.context,
            self.sigma,
            rope_options={"shift_t": 17.25, "shift_x": 2.0},
        )
        assert (ours - shifted).abs().max() < 1e-4

    def test_without_frames_the_model_is_bit_identical(self, model):
        plain = velocity(model, self.x, self.context, self.sigma)
        for empty in (
            remember(model, 0),
            remember(remember(model, 3), 0),
            without_memory(remember(model, 3)),
        ):
            assert torch.equal(velocity(empty, self.x, self.context, self.sigma), plain)

    def test_each_batch_entry_has_its_own_noise_level(self, model):
        sigmas = torch.tensor([0.9, 0.2])
        both = velocity(remember(model, 3), self.x, self.context, sigmas)
        for i in range(2):
            alone = velocity(
                remember(model, 3), self.x[i : i + 1], self.context[i : i + 1], sigmas[i : i + 1]
            )
            assert (both[i] - alone[0]).abs().max() < 1e-5

    def test_frames_that_the_host_appends_keep_their_rows(self, model):
        """time_dim_concat stands behind the memory; the shot comes out as with memory in front."""
        appended = random(2, 36, 2, 8, 8, seed=9)
        remembering = remember(model, 3)
        comfy.model_management.load_models_gpu([remembering], force_full_load=True)
        options = {**remembering.model_options["transformer_options"], "wrappers": remembering.wrappers}
        with torch.no_grad():
            ours = remembering.model.diffusion_model(
                self.x, self.sigma * 1000, context=self.context, time_dim_concat=appended,
                transformer_options={**options, "sigmas": self.sigma},
            )  # fmt: skip
        longer = torch.cat([self.x, appended], dim=2)
        theirs = in_front(model, longer, self.context, self.sigma, 3, temporal_positions(3, 7))[:, :, :5]
        assert (ours - theirs).abs().max() < 1e-5

    def test_positions_are_fp32_in_a_bf16_model(self):
        low = patcher(dtype=torch.bfloat16)
        seen = {}
        first = low.get_model_object(ROPE)

        def spy(t, h, w, **kwargs):
            rows = first(t, h, w, **kwargs)
            if t == 1:
                seen[kwargs["t_start"]] = rows
            return rows

        low.add_object_patch(ROPE, spy)
        latents, hashes = memory_images(3)
        velocity(
            apply_memory(low, latents, hashes, seed=0, spacing=11.7),
            self.x.bfloat16(), self.context.bfloat16(), self.sigma,
        )  # fmt: skip
        assert sorted(seen) == pytest.approx([-35.1, -23.4, -11.7])
        exact = low.model.diffusion_model.rope_embedder
        for position, rows in seen.items():
            ids = torch.tensor([[[position, 0.0, 0.0]]])
            assert torch.equal(rows[:, :1], exact(ids).movedim(1, 2))


class TestSampling:
    def test_the_sampler_sees_an_ordinary_shot(self, model):
        previews = []
        remembering = remember(model, 10)
        out = sample(remembering, callback=lambda step, x0, x, total: previews.append(x0.shape))
        assert out.shape == (1, 16, 5, 8, 8)
        assert set(previews) == {(1, 16, 5, 8, 8)}
        assert torch.equal(out, sample(remembering))
        assert (out - sample(model)).abs().max() > 1e-2

    def test_the_videos_noise_does_not_depend_on_memory(self, model):
        seen = []

        def spy(executor, x, *args, **kwargs):
            seen.append(x.clone())
            return executor(x, *args, **kwargs)

        for frames in (0, 1, 10):
            spied = remember(model, frames)
            spied.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "spy", spy)
            sample(spied, steps=1)
        assert len(seen) == 3
        assert torch.equal(seen[0], seen[1])
        assert torch.equal(seen[0], seen[2])

    @pytest.mark.parametrize(
        "sampler", ["uni_pc", "dpmpp_2m", "res_multistep", "euler_ancestral", "heun", "lcm"]
    )
    def test_any_sampler(self, model, sampler):
        out = sample(remember(model, 3), sampler=sampler)
        assert out.isfinite().all()
        assert (out - sample(remember(model, 3, images=1), sampler=sampler)).abs().max() > 1e-3

    def test_both_experts_and_both_branches_share_one_path(self, model):
        other = patcher(seed=1)
        slots = []

        def spy(executor, x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs):
            slots.append((transformer_options["sigmas"], x[:, :, 5:].clone()))
            return executor(x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs)

        def stage(model, **more):
            spied = remember(model, 3)
            spied.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "spy", spy)
            return sample(spied, **more)

        latent = stage(model, start_step=0, last_step=2, force_full_denoise=False)
        out = stage(
            other,
            start_step=2,
            last_step=4,
            disable_noise=True,
            noise=torch.zeros_like(latent),
            latent=latent,
        )
        assert out.isfinite().all()
        assert len(slots) == 4
        for sigma, seen in slots:
            assert seen.shape == (2, 36, 3, 8, 8)
            assert (seen - slots_of(model, 3, sigma, 2)).abs().max() < 1e-6

    def test_a_noise_mask_keeps_its_frames(self, model):
        latent = random(1, 16, 5, 8, 8, seed=4)
        mask = torch.ones(1, 1, 5, 8, 8)
        mask[:, :, 0] = 0.0
        out = sample(remember(model, 3), latent=latent, noise_mask=mask)
        assert (out[:, :, 0] - latent[:, :, 0]).abs().max() < 1e-4
        assert (out[:, :, 1:] - latent[:, :, 1:]).abs().max() > 0.1

    def test_every_context_window_sees_the_memory(self, model):
        inputs = []

        def spy(executor, x, *args, **kwargs):
            inputs.append(x.clone())
            return executor(x, *args, **kwargs)

        spied = remember(model, 3)
        spied.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "spy", spy)
        spied.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
            context_schedule=comfy.context_windows.get_matching_context_schedule("standard_static"),
            fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
            context_length=5, context_overlap=2, dim=2,
        )  # fmt: skip
        out = sample(spied, frames=9, steps=1)
        assert out.shape[2] == 9
        assert len(inputs) >= 2
        slots = slots_of(model, 3, torch.tensor([1.0]), 2)
        for x in inputs:
            assert (x[:, :, -3:] - slots).abs().max() < 1e-3
            assert not torch.equal(x[:, :16, 0], inputs[0][:, :16, 0]) or x is inputs[0]

    def test_whole_shots_against_the_releases_denoised_slots(self, model, record_property):
        """The release samples its memory slots along; ours follow the straight path. On trained weights the
        two agree to 1e-5; on random ones this reports how far they are."""
        frames = 3
        latents, hashes = memory_images(frames)
        ours = sample(remember(model, frames))
        reference = without_memory(model)
        first = reference.get_model_object(ROPE)
        positions = temporal_positions(frames, 5)
        reference.add_object_patch(
            ROPE,
            lambda t, h, w, **kwargs: torch.cat(
                [first(1, h, w, **{**kwargs, "t_start": position}) for position in positions], dim=1
            ),
        )

        def extended(seed):
            ((context, values),) = conditioning(seed)
            images = latents.transpose(0, 1).unsqueeze(0)
            mask = torch.cat([torch.zeros(1, 1, frames, 8, 8), values["concat_mask"]], dim=2)
            image = torch.cat([images, values["concat_latent_image"]], dim=2)
            return [[context, {"concat_latent_image": image, "concat_mask": mask}]]

        latent = torch.zeros(1, 16, frames + 5, 8, 8)
        noise = torch.cat(
            [path_noise(3, hashes, (16, 8, 8)), comfy.sample.prepare_noise(latent[:, :, frames:], 7)], dim=2
        )
        theirs = comfy.sample.sample(
            reference,
            noise,
            4,
            3.0,
            "euler",
            "simple",
            extended(1),
            extended(2),
            latent,
            seed=7,
            disable_pbar=True,
        )[:, :, frames:]
        difference = (ours - theirs).square().mean().item()
        record_property("mean squared difference of whole shots", difference)
        print(f"whole shots, ours against the release's way: mean squared difference {difference:.2e}")
        assert torch.isfinite(theirs).all()
        assert difference < (ours - sample(model)).square().mean().item()

    def test_the_hosts_memory_estimate_counts_the_memory(self, model, monkeypatch):
        shapes = []
        estimate = comfy.sampler_helpers.estimate_memory

        def spy(model, noise_shape, conds):
            shapes.append(list(noise_shape))
            return estimate(model, noise_shape, conds)

        monkeypatch.setattr(comfy.sampler_helpers, "estimate_memory", spy)
        sample(remember(model, 10), steps=1)
        sample(model, steps=1)
        assert shapes == [[1, 16, 15, 8, 8], [1, 16, 5, 8, 8]]


class TestComposition:
    def test_applying_twice_replaces(self, model):
        again = remember(remember(model, 3), 2, images=1)
        assert torch.equal(sample(again), sample(remember(model, 2, images=1)))
        assert all(len(again.get_wrappers(hook, MEMORY)) == 1 for hook in again.wrappers)

    def test_the_models_it_was_given_are_left_alone(self, model):
        latents, hashes = memory_images(3)
        before = latents.clone()
        plain = sample(model)
        first = remember(model, 3)
        seen = sample(first)
        sample(apply_memory(first, latents, hashes, seed=9, spacing=2.0))
        assert torch.equal(latents, before)
        assert torch.equal(sample(first), seen)
        assert torch.equal(sample(model), plain)
        assert MEMORY not in model.model_options["transformer_options"]

    def test_unload_and_reload(self, model):
        remembering = remember(model, 3)
        seen = sample(remembering)
        comfy.model_management.unload_all_models()
        assert torch.equal(sample(remembering), seen)
        remembering.detach()
        assert torch.equal(sample(remembering), seen)

    def test_weight_patches_before_and_after(self, model):
        key = "diffusion_model.blocks.0.self_attn.q.weight"
        patch = {key: (random(256, 256, seed=5) * 0.05,)}

        def tuned(model):
            clone = model.clone()
            assert clone.add_patches(patch)
            return clone

        before, after = sample(remember(tuned(model), 3)), sample(tuned(remember(model, 3)))
        assert torch.equal(before, after)
        assert (before - sample(remember(model, 3))).abs().max() > 1e-4

    @staticmethod
    def halved(model):
        """Another pack's patch of rope_encode that asks the function before it."""
        clone = model.clone()
        previous = clone.get_model_object(ROPE)
        clone.add_object_patch(ROPE, lambda t, h, w, **kwargs: previous(t, h, w, **kwargs) * 0.5)
        return clone

    def test_another_patch_of_rope_before_and_after(self, model):
        before, after = sample(remember(self.halved(model), 3)), sample(self.halved(remember(model, 3)))
        assert (before - after).abs().max() < 1e-5
        assert (before - sample(remember(model, 3))).abs().max() > 1e-3

    def test_unknown_arguments_reach_the_function_before(self, model):
        seen = []
        other = model.clone()
        previous = other.get_model_object(ROPE)

        def spy(t, h, w, novelty=None, **kwargs):
            seen.append(novelty)
            return previous(t, h, w, **kwargs)

        other.add_object_patch(ROPE, spy)
        rope = remember(other, 3).get_model_object(ROPE)
        rope(5, 8, 8, novelty="kept")
        call = {"inserted": True, "placed": False, "frames_behind": 0}
        options = {**remember(other, 3).model_options["transformer_options"], "storymem_call": call}
        assert rope(8, 8, 8, novelty="kept", transformer_options=options).shape[1] == 8 * 16
        assert seen == ["kept"] * 5

    @pytest.mark.parametrize("cache_first", [True, False])
    def test_the_hosts_cache_may_answer_in_the_models_place(self, model, cache_first):
        def cached(model):
            return EasyCacheNode.execute(model, 3.0, 0.0, 1.0, False).args[0]

        def spied(model, calls):
            clone = model.clone()
            clone.add_wrapper_with_key(
                WrappersMP.DIFFUSION_MODEL, "spy", lambda next, *a, **kw: (calls.append(1), next(*a, **kw))[1]
            )
            return clone

        def both(frames, calls):
            if cache_first:
                return spied(remember(cached(model), frames), calls)
            return spied(cached(remember(model, frames)), calls)

        calls = []
        out = sample(both(3, calls), steps=6)
        assert out.isfinite().all()
        assert 0 < len(calls) < 6 if not cache_first else calls, "the cache answered some calls"
        assert (out - sample(both(0, []), steps=6)).abs().max() > 1e-3
        late = both(3, [])
        sample(late, steps=6)
        late.add_object_patch(ROPE, model.get_model_object(ROPE))
        with pytest.raises(StoryMemError, match="rope_encode"):  # each run has to be reached again
            sample(late, steps=6)

    def test_a_later_patch_that_replaces_ours_is_an_error(self, model):
        clone = remember(model, 3)
        unpatched = model.get_model_object(ROPE)
        clone.add_object_patch(ROPE, lambda t, h, w, **kwargs: unpatched(t, h, w, **kwargs))
        with pytest.raises(StoryMemError, match="rope_encode"):
            sample(clone)

    def test_a_wrapper_that_skips_the_others_is_an_error(self, model):
        def skips(executor, x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs):
            return executor.original(x, timestep, context, clip_fea, time_dim_concat, transformer_options)

        other = model.clone()
        other.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "selfish", skips)
        with pytest.raises(StoryMemError, match="did not reach the model"):
            sample(remember(other, 3))


class TestCompile:
    def test_a_new_shot_of_equal_memory_compiles_nothing(self):
        import torch._dynamo as dynamo
        from comfy_api.torch_helpers import set_torch_compile_wrapper
        from comfy_extras.nodes_torch_compile import skip_torch_compile_dict
        from torch._dynamo.utils import counters

        dynamo.reset()
        counters.clear()
        model = patcher()
        compiled = model.clone()
        set_torch_compile_wrapper(
            compiled, backend="eager", options={"guard_filter_fn": skip_torch_compile_dict}
        )

        def shot(frames, images, spacing=5.0):
            kwargs = {"seed": images, "spacing": spacing}
            latents, hashes = memory_images(frames, images)
            out = sample(apply_memory(compiled, latents, hashes, **kwargs))
            eager = sample(apply_memory(model, latents, hashes, **kwargs))
            assert (out - eager).abs().max() < 1e-5
            return counters["stats"]["unique_graphs"]

        first = shot(3, 0)
        assert first > 0
        assert shot(3, 1) == first
        assert shot(3, 1, spacing=1.0) > first
        # Another M, and none, must not be taken for the graph of three.
        shot(2, 2)
        shot(0, 0)
        assert shot(3, 3) == shot(2, 4) == counters["stats"]["unique_graphs"]
        dynamo.reset()


class TestBadInput:
    def test_a_model_without_room(self):
        with pytest.raises(StoryMemError, match="36 channels"):
            remember(patcher(in_dim=16), 1)

    def test_memory_of_another_size_stops_before_sampling(self, model):
        latents, hashes = memory_images(2, size=(8, 16))
        calls = []
        with pytest.raises(StoryMemError, match="memory 128x64, latent 64x64"):
            sample(
                apply_memory(model, latents, hashes, seed=0, spacing=5.0), callback=lambda *_: calls.append(1)
            )
        assert not calls

    @pytest.mark.parametrize("spacing", [-1.0, float("nan"), float("inf")])
    def test_spacing(self, model, spacing):
        with pytest.raises(StoryMemError, match="spacing"):
            remember(model, 1, spacing=spacing)
