"""Stands in for ComfyUI-GGUF: its loaders by name, and weights that stay packed until a layer needs them.

As there, a weight is a tensor that tells the unpacked shape while its data are bytes, copies of it are
itself, and a LoRA hangs on it as patches that are applied each time it is unpacked. Only the packing is
another: a row is an fp32 scale and int8 values. The files are safetensors whose names end in .gguf.
"""

import comfy.lora
import comfy.ops
import comfy.sd
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import get_attr, set_attr_param
from safetensors.torch import load_file

import nodes

SCALE = 4
"""Bytes of a row's scale."""

folder_paths.folder_names_and_paths["unet_gguf"] = (
    folder_paths.get_folder_paths("diffusion_models"), {".gguf"}
)  # fmt: skip
folder_paths.folder_names_and_paths["clip_gguf"] = (
    folder_paths.get_folder_paths("text_encoders"), {".gguf"}
)  # fmt: skip


class Packed(torch.Tensor):
    """uint8 [rows, SCALE + columns] that says that it is [rows, columns]."""

    patches = ()

    @staticmethod
    def pack(weight):
        scale = weight.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        values = (weight.float() / scale).round().to(torch.int8)
        return torch.cat([scale.view(torch.uint8), values.view(torch.uint8)], dim=1).as_subclass(Packed)

    def unpacked(self, dtype):
        raw = self.as_subclass(torch.Tensor).detach()
        scale, values = raw[:, :SCALE].contiguous().view(torch.float32), raw[:, SCALE:].view(torch.int8)
        weight = (values.float() * scale).to(dtype)
        for patches, key in self.patches:
            weight = comfy.lora.calculate_weight(patches, weight, key)
        return weight

    @property
    def shape(self):
        rows, columns = super().shape
        return torch.Size((rows, columns - SCALE))

    def to(self, *args, **kwargs):
        moved = super().to(*args, **kwargs)
        moved.patches = self.patches
        return moved

    def clone(self, *args, **kwargs):
        return self

    def detach(self):
        return self


class PackedOps(comfy.ops.manual_cast):
    class Linear(comfy.ops.manual_cast.Linear):
        def _load_from_state_dict(self, state, prefix, *args):
            for name in ("weight", "bias"):
                if f"{prefix}{name}" in state:
                    setattr(self, name, torch.nn.Parameter(state[f"{prefix}{name}"], requires_grad=False))

        def forward(self, x):
            if not isinstance(self.weight, Packed):
                return super().forward(x)
            return torch.nn.functional.linear(x, self.weight.unpacked(x.dtype), self.bias.to(x.dtype))


class PackedPatcher(ModelPatcher):
    def patch_weight_to_device(self, key, device_to=None, inplace_update=False):
        weight = get_attr(self.model, key)
        if key not in self.patches or not isinstance(weight, Packed):
            return super().patch_weight_to_device(key, device_to, inplace_update)
        moved = weight.to(device_to)
        moved.patches = [(self.patches[key], key)]
        set_attr_param(self.model, key, moved)

    def unpatch_model(self, device_to=None, unpatch_weights=True):
        if unpatch_weights:
            for weight in self.model.parameters():
                if isinstance(weight, Packed):
                    weight.patches = ()
        super().unpatch_model(device_to, unpatch_weights)


class UnetLoaderGGUF:
    RETURN_TYPES = ("MODEL", "STRING", "STRING")
    RETURN_NAMES = ("MODEL", "filename", "sha256")
    FUNCTION = "load_unet"
    TITLE = "Unet Loader (GGUF)"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"unet_name": (folder_paths.get_filename_list("unet_gguf"),)}}

    def load_unet(self, unet_name):
        path = folder_paths.get_full_path_or_raise("unet_gguf", unet_name)
        state = {
            name: Packed.pack(weight) if name.startswith("blocks.") and weight.ndim == 2 else weight
            for name, weight in load_file(path).items()
        }
        loaded = comfy.sd.load_diffusion_model_state_dict(
            state, model_options={"custom_operations": PackedOps}, disable_dynamic=True
        )
        loaded.__class__ = PackedPatcher
        return loaded, unet_name, ""


class CLIPLoaderGGUF(nodes.CLIPLoader):
    TITLE = "CLIPLoader (GGUF)"

    @classmethod
    def INPUT_TYPES(cls):
        names = folder_paths.get_filename_list("clip") + folder_paths.get_filename_list("clip_gguf")
        return {"required": {"clip_name": (names,), "type": super().INPUT_TYPES()["required"]["type"]}}


NODE_CLASS_MAPPINGS = {"UnetLoaderGGUF": UnetLoaderGGUF, "CLIPLoaderGGUF": CLIPLoaderGGUF}
