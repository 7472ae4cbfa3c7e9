"""The core: script -> memory -> conditioning -> sampling -> frames -> keyframes -> memory ... -> film.

Where to look for what:

    script/        text or JSON -> a frozen Script -> the plan of every shot, before anything is computed
    memory/        the bank (an immutable value) and what moves it on; references; edits; its folder on disk
    conditioning/  what a shot is told: its own first and last frames, the memory slots, positions in time
    lora/          LoRA files of any origin -> ComfyUI's keys with the right scale
    sampling.py    which steps each of the two experts takes
    frames/        how many frames a shot has and shares; frames on disk
    keyframes/     embedders, filters and the choice of frames; a shot's frames -> the memory after it
    making/        all of it in its order: one shot, the chain of shots, a loop around nodes of the user's own
    store/         a story's folder: the one place of state on disk
    film/          stored shots -> the film, its clips, an export for other programs
    sheets/        a story, a memory or takes on one picture
    models/        Wan's shapes, the small models' files, what a film takes of a card
    host/          the adapter to ComfyUI: the only room that imports it
    small_world/   a picture book that draws itself, to see whether memory works
    training/      one trainer for the small world and for Wan2.2-A14B

`making`, and nothing else here, stands on `host`. Dimension letters: F frames of H x W pixels; f latent
frames of h x w latent pixels; B a batch, C channels, M memory frames, S their spacing in latent frames.
"""
