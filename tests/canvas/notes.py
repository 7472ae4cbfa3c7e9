"""The texts on the canvas: how each graph is used."""

from __future__ import annotations

from noting import Note

DEMO = Note(
    "StoryMem demo",
    """## A film in eight shots

Press **Run**. Every shot sees the memory of the shots before it: up to three keyframes of each, the first
three for ever, the newest sliding through. Shots appear one by one on **Story Loop**, then the film.

- The hero's looks are **not in the text**: one picture tells them, and memory carries them through the film.
- The film, its shots, keyframes and contact sheet are in the output folder, in *Hello, World*.
- Run it again: every shot is found there, nothing is computed. Change one prompt: only that shot and those
  that saw it are made again.
- The models are small, of Wan2.2's own architecture, and know one drawn world: *the hero*, nine places, three
  times of day, and to jump, wave, dance or sit. For all else open the template *story_wan22*.
""",
    480,
)

STORY = Note(
    "How to use it",
    """## Your story

- A paragraph is a shot, three dashes start a scene. *[continue]* goes on from the last frame of the shot
  before; without it a shot is a hard cut. ST-Bench JSON works as well.
- **Name the looks in every shot.** Memory carries pictures, no names: "the girl in the yellow raincoat"
  finds its memory, "she" does not.
- Reference images: plug them into **Memory Bank**. They are the oldest memory and stay for ever.
- An *overlap* of 5 hands on five frames instead of one and joins motions better: use the MM2V LoRA pair.
- Stop whenever you like. The next run goes on with the first unfinished shot.
""",
    560,
)

FOUR_STEPS = Note(
    "Four steps",
    """## Four steps in place of forty

The **4-step LoRA** of each expert makes a shot in four steps without guidance: two by the high-noise expert,
two by the low-noise one. It goes in by the host's own LoRA loader; **StoryMem M2V LoRA** stands behind it and
brings the memory.

- *steps* 4, both *cfg* 1, sampler *euler*, *shift* 5: what the 4-step LoRAs were made for.
- With a cfg of 1 the negative prompt does nothing, so it is empty.
- Motion tends to be calmer than with 40 steps. To see a shot in full, put the story into *story_wan22*.
- The first shot too is made by the image-to-video pair: 28 GB of files less.
""",
    560,
)

GGUF = Note(
    "GGUF",
    """## Small files, the same memory

This graph needs the custom nodes **ComfyUI-GGUF** (author city96; *ComfyUI Manager* finds them). Its loaders
stand where *story_wan22* has the host's: all else is the same. Weights stay packed and are unpacked layer by
layer, with the memory LoRA on them.

- Q4_K_M takes about 10 GB a file on disk. Any other size of the same model works: choose it in the loader.
- The 4-step LoRAs go between loader and memory LoRA, as in *story_wan22_4step*.
""",
    560,
)

BY_HAND = Note(
    "Shot by shot",
    """## A node for each shot

What **Story Loop** does by itself, by hand: every **Story Shot** takes the story so far and hands it on with
its own shot. Copy the last one to go on, each with a *shot_id* and a prompt of its own.

- The first node names the *project* and may take a **Memory Bank**; the others get all from *story*.
- *cut* off: the shot goes on from the last frame of the shot before.
- A finished shot is stored. Change a later prompt or seed and press **Run**: only from there on is anything
  made.
- Mute the nodes that you do not want yet and wire **Shot Stitch** to the last that you do.
""",
    560,
)

JOINS = Note(
    "Two kinds of join",
    """## One frame, or five

The same story twice. Every *[continue]* of the left film goes on from **one** frame of the shot before
(MI2V); the right film's from its last **five** (MM2V).

- One frame shows where everything is, and no speed. Five show how it moves, so fast motion is carried over.
- Each has its own LoRA pair: the folder's name, **Wan2.2-MI2V-A14B** or **Wan2.2-MM2V-A14B**, tells them
  apart.
- The frames that repeat are left out of the film: 81 frames add 80 with one, 76 with five.
- The two films lie beside each other, in *The Skater/mi2v* and *The Skater/mm2v*.
""",
    560,
)

REFERENCES = Note(
    "Your own hero",
    """## A story of your own pictures

The pictures that you load are the **oldest memory**: every shot sees them, the first one too, and they are
never pushed out. Load your hero and your place where ComfyUI's example stands now.

- *names* of **Memory Bank** names the pictures in their order. The script's line *@Iris [Iris]: looks* tells
  once how Iris looks and which pictures show her.
- Any size and shape will do. The film's size stays that of **Story Loop**.
- Three pictures fill the *sink*. With more raise it, or the last ones slide out in time.
- Clear pictures work best: one person, plain light, the clothes that the story is about.
""",
    560,
)

