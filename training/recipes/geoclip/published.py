"""GeoCLIP as published: its weights out of its package, and its own way to answer.

Vivanco Cepeda, Nayak, Shah: GeoCLIP (NeurIPS 2023), MIT. The package is read, not imported: its
code needs transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv

from geocells.columns import numbers
from geoloc.belief.heads import softmax
from geoloc.bundle.directory import sha256
from geoloc.encoders.base import ImageEncoder
from geoloc.errors import BundleError
from geoloc.photos.decode import Source, load
from geoloc.types import Float32Array, Float64Array
from training.recipes.geoclip.location_encoder import LocationEncoder

PACKAGE = "geoclip==1.3.0"
LICENCE = "MIT"

_FILES = {
    "weights/image_encoder_mlp_weights.pth": (
        "5342c391eec961796d04d02f2bd670bfa97b34ce32c656d0e0676581103c2c14"
    ),
    "weights/location_encoder_weights.pth": (
        "94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394"
    ),
    "weights/logit_scale_weights.pth": (
        "9568e2e09dd19083082bf285b2c0c126867e40dbd275a8ee8c621888b861904e"
    ),
    "gps_gallery/coordinates_100K.csv": (
        "3a00b1ba58f13443db726533b6399b39609e292df09d4e58792fa5949d1838b1"
    ),
}
"""What is read, with its sha256."""


@dataclass(frozen=True, eq=False)
class Published:
    """What GeoCLIP's package holds beside code."""

    folder: Path

    @classmethod
    def find(cls) -> Published:
        """Its installed files, verified.

        Raises:
            BundleError: the package is not installed, or its files are not those we know.
        """
        package = find_spec("geoclip")
        if package is None or not package.submodule_search_locations:
            raise BundleError(
                "GeoCLIP's weights are missing: run  pip install --no-deps " + PACKAGE
            )
        folder = Path(package.submodule_search_locations[0]) / "model"
        for name, digest in _FILES.items():
            if not (folder / name).is_file() or sha256(folder / name) != digest:
                raise BundleError(
                    f"{folder / name}: missing or not that of {PACKAGE} (its checksum differs);"
                    f" run  pip install --no-deps --force-reinstall {PACKAGE}"
                )
        return cls(folder)

    def location_encoder(self) -> LocationEncoder:
        """From coordinates to the space of photos."""
        encoder = LocationEncoder()
        encoder.load_state_dict(self._tensors("location_encoder_weights"))
        return encoder.eval()

    def image_head(self) -> dict[str, Any]:
        """State of the two layers on CLIP's projection."""
        return dict(self._tensors("image_encoder_mlp_weights"))

    @cached_property
    def logit_scale(self) -> float:
        """What cosine similarities are multiplied with before the softmax."""
        return float(self._tensors("logit_scale_weights").exp())

    @cached_property
    def gallery(self) -> Float64Array:
        """(100,000, 2) degrees: coordinates of photos it was trained with."""
        table = csv.read_csv(self.folder / "gps_gallery" / "coordinates_100K.csv")
        return np.stack([numbers(table["LAT"]), numbers(table["LON"])], axis=1)

    def _tensors(self, name: str) -> Any:  # noqa: ANN401
        import torch

        path = self.folder / "weights" / f"{name}.pth"
        return torch.load(path, map_location="cpu", weights_only=True)


class GeoClip:
    """Answers as GeoCLIP does, a softmax over a gallery of points, encoding the gallery once."""

    def __init__(
        self,
        encoder: ImageEncoder,
        published: Published,
        gallery: Float64Array | None = None,
    ) -> None:
        """Use an image encoder of kind "geoclip", and GeoCLIP's own gallery or another (M, 2)."""
        self.encoder, self._scale = encoder, np.float32(published.logit_scale)
        points = published.gallery if gallery is None else gallery
        self.gallery = points.astype(np.float32)  # as it keeps them
        self._vectors = published.location_encoder().embed(self.gallery)

    def predict(self, source: Source, top_k: int) -> tuple[Float32Array, Float32Array]:
        """The most probable points of the gallery.

        Args:
            source: a photo.
            top_k: how many.

        Returns:
            (top_k, 2) degrees and (top_k,) probabilities, descending.

        Raises:
            PhotoError: the photo cannot be read.
        """
        pixels = self.encoder.spec.preprocessing(load(source).image)
        latlon, probability = self.rank(self.encoder.embed(pixels[None]), top_k)
        return latlon[0], probability[0]

    def rank(self, embeddings: Float32Array, top_k: int) -> tuple[Float32Array, Float32Array]:
        """As `predict`, for embeddings (N, 512): (N, top_k, 2) and (N, top_k)."""
        probability = softmax(self._scale * (embeddings @ self._vectors.T))
        some = np.argpartition(-probability, top_k - 1, axis=1)[:, :top_k]
        order = np.argsort(-np.take_along_axis(probability, some, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(some, order, axis=1)
        return self.gallery[best], np.take_along_axis(probability, best, axis=1)
