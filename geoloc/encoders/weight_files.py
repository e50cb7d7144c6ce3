"""Weight files on this machine: found by the name of their encoder, identified by their content."""

from __future__ import annotations

from pathlib import Path

from geoloc.encoders.base import EncoderSpec
from geoloc.errors import BundleError
from geoloc.io.digests import content_digest

LOCAL = "local-dir:"
"""open_clip's prefix for a model in a local folder."""

_PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*config.json")
"""Weights, architecture and preprocessing in a model's folder."""


def local_digest(kind: str, model: str, weights: str) -> str:
    """Return the digest of an encoder's files on this machine; "" if it names published weights.

    Local are a folder, a checkpoint file, and a model of the Hugging Face Hub once downloaded.

    Args:
        kind: as in `EncoderSpec`.
        model: as in `EncoderSpec`.
        weights: as in `EncoderSpec`.

    Raises:
        BundleError: a file cannot be read.
    """
    place = _place(kind, model, weights)
    if place is None:
        return ""
    files = [place] if place.is_file() else [f for p in _PATTERNS for f in place.glob(p)]
    try:
        return content_digest(files)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(
            f"{error.filename or place}: the weights cannot be read ({reason}); check the file"
        ) from error


def check_unchanged(spec: EncoderSpec) -> None:
    """Raise BundleError if the local weights that a spec describes are no longer the same."""
    if not spec.digest or spec.kind == "geoclip":  # GeoCLIP's are in the bundle, which is verified
        return
    if local_digest(spec.kind, spec.model, spec.weights) != spec.digest:
        raise BundleError(
            f"{spec.model.removeprefix(LOCAL)}: the weights are not those that were described; run"
            " the command again"
        )


def _place(kind: str, model: str, weights: str) -> Path | None:
    """Return the folder or file of an encoder's weights, None if it is not on this machine."""
    if model.startswith(LOCAL):
        return Path(model.removeprefix(LOCAL))
    if kind == "hf_clip":
        return Path(model) if Path(model).is_dir() else _downloaded(model)
    return Path(weights) if weights and Path(weights).is_file() else None


def _downloaded(model: str) -> Path | None:
    """Return the folder of a model of the Hugging Face Hub, if it was downloaded before."""
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(model, local_files_only=True))
    except Exception:  # not installed, no such name, not downloaded: the Hub's errors differ
        return None
