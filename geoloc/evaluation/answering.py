"""Answers of a bundle to the photos of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from geocells.polygons import area_km2
from geoloc.answer.ranking import Ranking, single_threaded_blas
from geoloc.belief.fusion import mass_before
from geoloc.bundle.directory import Bundle
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.geolocator import Geolocator
from geoloc.types import Float64Array, IndexArray


def answer(
    bundle: Bundle, benchmark: Benchmark, progress: Callable[[int], None] = lambda done: None
) -> Predictions:
    """Return the answers of a bundle, the same as those of `Geolocator.locate_many`.

    A photo that cannot be read counts as refused and is named in `problems`.

    Args:
        bundle: the model.
        benchmark: N photos, each with a file.
        progress: called with the number of photos that were answered since the last call.
    """
    geolocator = Geolocator(bundle)
    answers = Predictions.none(bundle.name, len(benchmark))
    writer = _AnswerWriter(bundle)
    problems: list[str] = []
    done = 0
    start = time.perf_counter()
    for encoded in geolocator.encode(benchmark.file):
        problems += map(str, encoded.errors)
        rows = done + encoded.index
        if len(rows):
            ranking = geolocator.rank(encoded.embeddings, photos=encoded.photos)
            with single_threaded_blas():
                writer.write(answers, rows, ranking, benchmark.latlon[rows])
        done += len(encoded.results)
        progress(len(encoded.results))
    answers.latency_s[:] = (time.perf_counter() - start) / max(done, 1)
    return replace(answers, problems=tuple(problems))


class _AnswerWriter:
    """Writes rankings into predictions, with the size of the regions that contain the truth."""

    def __init__(self, bundle: Bundle) -> None:
        self._cells = bundle.cells
        self._area = area_km2(bundle.cells.polygon)

    def write(
        self,
        answers: Predictions,
        rows: IndexArray,
        ranking: Ranking,
        truth: Float64Array,
    ) -> None:
        answers.latlon[rows] = ranking.answer
        answers.radii_km[rows] = ranking.radii_km
        answers.chance[rows] = ranking.localisability
        answers.similarity[rows] = ranking.similarity[:, 0]
        if np.isnan(truth).any():  # a table of countries
            return
        belief = ranking.belief
        true_cell = self._cells.locate(truth).astype(np.int64)
        answers.region_holds[rows] = (
            mass_before(belief, true_cell)[:, None] <= ranking.region_limits
        )
        at_truth = np.take_along_axis(belief, true_cell[:, None], axis=1)
        answers.needed_km2[rows] = (belief >= at_truth) @ self._area
        order = np.argsort(-belief, axis=1, kind="stable")
        ranked = np.take_along_axis(belief, order, axis=1)
        mass = np.cumsum(ranked, axis=1) - ranked
        area = self._area[order]
        for column, limit in enumerate(ranking.region_limits.T):
            inside = (mass <= limit[:, None]) & (ranked > 0.0)
            answers.region_km2[rows, column] = (area * inside).sum(axis=1)
