"""The model files of Wan2.2 and StoryMem: where they go and how they are got. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

WAN_REPOSITORY = "Comfy-Org/Wan_2.2_ComfyUI_Repackaged"


@dataclass(frozen=True)
class ModelFile:
    """A file that a graph names.

    Args:
        folder: below ComfyUI's models folder.
        name: in that folder, with `/` between the parts.
        repository: on Hugging Face.
        source: its path there.
        gib: about how large it is.
        use: why it is wanted.
    """

    folder: str
    name: str
    repository: str
    source: str
    gib: float
    use: str

    def command(self) -> str:
        """What a person types in the models folder to get it; `hf` comes with the package huggingface_hub."""
        target, get = f"{self.folder}/{self.name}", f"hf download {self.repository} {self.source} --local-dir"
        if target.endswith(f"/{self.source}"):
            return f"{get} {target.removesuffix(f'/{self.source}')}"
        folder = target.rpartition("/")[0]
        return f"{get} . && mkdir -p {folder} && mv {self.source} {folder}"


def _wan(folder: str, name: str, gib: float, use: str, repository: str = WAN_REPOSITORY) -> ModelFile:
    return ModelFile(folder, name, repository, f"split_files/{folder}/{name}", gib, use)


def _lora(noise: str) -> ModelFile:
    name = f"Wan2.2-MI2V-A14B/backbone_{noise}_noise.safetensors"
    return ModelFile("loras", f"StoryMem/{name}", "Kevin-thu/StoryMem", name, 1.2, "memory")


FIRST_SHOT = "the first shot only; not needed where a graph's Story Loop has no t2v models"
WAN22 = (
    _wan("diffusion_models", "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors", 13.3, "every shot"),
    _wan("diffusion_models", "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors", 13.3, "every shot"),
    _wan("diffusion_models", "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", 13.3, FIRST_SHOT),
    _wan("diffusion_models", "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors", 13.3, FIRST_SHOT),
    _wan("vae", "wan_2.1_vae.safetensors", 0.2, "every shot"),
    _wan(
        "text_encoders", "umt5_xxl_fp8_e4m3fn_scaled.safetensors", 6.3, "every shot",
        "Comfy-Org/Wan_2.1_ComfyUI_repackaged",
    ),
    _lora("high"),
    _lora("low"),
)  # fmt: skip
"""What `workflows/api/story_wan22.json` names."""
