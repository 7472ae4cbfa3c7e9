"""Files that run on a ComfyUI's own Python, outside of this package: nothing here imports the runner."""
