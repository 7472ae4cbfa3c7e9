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
        "storymem_core/positions.py",
        "-(memory_frames - i) * float(spacing)",
        "-(memory_frames - i) * 1.0",
        "tests/core/test_positions.py::test_the_papers_formula",
    ),
    Mutant(
        "mask inverted",
        "storymem_core/slots.py",
        "known = torch.ones_like(",
        "known = torch.zeros_like(",
        "tests/core/test_slots.py::test_slots_are_path_mask_and_condition",
    ),
    Mutant(
        "path noise redrawn at every call",
        "storymem_core/slots.py",
        'generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))',
        'generator = torch.Generator("cpu"); generator.seed()',
        "tests/core/test_slots.py::test_noise_depends_on_seed_and_frame_alone",
    ),
    Mutant(
        "one seed for all shots",
        "storymem_core/script.py",
        '_sha256(f"{story_seed}\\n{shot_id}")',
        '_sha256(f"{story_seed}")',
        "tests/core/test_story.py::test_seeds_follow_the_storys_seed_and_differ_between_shots",
    ),
    Mutant(
        "drop of repeated frames off by one",
        "storymem_core/frames.py",
        "return 0 if cut else overlap",
        "return 0 if cut else overlap - 1",
        "tests/core/test_frames.py::test_frames_left_of_81_are_those_of_the_paper",
    ),
    Mutant(
        "sink dropped",
        "storymem_core/memory.py",
        "leaving = range(bank.sink, bank.sink + too_many)",
        "leaving = range(too_many)",
        "tests/core/test_memory.py::test_sink_and_window_over_a_story",
    ),
    Mutant(
        "window keeps the oldest",
        "storymem_core/memory.py",
        "leaving = range(bank.sink, bank.sink + too_many)",
        "leaving = range(bank.capacity, bank.capacity + too_many)",
        "tests/core/test_memory.py::test_sink_and_window_over_a_story",
    ),
    Mutant(
        "dedupe against the last frame only",
        "storymem_core/memory.py",
        "_nearest(frame, bank.frames) for frame in frames",
        "_nearest(frame, bank.frames[-1:]) for frame in frames",
        "tests/core/test_memory.py::test_a_frame_like_any_frame_of_memory_is_left_out",
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
