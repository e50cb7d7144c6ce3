"""Registry of encoder kinds, and of published encoders with their licences."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.weight_files import LOCAL, check_unchanged, local_digest
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


def _several(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.several import SeveralEncoders

    return SeveralEncoders(spec, folder)


def _geoclip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.clip import GeoClipEncoder

    return GeoClipEncoder(spec, folder)


def _hf_clip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.encoders.clip import HubClipEncoder

    return HubClipEncoder(spec)


ENCODERS: dict[str, Callable[[EncoderSpec, Path | None], ImageEncoder]] = {
    "onnx": OnnxEncoder,
    "several": _several,
    "open_clip": _open_clip,
    "open_clip_tokens": _open_clip_tokens,
    "timm": _timm,
    "geoclip": _geoclip,
    "hf_clip": _hf_clip,
}
"""Constructors by kind; each takes the spec and the folder of the bundle."""


def build_encoder(spec: EncoderSpec, folder: Path | None = None) -> ImageEncoder:
    """Load the encoder that a spec describes.

    Args:
        spec: from a bundle, or from `describe`.
        folder: of the bundle, for encoders whose weights are stored in it.

    Raises:
        BundleError: the weights are missing, damaged or changed, or the kind is unknown.
        MissingExtraError: the library of the encoder is not installed.
    """
    if spec.kind not in ENCODERS:
        raise BundleError(
            f"encoder kind {spec.kind!r} is unknown (known: {', '.join(ENCODERS)});"
            " the bundle needs a newer planet-geoloc"
        )
    check_unchanged(spec)
    return ENCODERS[spec.kind](spec, folder)


def describe(name: str) -> EncoderSpec:
    """Return the spec of a named model, with the preprocessing of its training.

    Args:
        name: one of
            "open_clip:ARCHITECTURE/PRETRAINED", such as open_clip:ViT-B-32/laion2b_s34b_b79k;
            "open_clip:local-dir:FOLDER", a folder written by `geoloc-train pretrain`;
            "open_clip_tokens:…", the same with the mean of all tokens instead of the projection;
            "hf_clip:OWNER/MODEL" or "hf_clip:FOLDER", CLIP in Hugging Face's layout;
            "timm:MODEL.TAG", such as timm:convnext_tiny.fb_in22k.

    Raises:
        BundleError: the name has another form, or the model cannot be loaded.
        MissingExtraError: the library of the encoder is not installed.
    """
    from geoloc.encoders.clip import describe_hub_clip
    from geoloc.encoders.torch import describe_open_clip, describe_timm

    kind, model, tag = _parts(name)
    if kind == "hf_clip":
        return describe_hub_clip(model)
    return describe_timm(model, tag) if kind == "timm" else describe_open_clip(kind, model, tag)


def weights_digest(name: str) -> str:
    """Return what identifies the weights of a named model besides its name.

    That is the digest of weights on this machine, and "" for published weights.

    Raises:
        BundleError: the name has another form, names no weights, or a file cannot be read.
    """
    kind, model, tag = _parts(name)
    if not tag and kind != "hf_clip" and not model.startswith(LOCAL):
        raise BundleError(
            f"{name}: names no weights, so they would be random; add the tag of the weights, as in"
            " open_clip:ViT-B-32/laion2b_s34b_b79k or timm:convnext_tiny.fb_in22k"
        )
    return local_digest(kind, model, tag)


def _parts(name: str) -> tuple[str, str, str]:
    """Split a name for `describe` into kind, model and tag."""
    kind, _, model = name.partition(":")
    if kind in ("open_clip", "open_clip_tokens", "hf_clip", "timm") and model:
        separator = "." if kind == "timm" else "/"
        if kind == "hf_clip" or model.startswith(LOCAL):
            return kind, model, ""
        model, _, tag = model.partition(separator)
        return kind, model, tag
    raise BundleError(
        f"encoder {name!r} is unknown: write open_clip:ARCHITECTURE/PRETRAINED, timm:MODEL.TAG,"
        " hf_clip:OWNER/MODEL, or the path of a bundle whose encoder to use"
    )


@dataclass(frozen=True)
class PublishedEncoder:
    """One entry of `published.toml`."""

    encoder: str
    """Name for `describe`."""
    licence: str
    by: str
    """The publisher."""


@cache
def published_encoders() -> dict[str, PublishedEncoder]:
    """Return the published encoders by their short names."""
    text = Path(__file__).with_name("published.toml").read_text(encoding="utf-8")
    return {name: PublishedEncoder(**entry) for name, entry in tomllib.loads(text).items()}


def licence_notice(name: str) -> str | None:
    """Return the publisher and licence of a published encoder; None for any other name."""
    if (published := published_encoders().get(name)) is None:
        return None
    return f"{name}: {published.encoder}, by {published.by}; licence: {published.licence}"
