"""The sabotages that the tests must notice: `python3 run.py mutants [NAME ...]`.

Each breaks one thing of the algorithm, and one named test must turn red. One that survives is a missing test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from runner.sabotage import Mutant, run

ROOT = Path(__file__).resolve().parents[1]

MUTANTS = (
    Mutant(
        "spacing ignored",
        "storymem_core/conditioning/positions.py",
        "-(memory_frames - i) * float(spacing)",
        "-(memory_frames - i) * 1.0",
        "tests/core/test_positions.py::test_the_papers_formula",
    ),
    Mutant(
        "memory cut off the wrong end",
        "storymem_core/conditioning/memory_patch.py",
        "return out[:, :, : x.shape[2]]",
        "return out[:, :, -x.shape[2] :]",
        "tests/host/test_memory.py::TestOneCall::test_equals_the_releases_extended_latent",
    ),
    Mutant(
        "path noise redrawn at every call",
        "storymem_core/conditioning/memory_patch.py",
        'memory["noise"], options["sigmas"]',
        'torch.randn_like(memory["noise"]), options["sigmas"]',
        "tests/host/test_memory.py::TestSampling::test_both_experts_and_both_branches_share_one_path",
    ),
    Mutant(
        "memory not in the model's latent space",
        "storymem_core/host/memory.py",
        "clean = patched.model.process_latent_in(raw)",
        "clean = raw",
        "tests/host/test_memory.py::TestOneCall::test_equals_the_releases_extended_latent",
    ),
    Mutant(
        "mask inverted",
        "storymem_core/conditioning/slots.py",
        "known = torch.ones_like(",
        "known = torch.zeros_like(",
        "tests/core/test_slots.py::test_slots_are_path_mask_and_condition",
    ),
    Mutant(
        "memory encoded as one batch",
        "storymem_core/host/vae.py",
        "return torch.cat(latents or [none]).squeeze(2)",
        "return encode(vae, resize(torch.stack([*images]), width=width, height=height)).transpose(1, 2)[0]",
        "tests/host/test_conditioning.py::test_each_memory_frame_is_encoded_alone",
    ),
    Mutant(
        "memory frames in reverse",
        "storymem_core/host/memory.py",
        "return tuple(apply_memory(model, latents, hashes,",
        "return tuple(apply_memory(model, latents.flip(0), hashes[::-1],",
        "tests/host/test_node_results.py::test_each_frame_of_memory_keeps_its_place",
    ),
    Mutant(
        "grey replaced by zeros",
        "storymem_core/host/conditioning.py",
        "condition = encode_grey(vae, length=length, width=width, height=height)",
        "condition = torch.zeros_like(encode_grey(vae, length=length, width=width, height=height))",
        "tests/host/test_conditioning.py::test_a_cut_is_the_encoding_of_grey_and_nothing_is_known",
    ),
    Mutant(
        "start latent overwritten by grey",
        "storymem_core/host/conditioning.py",
        "shot_pixels(first, length, height, width, last)",
        "shot_pixels(None, length, height, width, last)",
        "tests/host/test_conditioning.py::test_with_start_frames_all_is_bit_equal_to_the_hosts_node",
    ),
    Mutant(
        "rslora ignored",
        "storymem_core/lora/files.py",
        '(math.sqrt(rank) if self.kind == "rslora" else rank)',
        "rank",
        "tests/core/test_lora.py::test_the_released_scale",
    ),
    Mutant(
        "memory given to one expert only",
        "storymem_core/host/memory.py",
        "spacing=spacing) for model in models)",
        "spacing=spacing) for model in models[:1]) + tuple(models[1:])",
        "tests/host/test_node_results.py::test_the_m2v_sampler_is_conditioning_memory_and_two_samplers",
    ),
    Mutant(
        "drop of repeated frames off by one",
        "storymem_core/frames/counts.py",
        "return 0 if cut else overlap",
        "return 0 if cut else overlap - 1",
        "tests/core/test_frames.py::test_frames_left_of_81_are_those_of_the_paper",
    ),
    Mutant(
        "one seed for all shots",
        "storymem_core/script/script.py",
        '_sha256(f"{story_seed}\\n{shot_id}")',
        '_sha256(f"{story_seed}")',
        "tests/core/test_story.py::test_seeds_follow_the_storys_seed_and_differ_between_shots",
    ),
    Mutant(
        "sink dropped",
        "storymem_core/memory/bank.py",
        "for place in range(bank.sink, len(everything))",
        "for place in range(len(everything))",
        "tests/core/test_memory.py::test_sink_and_window_over_a_story",
    ),
    Mutant(
        "window keeps the oldest",
        "storymem_core/memory/bank.py",
        "(place in chosen, place))[:too_many]",
        "(place in chosen, place))[len(window) - too_many :]",
        "tests/core/test_memory.py::test_sink_and_window_over_a_story",
    ),
    Mutant(
        "pinned frames let go",
        "storymem_core/memory/bank.py",
        " if not everything[place].pinned]",
        "]",
        "tests/core/test_bank_edits.py::test_a_pinned_frame_stays_while_the_window_slides",
    ),
    Mutant(
        "dropped frames lost",
        "storymem_core/memory/edits.py",
        "aside=(*bank.aside, *(replace(f, pinned=False) for f in bank.frames if name_of(f) in names)),",
        "aside=bank.aside,",
        "tests/core/test_bank_edits.py::test_what_was_dropped_is_not_seen_and_can_be_restored",
    ),
    Mutant(
        "references shown that a shot does not need",
        "storymem_core/memory/references.py",
        "or frame.origin.shot.casefold() in wanted",
        "or True",
        "tests/core/test_references.py::test_a_shot_sees_the_references_that_it_names_and_the_story",
    ),
    Mutant(
        "pins left out of a shot's key",
        "storymem_core/memory/bank.py",
        "for frame in bank.frames if frame.pinned],",
        "for frame in bank.frames[:0]],",
        "tests/host/test_shot.py::test_each_change_makes_another_shot",
    ),
    Mutant(
        "dedupe against the last frame only",
        "storymem_core/memory/bank.py",
        "likeness(frame, bank.frames) for frame in frames",
        "likeness(frame, bank.frames[-1:]) for frame in frames",
        "tests/core/test_memory.py::test_a_frame_like_any_frame_of_memory_is_left_out",
    ),
    Mutant(
        "experts swapped",
        "storymem_core/host/sampling.py",
        "high, low = with_shift(high, shift), with_shift(low, shift)",
        "high, low = with_shift(low, shift), with_shift(high, shift)",
        "tests/host/test_sampling.py::test_it_equals_two_of_the_hosts_nodes",
    ),
    Mutant(
        "negative prompt ignored",
        "storymem_core/making/shot.py",
        'prompt.encode(models.clip, plan.negative_prompt or "")',
        'prompt.encode(models.clip, "")',
        "tests/host/test_node_story.py::test_a_shots_frames_are_those_of_the_m2v_sampler",
    ),
    Mutant(
        "stale shot reused after a change",
        "storymem_core/memory/bank.py",
        "    frames = [frame.sha256 for frame in bank.frames]\n",
        "    frames: list[str] = []\n",
        "tests/host/test_shot.py::test_each_change_makes_another_shot",
    ),
    Mutant(
        "memory never given",
        "storymem_core/making/shot.py",
        "[frame.picture for frame in seen.frames],",
        "[],",
        "tests/server/test_story.py::test_swapped_memory_is_another_film_of_the_same_noise",
    ),
    Mutant(
        "the model's timestep in place of t",
        "storymem_core/conditioning/memory_patch.py",
        'memory["noise"], options["sigmas"]',
        'memory["noise"], timestep',
        "tests/host/test_memory.py::TestOneCall::test_equals_the_releases_extended_latent",
    ),
    Mutant(
        "memory rows in the model's precision",
        "storymem_core/conditioning/memory_patch.py",
        ', "dtype": torch.float32}',
        "}",
        "tests/host/test_memory.py::TestOneCall::test_positions_are_fp32_in_a_bf16_model",
    ),
    Mutant(
        "memory left out of the host's estimate",
        "storymem_core/host/memory.py",
        "frames + memory_frames(options), *size]",
        "frames, *size]",
        "tests/host/test_memory.py::TestSampling::test_the_hosts_memory_estimate_counts_the_memory",
    ),
    Mutant(
        "lost memory not noticed",
        "storymem_core/conditioning/memory_patch.py",
        "if not call[hook]:",
        "if False:",
        "tests/host/test_memory.py::TestComposition::test_a_wrapper_that_skips_the_others_is_an_error",
    ),
    Mutant(
        "start frames told as unknown",
        "storymem_core/conditioning/start.py",
        "mask[:, :, : _latents_of(start_frames)] = 0.0",
        "mask[:, :, _latents_of(start_frames) :] = 0.0",
        "tests/core/test_conditioning.py::test_the_mask_is_zero_where_a_latent_frame_is_known",
    ),
    Mutant(
        "boundary given to the low-noise expert",
        "storymem_core/sampling.py",
        "sigmas[:-1] >= boundary",
        "sigmas[:-1] > boundary",
        "tests/core/test_sampling.py::test_the_boundary_itself_belongs_to_high_noise",
    ),
    Mutant(
        "one cfg for both experts",
        "storymem_core/host/sampling.py",
        "low, noise, cfg_low,",
        "low, noise, cfg_high,",
        "tests/host/test_sampling.py::test_it_equals_two_of_the_hosts_nodes",
    ),
    Mutant(
        "noise added again between the experts",
        "storymem_core/host/sampling.py",
        "return torch.zeros_like(noise), rough",
        "return noise, rough",
        "tests/host/test_sampling.py::test_it_equals_two_of_the_hosts_nodes",
    ),
    Mutant(
        "a keyframe compared with the first one",
        "storymem_core/keyframes/select.py",
        "similarity[kept[-1]][index] < threshold",
        "similarity[kept[0]][index] < threshold",
        "tests/core/test_keyframes.py::test_similarity_is_to_the_last_kept_frame_only",
    ),
    Mutant(
        "repeated frames remembered again",
        "storymem_core/keyframes/remember.py",
        "own = frames[first:]",
        "own = frames",
        "tests/core/test_remember.py::test_frames_that_repeat_the_shot_before_are_not_keyframes",
    ),
    Mutant(
        "filter ignored",
        "storymem_core/keyframes/remember.py",
        "None if filter is None else partial(_score, filter, own),",
        "None,",
        "tests/core/test_remember.py::test_the_filter_keeps_frames_out",
    ),
    Mutant(
        "a continued shot begins where the last one began",
        "storymem_core/store/stored_shot.py",
        "range(self.count - n, self.count)",
        "range(n)",
        "tests/core/test_project.py::test_a_shot_comes_back_as_it_was_stored",
    ),
    Mutant(
        "repeated frames left in the film",
        "storymem_core/film/film.py",
        "islice(shot.frames(), shot.dropped, None)",
        "islice(shot.frames(), 0, None)",
        "tests/core/test_film.py::test_repeated_frames_are_dropped_and_the_rest_stands_in_order",
    ),
    Mutant(
        "cross-faded frames counted twice",
        "storymem_core/film/film.py",
        "for shot in shots) - sum(at_joins)",
        "for shot in shots)",
        "tests/core/test_film.py::test_counts_are_exact_for_any_fade",
    ),
    Mutant(
        "film written in place",
        "storymem_core/disk.py",
        "temporary = unfinished(path)",
        "temporary = path",
        "tests/core/test_film.py::test_a_failed_film_leaves_the_old_one",
    ),
    Mutant(
        "damaged shot read",
        "storymem_core/store/stored_shot.py",
        "if file_sha256(path) != sha256:",
        "if False:",
        "tests/core/test_project.py::test_a_damaged_shot_is_never_read_and_made_again",
    ),
    Mutant(
        "frames kept of a shot that would see other pictures",
        "storymem_core/store/same_frames.py",
        "and given(whole.seen()) == given(seen):",
        "and given(seen) is not None:",
        "tests/core/test_same_frames.py::test_other_pictures_make_other_frames",
    ),
    Mutant(
        "a seed taken for what only the memory knows",
        "storymem_core/store/same_frames.py",
        '        "keyframe limit",\n',
        '        "keyframe limit",\n        "seed",\n',
        "tests/core/test_same_frames.py::test_whatever_else_changes_makes_other_frames",
    ),
    Mutant(
        "a body skipped that is given another bank",
        "storymem_core/making/own_loop.py",
        "given=_without_a_nameless_embedder)",
        "given=same_frames.pictures)",
        "tests/host/test_own_loop.py::test_a_body_that_is_given_another_bank_runs_again",
    ),
    Mutant(
        "kept shot made again",
        "storymem_core/store/takes.py",
        "if decision.locked or set(stale) <= set(INHERITED):",
        "if decision.locked:",
        "tests/core/test_story_project.py::test_later_shots_are_stale_and_redone_or_kept_as_a_person_says",
    ),
    Mutant(
        "locked shot made again",
        "storymem_core/store/takes.py",
        "if decision.locked or set(stale) <= set(INHERITED):",
        "if set(stale) <= set(INHERITED):",
        "tests/core/test_takes.py::test_a_locked_copy_stands_whatever_changes",
    ),
    Mutant(
        "the memory that a stale copy saw goes on",
        "storymem_core/store/project.py",
        "for place, stale in enumerate(self.stale) if not stale]",
        "for place, _ in enumerate(self.stale)]",
        "tests/core/test_story_project.py::test_what_comes_after_a_kept_shot_remembers_the_story_as_it_is_now",
    ),
    Mutant(
        "takes share a seed",
        "storymem_core/script/script.py",
        "return seed if take == 1 else",
        "return seed if take else",
        "tests/core/test_outline.py::test_each_take_has_a_seed_of_its_own",
    ),
    Mutant(
        "two runs in one folder",
        "storymem_core/store/story_folder.py",
        "self._lock.acquire(timeout=PATIENCE)",
        "self._lock.lock_counter",
        "tests/core/test_project.py::test_two_runs_on_one_folder",
    ),
    Mutant(
        "LoRA left out of the fingerprint",
        "storymem_core/host/fingerprint.py",
        '"patches": {str(key): [_patch(patch) for patch in patches]',
        '"patches": {str(key): []',
        "tests/host/test_fingerprint.py::test_each_change_counts",
    ),
    Mutant(
        "the body left out of its shots' keys",
        "storymem_core/making/own_loop.py",
        'seen, images),\n        "body": making.body,',
        'seen, images),\n        "body": "",',
        "tests/host/test_own_loop.py::test_what_makes_a_shot_is_in_its_key",
    ),
    Mutant(
        "start frames of an interpolated shot at the film's rate",
        "storymem_core/making/own_loop.py",
        "(loop.overlap - 1) * step + 1)[::step]",
        "loop.overlap)",
        "tests/host/test_own_loop.py::test_interpolated_shots_go_on_at_the_models_rate",
    ),
    Mutant(
        "the first clip of a fade has no media for it",
        "storymem_core/film/timeline.py",
        "clip.frames - begin - fading",
        "clip.frames - begin",
        "tests/core/test_export.py::test_the_timeline_adds_up_to_the_film",
    ),
    Mutant(
        "packages of somebody's ComfyUI not held",
        "runner/existing.py",
        '*quietly, "-c", held, *lines]',
        "*quietly, *lines]",
        "tests/core/test_existing.py::test_it_gets_a_link_and_what_it_lacks_and_keeps_its_versions",
    ),
    Mutant(
        "any archive is taken for ComfyUI",
        "runner/hosts.py",
        "if digest != host.sha256:",
        "if not digest:",
        "tests/core/test_environment.py::test_a_host_is_refused_when_its_sum_is_wrong",
    ),
    Mutant(
        "an end image's whole latent frame taken as known",
        "storymem_core/conditioning/start.py",
        "mask[:, -1, -1] = 0.0",
        "mask[:, :, -1] = 0.0",
        "tests/host/test_conditioning.py::test_an_end_image_is_bit_equal_to_the_hosts_first_last_frame_node",
    ),
    Mutant(
        "memory loses what a shot did not need",
        "storymem_core/store/stored_shot.py",
        "return self.moved_on(self.before())",
        "return self.moved_on(self.seen())",
        "tests/core/test_references.py::test_the_memory_after_a_shot_has_what_the_shot_did_not_need",
    ),
    Mutant(
        "a name within a longer one gets its looks",
        "storymem_core/script/cast.py",
        "sorted(cast, key=len, reverse=True)",
        "sorted(cast, key=len)",
        "tests/core/test_cast.py::test_a_name_is_followed_by_the_looks_at_its_first_mention",
    ),
    Mutant(
        "matched colours never fade out",
        "storymem_core/film/seams.py",
        "weight = (self.frames - index) / self.frames",
        "weight = 1.0",
        "tests/core/test_seams.py::test_drift_is_taken_back_and_comes_back_little_by_little",
    ),
    Mutant(
        "an extra LoRA forgotten",
        "storymem_core/making/shot_loras.py",
        "high = _with(high, plan.lora.high, plan.lora.strength)",
        "pass",
        "tests/server/test_own.py::test_a_film_of_shots_with_things_of_their_own",
    ),
)


def main() -> int:
    asked = sys.argv[1:]
    unknown = set(asked) - {mutant.name for mutant in MUTANTS}
    if unknown:
        sys.exit(f"there is no sabotage named {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not asked or mutant.name in asked]
    return 1 if run(chosen, ROOT, Path(os.environ["COMFYUI_PATH"])) else 0


if __name__ == "__main__":
    sys.exit(main())
