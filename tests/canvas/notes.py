"""The texts on the canvas: how each graph is used."""

from __future__ import annotations

from noting import Note

DEMO = Note(
    "StoryMem demo",
    """## A film in eight shots

Press **Run**. Every shot sees the memory of the shots before it: up to three keyframes of each. The first
three stay for the whole film, the newest ones slide through. The shots appear one by one on **Story Loop**,
then the film.

- The hero's looks are **not in the text**. They come from one image, and memory carries them through the
  film.
- The film, its shots, keyframes and contact sheet are in the output folder, in *Hello, World*.
- Run it again: every shot is found there and nothing is computed. Change one prompt: only that shot and the
  shots that saw it are made again.
- The models are small ones of Wan2.2's own architecture. They know one drawn world: *the hero*, nine places,
  three times of day, and how to jump, wave, dance or sit. For anything else open the template *story_wan22*.
""",
    480,
)

STORY = Note(
    "How to use it",
    """## Your story

- Each paragraph is a shot; three dashes start a scene. *[continue]* continues from the last frame of the
  previous shot; without it a shot starts with a hard cut. ST-Bench JSON works too.
- **Describe the looks in every shot.** Memory carries images and no names: "the girl in the yellow raincoat"
  finds its memory, "she" does not.
- Reference images: connect them to **Memory Bank**. They become the oldest memory and stay for the whole
  film.
- An *overlap* of 5 passes on five frames instead of one and joins motion better. It needs the MM2V LoRA pair.
- Stop whenever you like. The next run continues with the first unfinished shot.
""",
    560,
)

FOUR_STEPS = Note(
    "Four steps",
    """## Four steps instead of forty

With the **4-step LoRA** of each expert a shot takes four steps without guidance: two by the high-noise
expert, two by the low-noise one. ComfyUI's own LoRA loader loads it; **StoryMem M2V LoRA** comes after it and
adds the memory.

- *steps* 4, both *cfg* 1, sampler *euler*, *shift* 5: the settings these LoRAs were made for.
- At cfg 1 the negative prompt has no effect, so it is empty.
- Motion tends to be calmer than with 40 steps. For full quality, use *story_wan22* with the same story.
- The image-to-video pair makes the first shot as well, which saves 28 GB of files.
""",
    560,
)

GGUF = Note(
    "GGUF",
    """## Small files, the same memory

This graph needs the custom nodes **ComfyUI-GGUF** by city96 (install them with *ComfyUI Manager*). Their
loaders replace those of *story_wan22*; everything else is the same. The weights stay packed and are unpacked
layer by layer, with the memory LoRA applied.

- A Q4_K_M file takes about 10 GB on disk. Any other size of the same model works: choose it in the loader.
- 4-step LoRAs go between the loader and the memory LoRA, as in *story_wan22_4step*.
""",
    560,
)

BY_HAND = Note(
    "Shot by shot",
    """## One node per shot

This is what **Story Loop** does, by hand: each **Story Shot** takes the story so far and passes it on with
its own shot added. To continue, copy the last one and give it a new *shot_id* and prompt.

- The first node sets the *project* and can take a **Memory Bank**; the others get everything from *story*.
- *cut* off: the shot continues from the last frame of the previous shot.
- Finished shots are stored. Change a later prompt or seed and press **Run**: only the shots from there on are
  made again.
- Mute the nodes you do not want yet, and connect **Shot Stitch** to the last one that you do want.
""",
    560,
)

JOINS = Note(
    "Two kinds of join",
    """## One frame, or five

The same story twice. In the left film each *[continue]* starts from the **last frame** of the previous shot
(MI2V); in the right film it starts from the **last five** (MM2V).

- One frame shows where everything is, but not how fast it moves. Five frames show the motion, so fast motion
  continues smoothly.
- Each kind has its own LoRA pair. Keep the folder names: only **Wan2.2-MI2V-A14B** and
  **Wan2.2-MM2V-A14B** tell the pairs apart.
- Repeated frames are left out of the film: a shot of 81 frames adds 80 or 76.
- The two films are saved next to each other, in *The Skater/mi2v* and *The Skater/mm2v*.
""",
    560,
)

REFERENCES = Note(
    "Your own hero",
    """## A story with your own images

The images you load are the **oldest memory**: every shot sees them, including the first, and they are never
pushed out. Replace ComfyUI's example image with your hero and your place.

- *names* of **Memory Bank** names the images in order. The script's line *@Iris [Iris]: looks* describes
  once how Iris looks and which images show her.
- Images of any size and shape work. The film keeps the size set in **Story Loop**.
- Three images fill the *sink*. If you use more, raise it, or the last ones slide out in time.
- Clear images work best: one person, plain light, the clothes of the story.
""",
    560,
)

