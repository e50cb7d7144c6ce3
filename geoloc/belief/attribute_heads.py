"""What a photo tells of its place beside where it is: height, people, climate, month."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from geoloc.belief.heads import softmax
from geoloc.errors import BundleError
from geoloc.types import Float32Array


@dataclass(frozen=True)
class Number:
    """A quantity that is regressed: log(value + shift), or the value itself."""

    name: str
    scale: Literal["log", "linear"]
    shift: float = 0.0

    def forward(self, values: npt.NDArray[np.floating]) -> Float32Array:
        """What is regressed; NaN where the value is missing or below -shift."""
        if self.scale == "linear":
            return np.asarray(values, np.float32)
        above = np.where(values + self.shift > 0.0, values + self.shift, np.nan)
        return np.log(above, dtype=np.float32)

    def inverse(self, values: Float32Array) -> Float32Array:
        """The quantity, from what was regressed."""
        if self.scale == "linear":
            return values
        return np.asarray(np.exp(values) - self.shift, np.float32)


NUMBERS = (
    Number("elevation_m", "log", 408.0),
    Number("population_per_km2", "log", 1.0),
    Number("temperature_c", "linear"),
    Number("temperature_range_c", "log", 1.0),
    Number("rain_mm", "log", 1.0),
    Number("rain_range_mm", "log", 1.0),
)
"""In the order of PIGEON's regression head (section 4.2); 408 lifts the lowest shore to 0."""


@dataclass(frozen=True, eq=False)
class AttributeHeads:
    """Linear heads on the K retrieval features, in numpy; `training.heads.fit` makes them."""

    mean: Float32Array
    """(len(NUMBERS),) of the training photos, on the regressed scales."""
    deviation: Float32Array
    """(len(NUMBERS),)"""
    number_weight: Float32Array
    """(K, len(NUMBERS)), of standardised values."""
    number_bias: Float32Array
    climate_weight: Float32Array
    """(K, number of Köppen classes), in the order of `geocells.attributes.KOPPEN_CLASSES`."""
    climate_bias: Float32Array
    month_weight: Float32Array
    """(K, 12)"""
    month_bias: Float32Array

    def numbers(self, features: Float32Array) -> dict[str, Float32Array]:
        """Quantities (N,) by name, in the units their names say, from features (N, K)."""
        standard = features @ self.number_weight + self.number_bias
        columns = (standard * self.deviation + self.mean).T
        return {
            number.name: number.inverse(column)
            for number, column in zip(NUMBERS, columns, strict=True)
        }

    def climate(self, features: Float32Array) -> Float32Array:
        """Belief over the Köppen classes, (N, K) -> (N, number of classes)."""
        return softmax(features @ self.climate_weight + self.climate_bias)

    def month(self, features: Float32Array) -> Float32Array:
        """Belief over January to December, (N, K) -> (N, 12)."""
        return softmax(features @ self.month_weight + self.month_bias)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors."""
        from safetensors.numpy import save

        tensors = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}
        Path(path).write_bytes(save(tensors))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> AttributeHeads:
        """Read what `write` wrote.

        Raises:
            BundleError: the file is missing, damaged or of another shape.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(Path(path))
            return cls(**{field.name: tensors[field.name] for field in fields(cls)})
        except (OSError, KeyError, SafetensorError) as error:
            raise BundleError(
                f"{path}: no readable attribute heads ({error}); fetch or make the bundle again"
            ) from error
