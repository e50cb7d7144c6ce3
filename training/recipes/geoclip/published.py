"""GeoCLIP as published: the weights in its package, and its prediction by gallery softmax.

Vivanco Cepeda, Nayak, Shah: GeoCLIP (NeurIPS 2023), MIT. The files of the package are read, and its
code is not imported, because it needs transformers.
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
from geoloc.bundle.installed import GEOCLIP_PACKAGE
from geoloc.encoders.base import ImageEncoder
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from geoloc.photos.decode import PhotoSource, load
from geoloc.types import Float32Array, Float64Array
from training.recipes.geoclip.location_encoder import LocationEncoder

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
"""The files that are used, with their sha256."""


@dataclass(frozen=True, eq=False)
class Published:
    """The weights and the gallery in GeoCLIP's package."""

    folder: Path

    @classmethod
    def find(cls) -> Published:
        """Find the installed package and verify its files.

        Raises:
            BundleError: the package is not installed, or a file has another checksum.
        """
        package = find_spec("geoclip")
        if package is None or not package.submodule_search_locations:
            raise BundleError(
                "GeoCLIP's weights are not installed; run  pip install --no-deps " + GEOCLIP_PACKAGE
            )
        folder = Path(package.submodule_search_locations[0]) / "model"
        for name, digest in _FILES.items():
            if not (folder / name).is_file() or sha256(folder / name) != digest:
                raise BundleError(
                    f"{folder / name}: missing, or not the file of {GEOCLIP_PACKAGE} (checksum);"
                    f" run  pip install --no-deps --force-reinstall {GEOCLIP_PACKAGE}"
                )
        return cls(folder)

    def location_encoder(self) -> LocationEncoder:
        """Return the location encoder with its weights."""
        encoder = LocationEncoder()
        encoder.load_state_dict(self._tensors("location_encoder_weights"))
        return encoder.eval()

    @property
    def image_head_file(self) -> Path:
        """File of the two layers that follow CLIP's projection."""
        return self.folder / "weights" / "image_encoder_mlp_weights.pth"

    def image_head(self) -> dict[str, Any]:
        """Return the state of the two layers that follow CLIP's projection."""
        return dict(self._tensors("image_encoder_mlp_weights"))

    @cached_property
    def logit_scale(self) -> float:
        """Factor of the cosine similarities before the softmax."""
        return float(self._tensors("logit_scale_weights").exp())

    @cached_property
    def gallery(self) -> Float64Array:
        """(100,000, 2) degrees: coordinates of training photos."""
        table = csv.read_csv(self.folder / "gps_gallery" / "coordinates_100K.csv")
        return np.stack([numbers(table["LAT"]), numbers(table["LON"])], axis=1)

    def _tensors(self, name: str) -> Any:  # noqa: ANN401
        import torch

        path = self.folder / "weights" / f"{name}.pth"
        return torch.load(path, map_location="cpu", weights_only=True)


class GeoClip:
    """GeoCLIP's prediction, a softmax over a gallery of points that is encoded once."""

    def __init__(
        self,
        encoder: ImageEncoder,
        published: Published,
        gallery: Float64Array | None = None,
    ) -> None:
        """Encode GeoCLIP's own gallery, or another one of (M, 2) degrees."""
        self.encoder, self._scale = encoder, np.float32(published.logit_scale)
        points = published.gallery if gallery is None else gallery
        self.gallery = points.astype(np.float32)  # GeoCLIP stores float32
        self._vectors = published.location_encoder().embed(self.gallery)

    def predict(self, source: PhotoSource, top_k: int) -> tuple[Float32Array, Float32Array]:
        """Return the most probable points of the gallery.

        Args:
            source: a photo.
            top_k: number of points.

        Returns:
            (top_k, 2) degrees and (top_k,) probabilities, in descending order.

        Raises:
            PhotoError: the photo cannot be read.
        """
        pixels = self.encoder.spec.preprocessing(load(source).image)
        latlon, probability = self.rank(self.encoder.embed(pixels[None]), top_k)
        return latlon[0], probability[0]

    def rank(self, embeddings: Float32Array, top_k: int) -> tuple[Float32Array, Float32Array]:
        """Rank the gallery for embeddings (N, 512); return (N, top_k, 2) and (N, top_k)."""
        probability = softmax(self._scale * (embeddings @ self._vectors.T))
        candidates = np.argpartition(-probability, top_k - 1, axis=1)[:, :top_k]
        order = np.argsort(
            -np.take_along_axis(probability, candidates, axis=1), axis=1, kind="stable"
        )
        best = np.take_along_axis(candidates, order, axis=1)
        return self.gallery[best], np.take_along_axis(probability, best, axis=1)
