"""The trained models that come with the pack, by the names that the host's loaders show.

`weights/` is laid out like a models folder of ComfyUI, and so is what a training exports.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parents[2] / "weights"

EXPERTS = ("high", "low")
DIT = MappingProxyType(
    {expert: f"diffusion_models/storymem_world_i2v_{expert}_noise.safetensors" for expert in EXPERTS}
)
LORA = MappingProxyType(
    {expert: f"loras/storymem_world/memory_{expert}_noise.safetensors" for expert in EXPERTS}
)
"""In PEFT's layout."""
VAE = "vae/storymem_world_vae.safetensors"
TEXT_ENCODER = "text_encoders/storymem_world_text_encoder.safetensors"
SHIPPED = (*DIT.values(), *LORA.values(), VAE, TEXT_ENCODER)

LORA_FOR_THE_HOST = MappingProxyType(
    {expert: name.replace(".safetensors", "_comfyui.safetensors") for expert, name in LORA.items()}
)
"""The same in ComfyUI's layout: exported, not shipped twice."""
