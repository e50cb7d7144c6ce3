"""Layouts that towers are published in: their names of tensors, and what the names imply.

Each layout renames the tensors of one family to those of `VisionTransformer`. Sizes and depth are
read from the tensors; a tensor that is missing or unknown is an error, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoloc.errors import BundleError
from geoloc.io.tensors import Tensors

_HUB_CLIP = {
    r"embeddings\.class_embedding": "class",
    r"embeddings\.patch_embedding\.": "patch.",
    r"embeddings\.position_embedding\.weight": "positions",
    r"pre_layrnorm\.": "norm_pre.",  # [sic]
    r"post_layernorm\.": "norm.",
    r"encoder\.layers\.(\d+)\.layer_norm([12])\.": r"blocks.\1.norm\2.",
    r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.": r"blocks.\1.attn.\2.",
    r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.": r"blocks.\1.attn.proj.",
    r"encoder\.layers\.(\d+)\.mlp\.": r"blocks.\1.mlp.",
}
_HUB_SIGLIP = {
    r"head\.probe": "pool.latent",
    r"head\.attention\.in_proj_": "pool.qkv.",
    r"head\.attention\.out_proj\.": "pool.proj.",
    r"head\.layernorm\.": "pool.norm.",
    r"head\.mlp\.": "pool.mlp.",
}
_HUB_DINO = {
    r"embeddings\.cls_token": "class",
    r"embeddings\.register_tokens": "registers",
    r"embeddings\.position_embeddings": "positions",
    r"embeddings\.patch_embeddings\.(?:projection\.)?": "patch.",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.norm([12])\.": r"blocks.\1.norm\2.",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.attention\.([qkv])_proj\.": r"blocks.\1.attn.\2.",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.attention\.o_proj\.": r"blocks.\1.attn.proj.",
    r"(?:encoder\.)?layer\.(\d+)\.attention\.attention\.([qkv])(?:uery|ey|alue)\.": (
        r"blocks.\1.attn.\2."
    ),
    r"(?:encoder\.)?layer\.(\d+)\.attention\.output\.dense\.": r"blocks.\1.attn.proj.",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.layer_scale([12])\.lambda1": r"blocks.\1.ls\2",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.mlp\.(?:fc1|up_proj)\.": r"blocks.\1.mlp.fc1.",
    r"(?:encoder\.|model\.)?layer\.(\d+)\.mlp\.(?:fc2|down_proj)\.": r"blocks.\1.mlp.fc2.",
    r"(?:layernorm|norm)\.": "norm.",
}
_TIMM = {
    r"cls_token": "class",
    r"reg(?:ister)?_tokens?": "registers",
    r"pos_embed": "positions",
    r"patch_embed\.proj\.": "patch.",
    r"norm_pre\.": "norm_pre.",
    r"norm\.": "norm.",
    r"blocks\.(\d+)\.norm([12])\.": r"blocks.\1.norm\2.",
    r"blocks\.(\d+)\.attn\.(qkv|proj)\.": r"blocks.\1.attn.\2.",
    r"blocks\.(\d+)\.ls([12])\.gamma": r"blocks.\1.ls\2",
    r"blocks\.(\d+)\.mlp\.": r"blocks.\1.mlp.",
    r"attn_pool\.": "pool.",
    r"head\.": "head.",
}


@dataclass(frozen=True)
class Layout:
    """How a family names its tensors."""

    anchor: str
    """A tensor that every tower of the family has; what precedes it precedes all."""
    names: dict[str, str]
    """Patterns of names, and what they become."""
    ignored: str = r"$^"
    """Pattern of tensors that are not part of the forward pass."""


LAYOUTS = {
    "clip": Layout(
        "vision_model.embeddings.class_embedding", _HUB_CLIP, r"embeddings\.position_ids"
    ),
    "siglip": Layout(
        "vision_model.embeddings.patch_embedding.weight",
        _HUB_CLIP | _HUB_SIGLIP,
        r"embeddings\.position_ids",
    ),
    "dino": Layout("embeddings.cls_token", _HUB_DINO, r"embeddings\.mask_token"),
    "timm": Layout("patch_embed.proj.weight", _TIMM, r"mask_token|rope\..*"),
}
"""The layouts of Hugging Face's CLIP, SigLIP and DINO, and that of timm and of DINOv2's authors."""


def canonical(tensors: Tensors, layout: str, name: str) -> Tensors:
    """Return the tensors of a tower under the names of `VisionTransformer`.

    Args:
        tensors: of a file, which may hold other networks too.
        layout: a key of LAYOUTS.
        name: of the file, for messages.

    Raises:
        BundleError: the file holds no such tower, or one of another version.
    """
    known = LAYOUTS[layout]
    found = next((key for key in tensors if key.endswith(known.anchor)), None)
    if found is None:
        raise BundleError(f"{name}: holds no {layout} image tower ({known.anchor} is missing)")
    prefix = found.removesuffix(known.anchor)
    inner = known.anchor.partition(".")[0] + "." if known.anchor.startswith("vision_model") else ""
    prefix += inner
    renamed: Tensors = {}
    for key, value in tensors.items():
        if key.startswith(prefix) and not re.match(known.ignored, key.removeprefix(prefix)):
            renamed.update(_renamed(key.removeprefix(prefix), value, known, name))
    for part in ("class", "registers", "positions"):
        if part in renamed:
            renamed[part] = renamed[part].reshape(-1, renamed[part].shape[-1])
    _check(renamed, name)
    return renamed


def _renamed(key: str, value: np.ndarray[Any, Any], layout: Layout, name: str) -> Tensors:
    """Return a tensor by its canonical name, a joined projection in its parts."""
    for pattern, replacement in layout.names.items():
        if re.match(pattern, key):
            new = re.sub("^" + pattern, replacement, key, count=1)
            break
    else:
        raise BundleError(f"{name}: the tensor {key} is unknown; update planet-geoloc")
    for joined in ("qkv", "kv"):
        before, dot, kind = new.rpartition(f"{joined}.")
        if dot and before.endswith("."):
            parts = np.split(value, len(joined))
            return {f"{before}{p}.{kind}": part for p, part in zip(joined, parts, strict=True)}
    return {new: value}


def _check(tensors: Tensors, name: str) -> None:
    """Raise BundleError unless the blocks are complete, consecutive and of one width."""
    width = tensors["patch.weight"].shape[0]
    numbers = sorted({int(key.split(".")[1]) for key in tensors if key.startswith("blocks.")})
    needed = [
        f"blocks.{number}.{part}.weight"
        for number in numbers
        for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2", *(f"attn.{p}" for p in "qkv"))
    ]
    missing = [key for key in needed if key not in tensors]
    if not numbers or numbers != list(range(len(numbers))) or missing:
        what = missing[0] if missing else "a block"
        raise BundleError(f"{name}: {what} is missing; the file is cut off or of another version")
    wrong = [key for key in needed if width not in tensors[key].shape]
    if wrong:
        raise BundleError(f"{name}: {wrong[0]} has the shape {tensors[wrong[0]].shape}")
