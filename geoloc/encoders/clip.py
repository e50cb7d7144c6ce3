"""CLIP image towers of GeoCLIP, and in the layout of Hugging Face's transformers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.compatibility import (
    CLIP_MEAN,
    CLIP_STD,
    hub_activation,
    hub_preprocessing,
)
from geoloc.encoders.torch import TorchEncoder, load_open_clip, unavailable
from geoloc.encoders.weight_files import local_digest
from geoloc.errors import BundleError, MissingExtraError

IMAGE_HEAD = "image_head.safetensors"
"""File in a bundle with GeoCLIP's layers on top of CLIP."""

GEOCLIP_DIM = 512

_UNDESCRIBED = {
    "osv5m/baseline": {
        "image_size": 224,
        "patch_size": 14,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
    }
}
"""Vision configurations of models whose config.json has none."""

Tensors = dict[str, Any]


def geoclip_spec(model: str, weights: str, size: int = 224, digest: str = "") -> EncoderSpec:
    """Return the spec of GeoCLIP's encoder on an open_clip tower, with CLIP's preprocessing.

    `digest` identifies the head, and the weights of the tower if they are a file.
    """
    pixels = Preprocessing(size, CLIP_MEAN, CLIP_STD, resize="clip")
    return EncoderSpec("geoclip", model, weights, GEOCLIP_DIM, pixels, digest)


class GeoClipEncoder(TorchEncoder):
    """CLIP's image tower with GeoCLIP's head on its projection (Vivanco Cepeda et al., 2023)."""

    def __init__(self, spec: EncoderSpec, folder: Path | None, tower: Any = None) -> None:  # noqa: ANN401
        """Load the head from a bundle's folder, and the tower unless one is given.

        Raises:
            BundleError: the head is missing or damaged, or the tower cannot be loaded.
        """
        import torch

        loaded = load_open_clip(spec.model, spec.weights).visual if tower is None else tower
        network = torch.nn.Sequential(loaded, _image_head(folder or Path()))
        super().__init__(spec, network, network)


def _image_head(folder: Path) -> Any:  # noqa: ANN401
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / IMAGE_HEAD
    try:
        weights = load_file(path)
        width = weights["0.weight"].shape[1]
        head = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, GEOCLIP_DIM)
        )
        head.load_state_dict(weights)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise BundleError(f"{path}: not a readable image head; make the bundle again") from error
    return head


class HubClipEncoder(TorchEncoder):
    """A CLIP image tower in the layout of Hugging Face's transformers, which is not imported.

    `model` is the name of a model on the Hub, or a folder with the same files.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        config, weights, _ = _published(spec.model)
        network = tower_of(config, weights)
        super().__init__(spec, network, network)


def describe_hub_clip(model: str) -> EncoderSpec:
    """Return the spec of a model in Hugging Face's layout; raise as `registry.describe` does."""
    config, weights, folder = _published(model)
    tower = tower_of(config, weights)
    pixels = hub_preprocessing(folder, int(config["image_size"]))
    dim = int(config["hidden_size"] if tower.proj is None else tower.proj.shape[1])
    return EncoderSpec("hf_clip", model, "", dim, pixels, local_digest("hf_clip", model, ""))


def _published(model: str) -> tuple[dict[str, Any], Tensors, Path]:
    """Return vision configuration, weights and folder of a model, downloaded if necessary."""
    import torch
    from safetensors.torch import load_file

    folder = Path(model)
    try:
        if not folder.is_dir():
            folder = _downloaded(model)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        vision = config["vision_config"] if "vision_config" in config else _UNDESCRIBED[model]
        path = folder / "model.safetensors"
        if path.is_file():
            return vision, load_file(path), folder
        older = folder / "pytorch_model.bin"
        return vision, torch.load(older, map_location="cpu", weights_only=True), folder
    except MissingExtraError:
        raise
    except Exception as error:  # the Hub's errors have no common base
        raise unavailable(f"hf_clip:{model}", error) from error


def _downloaded(model: str) -> Path:
    """Return the folder with the files of a model on the Hub, downloaded if necessary."""
    from huggingface_hub import list_repo_files, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    patterns = ["config.json", "model.safetensors", "preprocessor_config.json"]
    try:
        if "model.safetensors" not in list_repo_files(model):
            patterns[1] = "pytorch_model.bin"
    except OfflineModeIsEnabled:  # whichever is in the cache
        patterns.append("pytorch_model.bin")
    return Path(snapshot_download(model, allow_patterns=patterns))


def tower_of(config: dict[str, Any], weights: Tensors) -> Any:  # noqa: ANN401
    """Build open_clip's image tower with weights in Hugging Face's layout.

    Args:
        config: of the vision model.
        weights: state dict of a CLIPModel, or of a model that contains one under any prefix.

    Raises:
        BundleError: the weights do not belong to such a model.
    """
    import torch
    from open_clip.transformer import QuickGELU, VisionTransformer

    quick = hub_activation(config) == "quick_gelu"
    try:
        renamed = open_clip_names(weights)
        projection = renamed.get("proj", torch.empty(0, 1))
        tower = VisionTransformer(
            image_size=int(config["image_size"]),
            patch_size=int(config["patch_size"]),
            width=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            mlp_ratio=config["intermediate_size"] / config["hidden_size"],
            output_dim=projection.shape[1],
            act_layer=QuickGELU if quick else torch.nn.GELU,
        )
        if "proj" not in renamed:
            tower.proj = None
        tower.load_state_dict(renamed)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"not a CLIP model in Hugging Face's layout ({reason})") from error
    return tower


_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)")
_RENAMED = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
}
_PARTS = {
    "pre_layrnorm": "ln_pre",  # [sic]
    "post_layernorm": "ln_post",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def open_clip_names(weights: Tensors) -> Tensors:
    """Rename and reshape vision weights from Hugging Face's layout to that of open_clip's tower.

    Raises:
        KeyError: the weights contain no such vision model.
    """
    import torch

    anchor = "vision_model.embeddings.class_embedding"
    found = next((name for name in weights if name.endswith(anchor)), None)
    if found is None:
        raise KeyError(anchor)
    prefix = found.removesuffix("embeddings.class_embedding")
    named: Tensors = {}
    joined: dict[str, Tensors] = {}
    for name, tensor in weights.items():
        if not name.startswith(prefix) or name.endswith("position_ids"):
            continue
        layer, part, kind = _place(name.removeprefix(prefix))
        if part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
            joined.setdefault(f"{layer}attn.in_proj_{kind}", {})[part[-6]] = tensor
        else:
            full = _RENAMED.get(f"{part}.{kind}") or f"{_PARTS[part]}.{kind}"
            named[layer + full] = tensor
    for name, parts in joined.items():
        named[name] = torch.cat([parts[which] for which in "qkv"])
    projection = weights.get(prefix.removesuffix("vision_model.") + "visual_projection.weight")
    if projection is not None:
        named["proj"] = projection.T.contiguous()
    return named


def _place(name: str) -> tuple[str, str, str]:
    """Split a name: open_clip's layer, Hugging Face's part, and "weight", "bias" or embedding."""
    layer = ""
    if inside := _LAYER.fullmatch(name):
        layer, name = f"transformer.resblocks.{inside[1]}.", inside[2]
    part, _, kind = name.rpartition(".")
    return layer, part, kind
