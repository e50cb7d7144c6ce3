"""What weights need of their tower: architecture, activation, tokenizer and preprocessing.

open_clip and timm build the tower that is named and load any weights whose shapes fit, with a
warning at most: OpenAI's weights under the name ViT-L-14-336 run with GELU instead of QuickGELU.
Here a name is corrected where there is one right answer, and refused otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoloc.encoders.base import Preprocessing
from geoloc.encoders.weight_files import LOCAL
from geoloc.errors import BundleError

_QUICK = "-quickgelu"
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
_RESIZE = {"shortest": "crop", "squash": "squash", "center": "crop"}
"""Our preprocessing by open_clip's resize mode and timm's crop mode."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_HUB_INTERPOLATION = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which Hugging Face stores."""


def open_clip_architecture(architecture: str, tag: str) -> str:
    """Return open_clip's name of the architecture that weights were trained with.

    Args:
        architecture: open_clip's name, or "local-dir:FOLDER", which describes itself.
        tag: pretrained tag, path of a checkpoint file, or "" for random weights.

    Raises:
        BundleError: there are no such weights, or they were trained with another architecture.
    """
    import open_clip

    if not tag or architecture.startswith(LOCAL):
        return architecture
    if Path(tag).is_file():
        _check_description(architecture, Path(tag))
        return architecture
    plain = architecture.removesuffix(_QUICK)
    known = {
        name: open_clip.get_pretrained_cfg(name, tag)
        for name in (architecture, plain, plain + _QUICK)
        if open_clip.get_model_config(name) is not None
    }
    known = {name: needs for name, needs in known.items() if needs}
    if not known:
        raise BundleError(
            f"open_clip:{architecture}/{tag}: the weights cannot be loaded (open_clip knows no"
            " weights of that name for it); see open_clip.list_pretrained()"
        )
    for name, needs in known.items():
        if _quick(open_clip.get_model_config(name)) == bool(needs.get("quick_gelu", False)):
            return name
    raise BundleError(
        f"open_clip:{architecture}/{tag}: open_clip contradicts itself about the activation"
        " (QuickGELU or GELU) of these weights; choose others"
    )


def open_clip_options(architecture: str, tag: str) -> dict[str, Any]:
    """Return the options of `open_clip.create_model` that weights in a file need.

    Such weights need the preprocessing of the folder's open_clip_config.json, or else that of all
    published weights of the architecture. Raises BundleError if these differ.
    """
    import open_clip

    if not tag or architecture.startswith(LOCAL) or not Path(tag).is_file():
        return {}
    if description := _description(Path(tag)):
        return {"force_preprocess_cfg": description.get("preprocess_cfg", {})}
    names = open_clip.list_pretrained_tags_by_model(architecture)
    published = [open_clip.get_pretrained_cfg(architecture, name) for name in names]
    different = [{key: each[key] for key in _PREPROCESSING} for each in published]
    if any(each != different[0] for each in different):
        raise BundleError(
            f"{tag}: weights of {architecture} differ in their preprocessing; put the file into a"
            " folder with its open_clip_config.json and name it open_clip:local-dir:FOLDER"
        )
    return {"force_preprocess_cfg": different[0]} if different else {}


def check_open_clip(model: Any, architecture: str, tag: str) -> None:  # noqa: ANN401
    """Raise BundleError unless a tower is built with the activation and pixels of its weights."""
    import open_clip
    from open_clip.transformer import QuickGELU

    needs = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if not needs:
        return
    quick = any(isinstance(part, QuickGELU) for part in model.modules())
    built = {"quick_gelu": quick, **model.visual.preprocess_cfg}
    wanted = {"quick_gelu": bool(needs.get("quick_gelu", False))}
    wanted |= {key: needs[key] for key in _PREPROCESSING}
    for key, value in wanted.items():
        if _plain(built[key]) != _plain(value):
            raise BundleError(
                f"open_clip:{architecture}/{tag}: built with {key} = {built[key]}, the weights need"
                f" {value}; choose other weights"
            )


def check_tokenizer(tokenizer: Any, text: Mapping[str, Any], name: str) -> None:  # noqa: ANN401
    """Raise BundleError if a tokenizer is not that of a text tower.

    Args:
        tokenizer: of open_clip.
        text: open_clip's text_cfg.
        name: of the model, for the message.
    """
    if "hf_model_name" in text:  # with its own tokenizer and vocabulary
        return
    own = getattr(tokenizer, "tokenizer", None)
    words = tokenizer.vocab_size if own is None else len(own)
    expected = int(text.get("vocab_size", 49408))
    tolerance = 0.0 if own is None else 0.02 * expected  # padded vocabularies, unused tokens
    if abs(words - expected) > tolerance:
        raise BundleError(
            f"{name}: the tokenizer has {words:,} tokens, the text tower {expected:,}; correct"
            " vocab_size or hf_tokenizer_name in its text_cfg"
        )