LARGER = Note(
    "Larger and smoother",
    """## From 16 to 24 fps, at twice the size

All nodes after **Story Loop** are ComfyUI's own. RIFE adds two frames between every two (48 fps), every
second one is kept (24 fps), and each is upscaled to twice the size.

- All frames are in RAM at once: about 1 GB per second of film at 832x480. Process long films in pieces: each
  shot is a file of its own in the story's folder, and **Load Video** loads it.
- At a hard cut, one frame is a blend of both shots. Shots processed one by one have no such frame.
""",
    560,
)

EXTEND = Note(
    "Continue your clip",
    """## Start with your own video

Choose your clip in **Load Video**. It becomes shot 1, cropped to the film's size and at its own speed. What
it shows is the first memory, and the script continues from its last five frames.

- The first paragraph starts with *[continue]*, so the next shot takes over the clip's motion. With *[cut]* it
  only remembers what the clip showed.
- Describe the person in the clip in every prompt: memory carries images and no names.
- With the MM2V pair and an *overlap* of 5 the motion continues; MI2V with an overlap of 1 sees only the last
  frame.
- A long clip is a long first shot: trim it to its last seconds with **Trim Video**.
""",
    560,
)

DRAFT = Note(
    "Draft first",
    """## A cheap look at the whole story

1. *draft* on, **Run**: the story at half the size in eight steps, with its own memory, in
   *The Paper Crane/draft*. With a quarter of the pixels and a fifth of the steps it takes a twentieth of the
   time, and shows pacing, prompts and order.
2. Improve prompts and run again: only what they change is made again. **What is there** shows each shot with
   its takes; *action* take, *shot* 3, *take* 2 asks for another one.
3. Set *action* back to *look*, switch *draft* off, and list the shots you want in *only* of **Story Loop**
   (*1,3-4*; empty means all). **Run** makes the film.

Noise depends on the size, so the film will not look exactly like the draft.
""",
    560,
)

OWN_LOOP = Note(
    "A loop of your own",
    """## Your nodes, shot after shot

Everything between **Story Loop Open** and **Story Loop Close** is copied for every shot of the script: here
ComfyUI's own samplers, frame interpolation and upscaler. Replace them with yours: another sampler, a face
fix, film grain. Open gives each copy its shot's prompt, seed, length, start frames and memory. Close stores
the result, updates the memory and stitches the film.

- Keep loaders outside: they then run only once.
- Take the seed from Open. A seed that changes by itself makes every shot again in each run.
- *interpolation* of Close is the number of frames that the body makes from each one: here 2, so 32 fps.
- A stored shot is not made again, even after a crash.
""",
    560,
)

INDEPENDENT = Note(
    "Baseline: independent shots",
    """## What memory is compared with

Each shot on its own, made by Wan2.2's text-to-video pair with ComfyUI's own nodes only: no memory, no joins.
The prompts alone have to keep the hero consistent. It is the first baseline of the paper (arXiv 2512.19539).

- *shift* 12, and the experts change at a noise level of 0.875: the high-noise expert makes 26 of 40 steps.
- To compare, run the same prompts with *shot_by_shot* or *story_wan22*.
""",
    640,
)

KEYFRAMES = Note(
    "Baseline: keyframes, then video",
    """## What memory is compared with

One image per shot, made first and kept consistent by other means, then Wan2.2's image-to-video pair from each
image: the second kind of baseline of the paper (arXiv 2512.19539), which takes the images from StoryDiffusion
or IC-LoRA. Load your own; the loaders show ComfyUI's example.

- A shot knows its own first image and nothing of the other shots.
- *shift* 5, boundary 0.9: the high-noise expert makes 15 of 40 steps.
""",
    640,
)

ANY_SAMPLER = Note(
    "Memory in any graph",
    """## ComfyUI's own graph, with memory

Two **KSampler (Advanced)**, as in ComfyUI's Wan2.2 image-to-video template. New are the LoRA that reads
memory, **Shot Conditioning** instead of WanImageToVideo, **Apply Memory** on both experts of a shot with
*one seed for both*, and **Keyframe Select** after it. Shot 1 sees an image of the hero; shot 2 sees that and
what shot 1 showed.

The sampler sees an ordinary shot, so any sampler, scheduler, preview or other patch works here. Steps 0-3
belong to the high-noise expert: at shift 4, 3 of 8 steps (13 of 40) are above the boundary of 0.9.
""",
    640,
)

HERO = Note(
    "A hero",
    """**The memory starts with an image** of the hero: the oldest memory, which every shot sees. Without it
the small models invent a blurred hero of their own. Another *seed* draws another hero.
""",
    300,
)

MEMORY = Note(
    "Memory",
    """**What the story remembers.** It starts empty. Connect images of your hero (one node can give several):
they become the oldest memory, and every shot sees them, including the first.
""",
    380,
)

T2V_FILES = """The text-to-video pair makes only the first shot. Disconnect it to save 28 GB of files: the
image-to-video pair then makes that shot too."""
