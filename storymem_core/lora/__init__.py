"""LoRA files of any origin -> ComfyUI's keys with the right scale."""