def preprocessing(
    name: str, size: int, needs: Mapping[str, Any], resize_key: str = "resize_mode"
) -> Preprocessing:
    """Return the preprocessing that open_clip or timm describes, with a central crop for a square.

    Args:
        name: of the encoder, for the message.
        size: side of the input in pixels.
        needs: mean, std, interpolation and the resize mode.
        resize_key: key of the resize mode.

    Raises:
        BundleError: there is no such preprocessing here.
    """
    resize, interpolation = needs[resize_key], needs["interpolation"]
    if resize not in _RESIZE or interpolation not in ("bilinear", "bicubic"):
        raise BundleError(
            f"{name}: photos are prepared with {resize_key} = {resize}, interpolation ="
            f" {interpolation}, which is not supported; choose another encoder"
        )
    mean, std = (tuple(map(float, needs[key])) for key in ("mean", "std"))
    return Preprocessing(size, mean, std, _RESIZE[resize], interpolation)  # type: ignore[arg-type]


def timm_architecture(architecture: str, tag: str) -> str:
    """Return timm's name of the architecture that weights were trained with.

    timm offers OpenAI's weights for GELU too, with the note "natively QuickGELU".

    Raises:
        BundleError: timm has no architecture with their activation.
    """
    import timm

    found = timm.get_pretrained_cfg(f"{architecture}.{tag}") if tag else None
    natively_quick = found is not None and "natively QuickGELU" in str(found.notes)
    if not natively_quick or "quickgelu" in architecture:
        return architecture
    quick = architecture.replace("_clip_", "_clip_quickgelu_")
    if not timm.is_model(quick):
        raise BundleError(
            f"timm:{architecture}.{tag}: the weights need QuickGELU, and timm has no such"
            " architecture for them; choose other weights"
        )
    return quick


def hub_activation(vision: Mapping[str, Any]) -> str:
    """Return "quick_gelu" or "gelu" of a vision model in Hugging Face's layout.

    Raises:
        BundleError: activation or normalisation is another one than open_clip's tower has.
    """
    activation = vision.get("hidden_act", "quick_gelu")  # the default of CLIPVisionConfig
    if activation not in ("quick_gelu", "gelu"):
        raise BundleError(
            f"hidden_act {activation!r} is not supported; choose a model with quick_gelu or gelu"
        )
    if float(vision.get("layer_norm_eps", 1e-5)) != 1e-5:
        raise BundleError(
            f"layer_norm_eps {vision['layer_norm_eps']} is not supported; choose a model with 1e-05"
        )
    return str(activation)


def hub_preprocessing(folder: Path, size: int) -> Preprocessing:
    """Return the preprocessing of a model in Hugging Face's layout; CLIP's if it describes none.

    Raises:
        BundleError: there is no such preprocessing here.
    """
    file = folder / "preprocessor_config.json"
    needs = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    resample = _HUB_INTERPOLATION.get(needs.get("resample", 3))
    cropped = needs.get("do_center_crop", True)
    sides = {
        side
        for key in ("size", *(["crop_size"] if cropped else []))
        for side in _sides(needs.get(key, size))
    }
    if resample is None or sides != {size}:
        raise BundleError(
            f"{file}: resample {needs.get('resample')} to {sorted(sides)} pixels is not supported;"
            f" only bilinear (2) or bicubic (3) to the {size} pixels of the network"
        )
    mean, std = needs.get("image_mean", CLIP_MEAN), needs.get("image_std", CLIP_STD)
    resize = "clip" if cropped else "squash"
    return Preprocessing(size, tuple(mean), tuple(std), resize, resample)  # type: ignore[arg-type]


def _sides(size: int | Mapping[str, int]) -> list[int]:
    return [size] if isinstance(size, int) else [*size.values()]


def _check_description(architecture: str, file: Path) -> None:
    """Raise BundleError if the description beside a checkpoint is of another architecture."""
    import open_clip

    description, named = _description(file), open_clip.get_model_config(architecture)
    if not description or named is None:
        return
    trained = description.get("model_cfg", {})
    if trained.get("vision_cfg") != named["vision_cfg"] or _quick(trained) != _quick(named):
        raise BundleError(
            f"{file}: open_clip_config.json beside it describes another architecture than"
            f" {architecture}; name the folder: open_clip:local-dir:{file.parent}"
        )


def _description(checkpoint: Path) -> dict[str, Any]:
    """Return the description in open_clip's format beside a checkpoint; {} if there is none."""
    file = checkpoint.parent / "open_clip_config.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise BundleError(f"{file}: not a model description ({error}); repair it") from error


def _quick(config: Mapping[str, Any]) -> bool:
    return bool(config.get("quick_gelu", False))


def _plain(value: Any) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list | tuple) else value
