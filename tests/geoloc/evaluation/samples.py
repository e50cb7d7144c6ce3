"""Random benchmarks and answers for tests."""

import numpy as np

from geocells.sphere import destination
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions


def drawn_benchmark(latlon, *, precision_km=None, author=None, group=None) -> Benchmark:
    count = len(latlon)
    nothing = np.full(count, "", dtype=object)
    return Benchmark(
        title="drawn",
        photo_id=np.array([f"p{i}.jpg" for i in range(count)], dtype=object),
        file=nothing,
        latlon=np.asarray(latlon, float),
        precision_km=np.zeros(count) if precision_km is None else np.asarray(precision_km, float),
        author=nothing if author is None else np.array(author, dtype=object),
        group=nothing if group is None else np.array(group, dtype=object),
        sha256="0" * 64,
    )


def drawn_answers(latlon, distance_km, rng, *, refused=0, name="drawn") -> Predictions:
    """Return answers at given distances in random directions; the first ones are refused."""
    answers = Predictions.none(name, len(latlon))
    answers.latlon[:] = destination(latlon, rng.uniform(0, 360, len(latlon)), distance_km)
    answers.latlon[:refused] = np.nan
    return answers


def towns(count, rng):
    """Return (N, 2) random places near five towns, most of them on land."""
    centres = np.array([(48.8, 2.3), (40.4, -3.7), (-33.9, 151.2), (35.7, 139.7), (39.0, -95.0)])
    return centres[rng.integers(len(centres), size=count)] + rng.normal(0, 1, (count, 2))
