"""The adapter to ComfyUI: the only place that imports the host. It translates, it decides nothing."""
