"""GeoCLIP's location encoder in NumPy: coordinates to vectors in the space of photo embeddings.

Vivanco Cepeda et al., GeoCLIP (NeurIPS 2023): Equal Earth projection, then for each of some scales
random Fourier features and a small network; the outputs are summed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geocells.sphere import check_latlon
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.io.tensors import Tensors
from geoloc.types import Float32Array, Float64Array

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796  # Šavrič et al. 2018
_UNIT = 66.50336
_ROOT3 = float(np.float32(math.sqrt(3.0)))  # so rounded in GeoCLIP's code, in float64 too
_ROWS_AT_ONCE = 4096

_FREQUENCIES = re.compile(r"(.*LocEnc\d+\.)capsule\.0\.b")


class PlaceEncoder(Protocol):
    """Maps coordinates into the space of the embeddings of photos taken there."""

    def embed(self, latlon: npt.ArrayLike) -> Float32Array:
        """Return unit vectors (N, D) of coordinates (N, 2) in degrees, latitude first."""
        ...


@dataclass(frozen=True, eq=False)
class _Scale:
    """Fourier frequencies and network of one scale."""

    frequencies: Float32Array
    """(F, 2)"""
    layers: tuple[tuple[Float32Array, Float32Array], ...]
    """Weights (out, in) and biases (out,); a ReLU follows every layer but the last."""

    def __call__(self, places: Float64Array) -> Float32Array:
        phase = 2.0 * math.pi * places @ self.frequencies.T.astype(np.float64)
        values = np.concatenate([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
        for number, (weight, bias) in enumerate(self.layers, start=1):
            values = values @ weight.T + bias
            if number < len(self.layers):
                np.maximum(values, 0.0, out=values)
        return values


class LocationEncoder:
    """Network from coordinates to unit vectors."""

    def __init__(self, scales: tuple[_Scale, ...]) -> None:
        """Combine the scales; `of` reads them."""
        self._scales = scales

    @classmethod
    def of(cls, tensors: Tensors, name: str) -> LocationEncoder:
        """Return the encoder in published tensors, whatever precedes their names.

        Number and sizes of the scales are those of the tensors.

        Args:
            tensors: of a file.
            name: of the file, for messages.

        Raises:
            BundleError: they hold no such encoder.
        """
        prefixes = [found[1] for key in tensors if (found := _FREQUENCIES.fullmatch(key))]
        try:
            scales = tuple(_scale(tensors, prefix) for prefix in sorted(prefixes))
        except (KeyError, ValueError) as error:
            raise BundleError(
                f"{name}: its location encoder is of another version ({error}); update"
                " planet-geoloc"
            ) from error
        if not scales:
            raise BundleError(f"{name}: holds no location encoder of GeoCLIP; fetch it again")
        return cls(scales)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return len(self._scales[0].layers[-1][1])

    def embed(self, latlon: npt.ArrayLike) -> Float32Array:
        """Return unit vectors (N, dim) of coordinates (N, 2) in degrees, latitude first.

        Raises:
            ValueError: a coordinate is not finite or out of range.
        """
        degrees = check_latlon(latlon)
        vectors = np.empty((len(degrees), self.dim), np.float32)
        for start in range(0, len(degrees), _ROWS_AT_ONCE):
            places = equal_earth(degrees[start : start + _ROWS_AT_ONCE].astype(np.float32))
            total = np.zeros((len(places), self.dim), np.float32)
            for scale in self._scales:
                total += scale(places)
            vectors[start : start + _ROWS_AT_ONCE] = normalise(total)
        return vectors


class OnnxLocationEncoder:
    """A location encoder that was published as an ONNX network."""

    def __init__(self, path: Path) -> None:
        """Load the network; raises as `geoloc.encoders.onnx.load_network`."""
        from geoloc.encoders.onnx import load_network

        self._network = load_network(path)

    def embed(self, latlon: npt.ArrayLike) -> Float32Array:
        """See `LocationEncoder.embed`."""
        degrees = check_latlon(latlon).astype(np.float32)
        parts = [degrees[at : at + _ROWS_AT_ONCE] for at in range(0, len(degrees), _ROWS_AT_ONCE)]
        return normalise(np.concatenate([self._network(part) for part in parts]))


def _scale(tensors: Tensors, prefix: str) -> _Scale:
    """Return one scale; raises KeyError or ValueError if it is not complete."""
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if prefix in key}
    numbers = sorted(
        int(found[1]) for key in own if (found := re.fullmatch(r"capsule\.(\d+)\.weight", key))
    )
    names = [*(f"capsule.{number}" for number in numbers), "head.0"]
    layers = [
        tuple(np.asarray(own[f"{name}.{part}"], np.float32) for part in ("weight", "bias"))
        for name in names
    ]
    frequencies = np.asarray(own["capsule.0.b"], np.float32)
    width = 2 * len(frequencies)
    for weight, bias in layers:
        if weight.shape != (len(bias), width):
            raise ValueError(f"{prefix}: shape {weight.shape} after {width} values")
        width = len(bias)
    return _Scale(frequencies, tuple(layers))  # type: ignore[arg-type]


def equal_earth(latlon: Float32Array) -> Float64Array:
    """Return the Equal Earth projection (N, 2) of degrees (N, 2) float32, in GeoCLIP's units.

    The finest scale has 256 cycles a unit and turns the last bit of float32 into 1e-5 of a vector.
    So projection and sines are computed in float64. GeoCLIP's code computes them in float32 and
    differs by that much from what it computes in float64 itself.
    """
    lat, lon = np.deg2rad(latlon.astype(np.float64)).T
    theta = np.arcsin(_ROOT3 / 2.0 * np.sin(lat))
    slope = 9.0 * _A4 * theta**8 + 7.0 * _A3 * theta**6 + 3.0 * _A2 * theta**2 + _A1
    x = 2.0 * _ROOT3 * lon * np.cos(theta) / (3.0 * slope)
    y = _A4 * theta**9 + _A3 * theta**7 + _A2 * theta**3 + _A1 * theta
    return np.stack([x, y], axis=1) * _UNIT / 180.0
