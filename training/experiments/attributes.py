"""Ablation: does the climate, height or population that a photo suggests add to its belief?

Linear models predict the attributes of a place from the retrieval features of the classifier. Their
likelihood over the cells multiplies the belief, with an exponent. Driving side follows from the
belief itself, so that it cannot add to it, and the photos have no dates for month and hemisphere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.attributes import climatology, elevation_m, population_per_km2
from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from geoloc.belief.fusion import update
from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.metrics import same_country
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.heldout import HeldOut
from training.calibrate.scoring import labels_near

GROUPS = {
    "climate": ("temperature_c", "coldest_month_c", "warmest_month_c", "rain_mm"),
    "height": ("elevation_m",),
    "people": ("population_per_km2",),
}
"""Attributes that are added together."""

EXPONENTS = (0.0, 0.1, 0.25, 0.5, 1.0)

_RIDGE = 30.0


@dataclass(frozen=True, eq=False)
class LinearAttributes:
    """A ridge regression of standardised attributes on features, with its residual error."""

    weights: Float64Array
    """(K + 1, A)"""
    mean: Float64Array
    deviation: Float64Array
    """(A,) of the training photos."""
    error: Float64Array
    """(A,) standard deviation of the residuals, in deviations."""

    @classmethod
    def fit(cls, features: Float32Array, values: Float64Array) -> LinearAttributes:
        """Fit N training photos: features (N, K) and attributes (N, A)."""
        mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
        inputs = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
        target = (values - mean) / deviation
        gram = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
        weights = np.linalg.solve(gram, inputs.T @ target)
        return cls(weights, mean, deviation, (target - inputs @ weights).std(axis=0))

    def log_likelihood(
        self, features: Float32Array, cells: Float64Array, error: Float64Array
    ) -> Float64Array:
        """Return log p(attributes of a cell | photo) / p(attributes), (N, C).

        Args:
            features: (N, K).
            cells: (C, A) attributes of the cells.
            error: (A,) standard deviation of predictions for new collections, in deviations.
        """
        inputs = np.column_stack([features, np.ones(len(features))])
        predicted = inputs @ self.weights
        standard = np.clip((cells - self.mean) / self.deviation, -4.0, 4.0)
        total = np.zeros((len(features), len(cells)))
        for a in range(len(self.mean)):
            z = (predicted[:, a, None] - standard[:, a]) / error[a]
            total += -0.5 * z**2 + 0.5 * standard[:, a] ** 2
        return total


def attributes_at(latlon: Float64Array, group: str) -> Float64Array:
    """Return the attributes (N, A) of a group at coordinates (N, 2), rain and people as logs."""
    climate = climatology(latlon)
    climate["rain_mm"] = np.log1p(climate["rain_mm"])
    values = {
        **climate,
        "elevation_m": np.log(np.maximum(elevation_m(latlon), -400.0) + 408.0),
        "population_per_km2": np.log1p(population_per_km2(latlon)),
    }
    return np.column_stack([values[name] for name in GROUPS[group]])


def ablate(
    held_out: HeldOut, training: list[tuple[Float32Array, Float64Array]], group: str
) -> list[dict[str, float]]:
    """Measure the belief with a group of attributes, for each exponent.

    Args:
        held_out: photos of collections that their rankers never saw.
        training: embeddings and coordinates that each ranker was trained on.
        group: one of GROUPS.

    Returns:
        For each of EXPONENTS: the mean log of the belief near the truth in nats, and the shares of
        photos whose most probable cell is in the right country, and within 200 km.
    """
    cells = held_out.rankers[0].cells
    points = CellSamples(cells).points
    flat = attributes_at(points.reshape(-1, 2), group)
    of_cells = np.nanmean(flat.reshape(*points.shape[:2], -1), axis=1)
    log_near = np.zeros((len(EXPONENTS), len(held_out)))
    right, close = (np.zeros(log_near.shape, bool) for _ in range(2))
    for number, (ranker, rows) in _batches(held_out):
        embeddings, latlon = training[number]
        model = LinearAttributes.fit(
            ranker.heads.features(embeddings), attributes_at(latlon, group)
        )
        sources = ranker.sources(held_out.embeddings[rows], None, held_out.left_out(ranker, rows))
        belief, near = ranker.believe(sources), labels_near(held_out.latlon[rows], ranker)
        # predictions for photos of new collections err by as much as the attribute varies
        evidence = model.log_likelihood(sources.features, of_cells, np.maximum(model.error, 0.7))
        for i, exponent in enumerate(EXPONENTS):
            after = update(belief, exponent * evidence)
            log_near[i, rows] = np.log((after * near).sum(axis=1) + 1e-9)
            best = cells.centroids[after.argmax(axis=1)]
            right[i, rows] = same_country(best, held_out.latlon[rows])
            close[i, rows] = haversine_km(best, held_out.latlon[rows]) <= 200.0
    w = held_out.weights
    return [
        {
            "exponent": exponent,
            "log_belief": float(np.average(log_near[i], weights=w)),
            "country": float(np.average(right[i], weights=w)),
            "within_200_km": float(np.average(close[i], weights=w)),
        }
        for i, exponent in enumerate(EXPONENTS)
    ]


def _batches(held_out: HeldOut) -> list[tuple[int, tuple[Ranker, IndexArray]]]:
    numbers = {id(ranker): number for number, ranker in enumerate(held_out.rankers)}
    return [(numbers[id(ranker)], (ranker, rows)) for ranker, rows in held_out.batches()]
