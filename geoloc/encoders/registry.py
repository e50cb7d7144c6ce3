"""Registry of encoder kinds: from a spec or a name to an encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.errors import BundleError


def _open_clip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.torch import OpenClipEncoder

    return OpenClipEncoder(spec)


def _open_clip_tokens(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.torch import OpenClipTokensEncoder

    return OpenClipTokensEncoder(spec)


def _timm(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.torch import TimmEncoder

    return TimmEncoder(spec)


def _geoclip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.clip import GeoClipEncoder

    return GeoClipEncoder(spec, folder)


def _hf_clip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.clip import HubClipEncoder

    return HubClipEncoder(spec)


ENCODERS: dict[str, Callable[[EncoderSpec, Path | None], ImageEncoder]] = {
    "onnx": OnnxEncoder,
    "open_clip": _open_clip,
    "open_clip_tokens": _open_clip_tokens,
    "timm": _timm,
    "geoclip": _geoclip,
    "hf_clip": _hf_clip,
}
"""Encoder kinds; a new kind is a new entry."""


def build_encoder(spec: EncoderSpec, folder: Path | None = None) -> ImageEncoder:
    """Load the encoder a spec describes.

    Args:
        spec: from a bundle, or made by `geoloc.encoders.torch.describe`.
        folder: the bundle's folder, for encoders whose weights travel in it.

    Raises:
        BundleError: the weights are missing or damaged, or the kind is unknown.
        MissingExtraError: the library is not installed.
    """
    if spec.kind not in ENCODERS:
        raise BundleError(
            f"encoder kind {spec.kind!r} is unknown (known: {', '.join(ENCODERS)});"
            " the bundle needs a newer planet-geoloc"
        )
    return ENCODERS[spec.kind](spec, folder)


def describe(name: str) -> EncoderSpec:
    """The spec of a named model, with the preprocessing its weights were trained with.

    Args:
        name: "open_clip:ARCHITECTURE/PRETRAINED" (for example open_clip:ViT-B-32/laion2b_s34b_b79k)
            or "open_clip:local-dir:FOLDER" (what `geoloc-train pretrain` writes);
            "open_clip_tokens:…" likewise, for the mean of all tokens instead of the projection;
            "hf_clip:OWNER/MODEL" or a folder, for CLIP in Hugging Face's layout;
            or "timm:MODEL.TAG" (for example timm:convnext_tiny.fb_in22k).

    Raises:
        BundleError: the name is not of this form or the model cannot be loaded.
        MissingExtraError: the library is not installed.
    """
    from geoloc.encoders.clip import describe_hub_clip
    from geoloc.encoders.torch import LOCAL, describe_open_clip, describe_timm

    kind, _, model_name = name.partition(":")
    if kind in ("open_clip", "open_clip_tokens") and model_name:
        if model_name.startswith(LOCAL):
            return describe_open_clip(kind, model_name, "")
        architecture, _, tag = model_name.partition("/")
        return describe_open_clip(kind, architecture, tag)
    if kind == "hf_clip" and model_name:
        return describe_hub_clip(model_name)
    if kind == "timm" and model_name:
        architecture, _, tag = model_name.partition(".")
        return describe_timm(architecture, tag)
    raise BundleError(
        f"encoder {name!r} is unknown: write open_clip:ARCHITECTURE/PRETRAINED, timm:MODEL.TAG,"
        " hf_clip:OWNER/MODEL, or the path of a bundle whose encoder to use"
    )
