"""A bundle answers the photos of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import shapely

from geocells.sphere import EARTH_RADIUS_KM
from geoloc.answer.ranker import Ranking
from geoloc.belief.fusion import mass_before
from geoloc.bundle.directory import Bundle
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.geolocator import Geolocator, single_threaded_blas
from geoloc.types import Float64Array, GeometryArray, IndexArray


def answer(
    bundle: Bundle, benchmark: Benchmark, progress: Callable[[int], None] = lambda done: None
) -> Predictions:
    """Answer every photo, as `Geolocator.locate_many` does.

    A photo that cannot be read is refused, and named in `problems`.

    Args:
        bundle: the model.
        benchmark: N photos, each with a file.
        progress: called with the number of photos that were answered since the last call.
    """
    geolocator = Geolocator(bundle)
    answers = Predictions.none(bundle.name, len(benchmark))
    judge = _Judge(bundle)
    problems: list[str] = []
    done = 0
    start = time.perf_counter()
    for encoded in geolocator.encode(benchmark.file):
        problems += map(str, encoded.errors)
        rows = done + encoded.index
        if len(rows):
            ranking = geolocator.rank(encoded.embeddings)
            with single_threaded_blas():
                judge.write(answers, rows, ranking, benchmark.latlon[rows])
        done += len(encoded.results)
        progress(len(encoded.results))
    answers.latency_s[:] = (time.perf_counter() - start) / max(done, 1)
    return replace(answers, problems=tuple(problems))


class _Judge:
    """Writes down answers of a bundle with what its belief says of the truth."""

    def __init__(self, bundle: Bundle) -> None:
        self._cells = bundle.cells
        self._limits = np.array(list(bundle.ranker.calibration.region.values()))
        self._area = areas_km2(bundle.cells.polygon)

    def write(
        self,
        answers: Predictions,
        rows: IndexArray,
        ranking: Ranking,
        truth: Float64Array,
    ) -> None:
        answers.latlon[rows] = ranking.latlon[:, 0]
        answers.radii_km[rows] = ranking.radii_km
        answers.chance[rows] = ranking.localisability
        answers.similarity[rows] = ranking.similarity[:, 0]
        belief = ranking.belief
        cell = self._cells.locate(truth).astype(np.int64)
        before = mass_before(belief, cell)
        answers.region_holds[rows] = before[:, None] <= self._limits
        own = np.take_along_axis(belief, cell[:, None], axis=1)
        answers.needed_km2[rows] = (belief >= own) @ self._area
        order = np.argsort(-belief, axis=1, kind="stable")
        ranked = np.take_along_axis(belief, order, axis=1)
        mass = np.cumsum(ranked, axis=1) - ranked
        area = self._area[order]
        for column, limit in enumerate(self._limits):
            inside = (mass <= limit) & (ranked > 0.0)
            answers.region_km2[rows, column] = (area * inside).sum(axis=1)


def areas_km2(polygons: GeometryArray) -> Float64Array:
    """Areas (N,) on the sphere of polygons in lon/lat, by Lambert's cylinder, which keeps them."""

    def flat(lonlat: Float64Array) -> Float64Array:
        rad = np.radians(lonlat)
        return np.column_stack([rad[:, 0], np.sin(rad[:, 1])]) * EARTH_RADIUS_KM

    return np.asarray(shapely.area(shapely.transform(polygons, flat)), np.float64)
