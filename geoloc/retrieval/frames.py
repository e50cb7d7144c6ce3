"""`Frames`: recognise a photo as a frame of the scene that a gallery photo shows.

The next frame of a walk is no copy: the camera has moved. It is recognised by how far the most
similar gallery photo stands out from those of other places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geocells.sphere import haversine_km
from geoloc.types import BoolArray, Float32Array, Float64Array

ELSEWHERE_KM = 25.0
"""Gallery photos farther away than this from the most similar one show another place."""


@dataclass(frozen=True)
class Frames:
    """Fitted by `training.calibrate.recognition.frames` on photos of walks."""

    weights: tuple[float, ...]
    """Logistic regression of "taken within ELSEWHERE_KM" on `describe_frames`."""
    threshold: float
    """Smallest probability of a frame."""
    chance: float
    """Share of held-out frames that were taken within ELSEWHERE_KM, a lower confidence limit."""
    radii_km: tuple[float, float, float]
    """Distances that held the place of 50, 80 and 95 % of held-out frames."""

    def recognise(
        self, similarity: Float32Array, correlation: Float32Array, latlon: Float64Array
    ) -> BoolArray:
        """Return (N,) whether photos are frames of the scenes of their most similar members.

        Args:
            similarity: as for `describe_frames`.
            correlation: as for `describe_frames`.
            latlon: as for `describe_frames`.
        """
        described = describe_frames(similarity, correlation, latlon)
        probability = 1.0 / (1.0 + np.exp(-described @ np.asarray(self.weights)))
        return np.asarray(probability >= self.threshold)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Frames:
        """Return the frames of a dict made by `dataclasses.asdict`."""
        first, second, third = map(float, values["radii_km"])
        weights = tuple(map(float, values["weights"]))
        threshold, chance = float(values["threshold"]), float(values["chance"])
        return cls(weights, threshold, chance, (first, second, third))


def describe_frames(
    similarity: Float32Array, correlation: Float32Array, latlon: Float64Array
) -> Float64Array:
    """Return what the probability of a frame depends on.

    Args:
        similarity: (N, P) of features of photos and their most similar members, descending.
        correlation: (N,) of signatures of the photos and the first of these members.
        latlon: (N, P, 2) degrees, of the members.

    Returns:
        (N, 6) of order 1: a constant; the first similarity; what it exceeds the first one from
        elsewhere by, and the last one; the correlation, and its square where it is positive.
    """
    first, last = similarity[:, 0], similarity[:, -1]
    away = haversine_km(latlon[:, :1], latlon) > ELSEWHERE_KM
    elsewhere = np.maximum(np.where(away, similarity, -1.0).max(axis=1), last)
    return np.column_stack(
        [
            np.ones(len(first)),
            5.0 * first,
            5.0 * (first - elsewhere),
            5.0 * (first - last),
            5.0 * correlation,
            25.0 * np.maximum(correlation, 0.0) ** 2,
        ]
    )
