"""StoryMem for ComfyUI: minute-long stories in many shots, with the same faces, clothes and places."""

WEB_DIRECTORY = "./js"


async def comfy_entrypoint():
    # Inside, so that merely importing this file (pytest does, for a test folder's parent) needs no ComfyUI.
    from .nodes import StoryMemExtension

    return StoryMemExtension()
