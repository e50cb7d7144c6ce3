"""GeoCLIP as published: the weights in its package, and its prediction by gallery softmax.

Vivanco Cepeda, Nayak, Shah: GeoCLIP (NeurIPS 2023), MIT. The files are read from the installed
package or from its wheel, without torch. Its code is not imported, because it needs transformers.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import numbers
from geoloc.belief.heads import softmax
from geoloc.bundle.installed import GEOCLIP_PACKAGE
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.towers.location import LocationEncoder
from geoloc.errors import BundleError
from geoloc.io.tensors import Tensors, read_checkpoint
from geoloc.photos.decode import PhotoSource, load
from geoloc.types import Float32Array, Float64Array

LICENCE = "MIT"

IMAGE_HEAD = "weights/image_encoder_mlp_weights.pth"
_LOCATION = "weights/location_encoder_weights.pth"
_SCALE = "weights/logit_scale_weights.pth"
_GALLERY = "gps_gallery/coordinates_100K.csv"

_FILES = {
    IMAGE_HEAD: "5342c391eec961796d04d02f2bd670bfa97b34ce32c656d0e0676581103c2c14",
    _LOCATION: "94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394",
    _SCALE: "9568e2e09dd19083082bf285b2c0c126867e40dbd275a8ee8c621888b861904e",
    _GALLERY: "3a00b1ba58f13443db726533b6399b39609e292df09d4e58792fa5949d1838b1",
}
"""The files that are used, with their sha256."""


@dataclass(frozen=True, eq=False)
class Published:
    """The weights and the gallery in GeoCLIP's package."""

    read: Callable[[str], bytes]
    """Returns the content of a file in the package's folder `model`."""

    @classmethod
    def find(cls, wheel: Path | None = None) -> Published:
        """Find the files in a wheel, or else in the installed package, and verify them.

        Raises:
            BundleError: the package is not there, or a file has another checksum.
        """
        source = _installed() if wheel is None else _in_wheel(wheel)
        for name, digest in _FILES.items():
            try:
                found = hashlib.sha256(source(name)).hexdigest()
            except (OSError, KeyError, zipfile.BadZipFile):
                found = ""
            if found != digest:
                where = wheel or f"the package {GEOCLIP_PACKAGE}"
                raise BundleError(
                    f"{where}: {name} is missing, or not the published file (checksum); run  pip"
                    f" install --no-deps --force-reinstall {GEOCLIP_PACKAGE}"
                )
        return cls(source)

    def location_encoder(self) -> LocationEncoder:
        """Return the location encoder with its weights."""
        return LocationEncoder.of(self._tensors(_LOCATION), _LOCATION)

    def image_head(self) -> Tensors:
        """Return the tensors of the two layers that follow CLIP's projection."""
        return self._tensors(IMAGE_HEAD)

    @cached_property
    def logit_scale(self) -> float:
        """Factor of the cosine similarities before the softmax."""
        return float(np.exp(self._tensors(_SCALE)[""]))

    @cached_property
    def gallery(self) -> Float64Array:
        """(100,000, 2) degrees: coordinates of training photos."""
        return read_gallery(self.read(_GALLERY))

    def _tensors(self, name: str) -> Tensors:
        return read_checkpoint(self.read(name), name)


def read_gallery(content: bytes) -> Float64Array:
    """Return the coordinates (M, 2) in degrees of GeoCLIP's gallery, a CSV with LAT and LON."""
    table = csv.read_csv(pa.BufferReader(content))
    return np.stack([numbers(table["LAT"]), numbers(table["LON"])], axis=1)


def _installed() -> Callable[[str], bytes]:
    """Return the reader of the installed package."""
    package = find_spec("geoclip")
    if package is None or not package.submodule_search_locations:
        raise BundleError(
            "GeoCLIP's weights are not installed; run  pip install --no-deps " + GEOCLIP_PACKAGE
        )
    folder = Path(package.submodule_search_locations[0]) / "model"
    return lambda name: (folder / name).read_bytes()


def _in_wheel(wheel: Path) -> Callable[[str], bytes]:
    """Return the reader of a wheel, which is a zip."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(wheel.read_bytes()))
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{wheel}: not a readable wheel ({error}); run  pip download --no-deps"
            f" {GEOCLIP_PACKAGE}"
        ) from error
    return lambda name: archive.read(f"geoclip/model/{name}")


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
