"""CLIP models of open_clip: built for training, written in open_clip's own format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from geoloc.encoders.base import Preprocessing
from geoloc.encoders.compatibility import check_tokenizer, open_clip_architecture
from geoloc.encoders.torch import load_open_clip, preprocessing_of, unavailable
from geoloc.errors import BundleError
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import content_digest
from training.data.loading import Tokenizer
from training.types import Tensors

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"


@dataclass(frozen=True, eq=False)
class Clip:
    """A CLIP model with its tokenizer and preprocessing."""

    model: nn.Module
    tokenizer: Tokenizer
    preprocessing: Preprocessing
    architecture: dict[str, Any]
    """open_clip's model_cfg."""


def build(model: str, pretrained: str = "") -> Clip:
    """Build a CLIP model for training.

    Args:
        model: open_clip architecture, a JSON file in open_clip's format, or a folder written by
            `write`.
        pretrained: open_clip weight tag, a checkpoint file, or "" for random weights.

    Raises:
        BundleError: there is no such model, or its weights cannot be loaded.
    """
    name = architecture_name(model, pretrained)
    built = load_open_clip(name, pretrained, output_dict=True, nonscalar_logit_scale=True)
    described = configuration(name)
    tokenizer = _tokenizer(name)
    check_tokenizer(tokenizer, described["text_cfg"], model)
    return Clip(built, tokenizer, preprocessing_of(built), described)


def architecture_name(model: str, pretrained: str) -> str:
    """Return the name under which open_clip builds a model with the activation of its weights.

    Raises:
        BundleError: there is no such model, or its weights need another one.
    """
    return open_clip_architecture(_name(model), pretrained)


def _tokenizer(name: str) -> Any:  # noqa: ANN401
    import open_clip

    try:
        return open_clip.get_tokenizer(name)
    except Exception as error:  # transformers and the Hub raise all kinds
        raise unavailable(f"tokenizer of {name}", error) from error


def configuration(model: str) -> dict[str, Any]:
    """Return open_clip's model_cfg of a model that `build` accepts.

    Raises:
        BundleError: there is no such model.
    """
    import open_clip

    found: dict[str, Any] | None = open_clip.get_model_config(_name(model))
    if found is None:
        raise BundleError(f"{model}: not an open_clip architecture; see open_clip.list_models()")
    return found


def source_digest(model: str, pretrained: str) -> dict[str, str]:
    """Return a setting that identifies the files which training starts from; {} for none.

    They are a folder written by `write`, a JSON file, and a checkpoint file.
    """
    start = Path(model)
    files = [start / CONFIG, start / WEIGHTS, start, Path(pretrained)]
    found = [path for path in files if path.is_file()]
    return {"source_digest": content_digest(found)} if found else {}


def _name(model: str) -> str:
    """Return the name under which open_clip finds the model."""
    import open_clip

    if (Path(model) / CONFIG).is_file():
        return f"local-dir:{model}"
    if not model.endswith(".json"):
        return model
    try:
        described = json.loads(Path(model).read_text(encoding="utf-8"))
        described["vision_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{model}: not a model description ({type(error).__name__}: {error}); it needs"
            " embed_dim, vision_cfg and text_cfg as in open_clip's model_configs"
        ) from error
    theirs = Path(open_clip.__file__).parent / "model_configs" / Path(model).name
    if theirs.is_file() and json.loads(theirs.read_text(encoding="utf-8")) != described:
        raise BundleError(
            f"{model}: open_clip has another architecture of this name, whose weights would be"
            " loaded; rename the file"
        )
    open_clip.add_model_config(model)
    return Path(model).stem


def write(target: Path, clip: Clip, weights: Tensors, run: dict[str, Any]) -> None:
    """Write a model folder for `build` and open_clip's "local-dir:"; complete or not at all.

    Args:
        target: the folder.
        clip: architecture and preprocessing to write.
        weights: full state dict on the CPU.
        run: settings of the run, for run.json.

    Raises:
        OSError: the disk is full or not writable.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    pixels = clip.preprocessing
    config = {
        "model_cfg": clip.architecture,
        "preprocess_cfg": {
            "size": pixels.size,
            "mean": pixels.mean,
            "std": pixels.std,
            "interpolation": pixels.interpolation,
            "resize_mode": "squash" if pixels.resize == "squash" else "shortest",
        },
    }
    with atomic_directory(target, replace=True) as partial:
        try:
            save_file({name: t.contiguous() for name, t in weights.items()}, partial / WEIGHTS)
        except SafetensorError as error:  # safetensors reports a full disk this way
            raise OSError(f"{target}: {error}") from error
        if (theirs := getattr(clip.tokenizer, "tokenizer", None)) is not None:
            theirs.save_pretrained(partial)  # open_clip looks for it in the folder
        (partial / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
        (partial / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")