LARGER = Note(
    "Larger and smoother",
    """## 16 frames a second to 24, and twice the size

All nodes behind **Story Loop** are ComfyUI's own. RIFE puts two frames between any two (48 a second), every
second one is kept (24), and each is made twice as large.

- All frames are in RAM at once: about 1 GB for a second of film at 832x480. Do long films in pieces: each
  shot lies as a file of its own in the story's folder; **Load Video** takes it.
- At a hard cut one frame is a blend of both shots. In a shot that is done by itself there is none.
""",
    560,
)

EXTEND = Note(
    "Your clip goes on",
    """## Begin with a video of your own

Choose your clip in **Load Video**. It becomes shot 1, cropped to the film's size at its own speed; what it
shows is the first memory, and the script goes on from its last five frames.

- The first paragraph begins with *[continue]*: the next shot takes over the clip's motion. With *[cut]* it
  only remembers what the clip has shown.
- Say in every prompt how the person of the clip looks: memory carries pictures, no names.
- The MM2V pair and an *overlap* of 5 go on in motion; MI2V and an overlap of 1 from the last frame alone.
- A long clip is a long first shot: trim it with **Trim Video** to its last seconds.
""",
    560,
)

DRAFT = Note(
    "Draft first",
    """## A cheap look at the whole story

1. *Draft* on, **Run**: the story at half the size in eight steps, with a memory of its own, in
   *The Paper Crane/draft*. With a quarter of the pixels and a fifth of the steps it takes a twentieth of the
   time, and shows pacing, prompts and order.
2. Mend prompts and run again: only what they change is made. **What is there** shows each shot with its
   takes; *action* take, *shot* 3, *take* 2 asks for another one.
3. *action* back to *look*, *draft* off, and in *only* of **Story Loop** the shots that you keep (*1,3-4*;
   empty is all). **Run** makes the film.

Noise depends on the size: the film's pictures are other ones than the draft's.
""",
    560,
)

OWN_LOOP = Note(
    "A loop of your own",
    """## Your nodes, shot after shot

What stands between **Story Loop Open** and **Story Loop Close** is copied for every shot of the script: here
the host's own samplers, frame interpolation and upscaler. Put yours in their place: another sampler, a face
fix, a grain. Open gives each copy its shot's prompt, seed, length, start frames and memory; Close stores what
comes out, moves the memory on and stitches the film.

- Loaders stay outside: they run once.
- Take the seed from Open. A seed that changes by itself makes every shot anew at each run.
- *interpolation* of Close says how many frames the body makes of one: here 2, and so 32 frames a second.
- A stored shot's copy does not run again, also after a crash.
""",
    560,
)

INDEPENDENT = Note(
    "Baseline: independent shots",
    """## What memory is measured against

Each shot by itself, by Wan2.2's text-to-video pair and nothing but ComfyUI's own nodes: no memory, no joins.
The prompts alone must hold the hero together. It is the first baseline of the paper (arXiv 2512.19539).

- *shift* 12 and the experts change at a noise level of 0.875: 26 of 40 steps are the high-noise expert's.
- To compare, run the same prompts by *shot_by_shot* or *story_wan22*.
""",
    640,
)

KEYFRAMES = Note(
    "Baseline: keyframes, then video",
    """## What memory is measured against

A picture for each shot, made first and alike by other means, then Wan2.2's image-to-video pair from each: the
second kind of baseline of the paper (arXiv 2512.19539), which takes the pictures from StoryDiffusion or
IC-LoRA. Load yours; the loaders stand here with ComfyUI's example.

- A shot knows its own first picture and nothing of the other shots.
- *shift* 5, boundary 0.9: 15 of 40 steps are the high-noise expert's.
""",
    640,
)

ANY_SAMPLER = Note(
    "Memory in any graph",
    """## The host's own graph, with memory

Two **KSampler (Advanced)**, as in ComfyUI's Wan2.2 image-to-video template. New are: the LoRA that reads
memory, **Shot Conditioning** instead of WanImageToVideo, **Apply Memory** on both experts of a shot, with
*one seed for both*, and **Keyframe Select** after it. Shot 1 sees a picture of the hero, shot 2 that and
what shot 1 showed.

The sampler sees an ordinary shot: any sampler, scheduler, preview or other patch can stand here. Steps 0-3
are the high-noise expert's: at shift 4, 3 of 8 (13 of 40) lie above the boundary of 0.9.
""",
    640,
)

HERO = Note(
    "A hero",
    """**The memory begins with a picture** of the hero: the oldest memory, which every shot sees. Without it
the small models make up a blurred one of their own. Another *seed* draws another hero.
""",
    300,
)

MEMORY = Note(
    "Memory",
    """**What the story remembers.** It starts empty. Plug in pictures of your hero (one node gives several):
they become the oldest memory, every shot sees them, the first too.
""",
    380,
)

T2V_FILES = """The text-to-video pair makes the first shot only. Unplug it to save 28 GB of files: the
image-to-video pair then makes that shot too."""
