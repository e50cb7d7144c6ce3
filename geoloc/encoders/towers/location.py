"""GeoCLIP's location encoder in NumPy: coordinates to vectors in the space of photo embeddings.

Vivanco Cepeda et al., GeoCLIP (NeurIPS 2023): Equal Earth projection, then for each of some scales
random Fourier features and a small network; the outputs are summed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from geocells.sphere import check_latlon
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.io.tensors import Tensors
from geoloc.types import Float32Array

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796  # Šavrič et al. 2018
_UNIT = 66.50336
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

    def __call__(self, places: Float32Array) -> Float32Array:
        phase = np.float32(2.0 * math.pi) * places @ self.frequencies.T
        values = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
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


def equal_earth(latlon: Float32Array) -> Float32Array:
    """Return the Equal Earth projection (N, 2) of degrees (N, 2) float32, in GeoCLIP's units.

    The finest scale has 256 cycles a unit and turns the last bit of float32 into 1e-4 of a vector.
    So the order of operations is GeoCLIP's, and every function is rounded once, as torch does.
    """
    lat, lon = np.deg2rad(latlon).T
    root3 = math.sqrt(3.0)
    theta = _rounded(np.arcsin, np.float32(root3 / 2.0) * _rounded(np.sin, lat))
    square, cube = theta * theta, theta * theta * theta
    powers = {n: _rounded(lambda x, n=n: x**n, theta) for n in (6, 7, 8, 9)}
    slope = 9.0 * _A4 * powers[8] + 7.0 * _A3 * powers[6] + 3.0 * _A2 * square + _A1
    x = 2.0 * root3 * lon * _rounded(np.cos, theta) / (3.0 * slope)
    y = _A4 * powers[9] + _A3 * powers[7] + _A2 * cube + _A1 * theta
    places = np.stack([x, y], axis=1) * np.float32(_UNIT) / np.float32(180.0)
    return np.asarray(places, np.float32)


def _rounded(function: Callable[..., npt.NDArray[Any]], values: Float32Array) -> Float32Array:
    """Return a function of values, computed in float64 and rounded to float32."""
    return np.asarray(function(values.astype(np.float64)), np.float32)
