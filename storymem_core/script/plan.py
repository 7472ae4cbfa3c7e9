"""A script and the story's settings -> what every shot is to be, before anything is computed (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import StoryMemError
from ..frames.counts import check_length, dropped
from ..lora.extra_lora import ExtraLora
from .script import Script, Shot, full_prompt, shot_seed

ROW = ("id", "scene", "prompt", "mode", "seed", "frames", "dropped")


@dataclass(frozen=True)
class ShotPlan:
    """One shot of the film to be."""

    id: str
    scene: int
    """1-based."""
    prompt: str
    """With the looks of the cast that it names; the id comes from the prompt as it is written."""
    negative_prompt: str | None
    """None: the story's."""
    mode: str
    """"t2v": from text alone; "m2v": a cut that sees memory; "i2v": a cut that begins with an image of its
    own; "mi2v" and "mm2v": it goes on from the last frame, or the last 5, 9, ... frames, of the shot before
    (StoryMem, arXiv 2512.19539); "given": a clip that a person gave, which no model made."""
    cut: bool
    seed: int
    frames: int
    """Generated, 4k+1."""
    dropped: int
    """Of these, how many at the start the film already has; the film gains `frames - dropped`."""
    take: int = 1
    """Which of the shot's takes, from 1; its seed is that take's."""
    references: tuple[str, ...] | None = None
    """Names of the reference images that it sees; None: all."""
    start_image: str | None = None
    """What it begins with: a file of the host's input folder, or the sha256 of pixels given to a node."""
    end_image: str | None = None
    """What it ends on, likewise."""
    lora: ExtraLora | None = None
    """One LoRA more."""
    lora_strength: float = 1.0
    """Of the M2V LoRA, times its loader's."""
    added: tuple[int, ...] = ()
    """Those of its frames that a person added to the memory (`add 2:40`), in their order."""

    @property
    def given(self) -> int:
        """Frames at its start that are given: repeated ones, or its own start image."""
        return self.dropped or int(self.start_image is not None)

    @property
    def own(self) -> range:
        """The numbers of those of its frames that do not repeat the shot before."""
        return range(self.dropped, self.frames)


def plan(
    script: Script,
    *,
    seed: int = 0,
    length: int = 81,
    overlap: int = 1,
    t2v_first: bool = True,
    references: int = 0,
    start_given: bool = False,
) -> tuple[ShotPlan, ...]:
    """Every shot of the film, in order.

    Args:
        seed: the story's; a shot without a seed gets its own from it and the shot's id.
        length: frames of a shot that names none, 4k+1.
        overlap: frames that a continued shot shares with the one before: 1 is MI2V; 5, 9, ... are MM2V.
        t2v_first: the first shot may be made by text-to-video. It is not where references fill the memory,
            nor where it begins with or ends on an image.
        references: images in the memory before the first shot.
        start_given: there are start frames from which a first shot with cut false goes on.

    Raises:
        StoryMemError: the first shot continues and has no start; a continued shot is no longer than the
            overlap; a length or overlap is not 4k+1; the seed is not a whole number >= 0.
    """
    if type(seed) is not int or seed < 0:
        raise StoryMemError("a story's seed must be a whole number >= 0", value=seed, remedy="Use 0, or 42.")
    if not script.shots:
        raise StoryMemError("a story must have at least one shot", value=0, remedy="Write one in the script.")
    first = script.shots[0]
    if not first.cut and not start_given:
        raise StoryMemError(
            "scene 1, shot 1, cut: the first shot is a continued one, but there is nothing before it",
            value=first.cut,
            remedy="Make it a cut, or connect start frames.",
        )
    from_text = first.cut and t2v_first and not (references or first.start_image or first.end_image)

    def planned(shot: Shot) -> ShotPlan:
        frames = length if shot.length is None else shot.length
        repeated = dropped(shot.cut, overlap)
        check_length(frames, f"the length of shot {shot.id!r}")
        if frames <= repeated:
            raise StoryMemError(
                f"shot {shot.id!r} of scene {shot.scene} adds nothing to the {overlap} frames it starts from",
                value=frames,
                remedy=f"Make it at least {overlap + 4} frames long, or a cut.",
            )
        own_start = shot.start_image is not None
        return ShotPlan(
            id=shot.id,
            scene=shot.scene,
            prompt=full_prompt(script, shot),
            negative_prompt=shot.negative_prompt,
            mode="t2v" if shot is first and from_text else mode(shot.cut, overlap, own_start),
            cut=shot.cut,
            seed=shot_seed(seed, shot.id) if shot.seed is None else shot.seed,
            frames=frames,
            dropped=repeated,
            references=shot.references,
            start_image=shot.start_image,
            end_image=shot.end_image,
            lora=shot.lora,
            lora_strength=1.0 if shot.lora_strength is None else shot.lora_strength,
        )

    return tuple(planned(shot) for shot in script.shots)


def mode(cut: bool, overlap: int, start_image: bool = False) -> str:
    """How the image-to-video pair makes a shot, see `ShotPlan.mode`."""
    if cut:
        return "i2v" if start_image else "m2v"
    return "mi2v" if overlap == 1 else "mm2v"


def as_row(shot: ShotPlan) -> dict[str, Any]:
    """A planned shot as `run.py film --plan` prints it: id, scene, prompt, mode, seed, frames, dropped."""
    fields = asdict(shot)
    return {name: fields[name] for name in ROW}
