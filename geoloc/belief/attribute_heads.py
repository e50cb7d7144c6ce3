"""`AttributeHeads`: elevation, population, weather, climate class and month of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from geoloc.belief.heads import StoredTensors, softmax
from geoloc.types import Float32Array


@dataclass(frozen=True)
class Number:
    """A regressed quantity, on a linear or logarithmic scale: value, or log(value + shift)."""

    name: str
    scale: Literal["log", "linear"]
    shift: float = 0.0

    def forward(self, values: npt.NDArray[np.floating]) -> Float32Array:
        """Return values on the regressed scale; NaN where a value is missing or below -shift."""
        if self.scale == "linear":
            return np.asarray(values, np.float32)
        above = np.where(values + self.shift > 0.0, values + self.shift, np.nan)
        return np.log(above, dtype=np.float32)

    def inverse(self, values: Float32Array) -> Float32Array:
        """Return the quantity from values on the regressed scale."""
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
"""In the order of PIGEON's regression head (section 4.2); 408 m puts the
lowest shore at 0."""


@dataclass(frozen=True, eq=False)
class AttributeHeads(StoredTensors):
    """Linear heads on the K retrieval features, in numpy; `training.heads.fit` fits them."""

    mean: Float32Array
    """(len(NUMBERS),) mean of the training photos, on the regressed scales."""
    deviation: Float32Array
    """(len(NUMBERS),) standard deviation of the training photos."""
    number_weight: Float32Array
    """(K, len(NUMBERS)) for standardised values."""
    number_bias: Float32Array
    climate_weight: Float32Array
    """(K, number of Köppen classes), in the order of `geocells.attributes.KOPPEN_CLASSES`."""
    climate_bias: Float32Array
    month_weight: Float32Array
    """(K, 12)"""
    month_bias: Float32Array

    def numbers(self, features: Float32Array) -> dict[str, Float32Array]:
        """Return quantities (N,) by name, in the unit at its end, from features (N, K)."""
        standard = features @ self.number_weight + self.number_bias
        columns = (standard * self.deviation + self.mean).T
        return {
            number.name: number.inverse(column)
            for number, column in zip(NUMBERS, columns, strict=True)
        }

    def climate(self, features: Float32Array) -> Float32Array:
        """Return probabilities of the Köppen classes, (N, K) -> (N, number of classes)."""
        return softmax(features @ self.climate_weight + self.climate_bias)

    def month(self, features: Float32Array) -> Float32Array:
        """Return probabilities of January to December, (N, K) -> (N, 12)."""
        return softmax(features @ self.month_weight + self.month_bias)
