"""Scores by continent, country, population density and distance to training photos."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.attributes import population_per_km2
from geocells.borders.hierarchy import country_continents, embedded_boundaries
from geoloc.evaluation.scores import PhotoScores, summary
from geoloc.types import Float64Array, IndexArray, Int32Array

MEASURES = ("median_km", "within_25_km", "within_200_km", "within_750_km", "geoscore", "country")
"""Measures of each part."""

POPULATION = (0.0, 1.0, 10.0, 100.0, 1000.0, np.inf)
"""Limits of the parts, in people per km² within 10 km."""

NEAREST_KM = (0.0, 0.025, 1.0, 25.0, 200.0, 1000.0, np.inf)
"""Limits of the parts, in km to the nearest training photo."""

CONFUSIONS = 12
"""Pairs of countries in the table of confusions."""

Rows = list[dict[str, Any]]


def breakdown(
    scores: PhotoScores, truth: Int32Array, latlon: Float64Array, nearest_km: Float64Array | None
) -> dict[str, Rows]:
    """Return the scores of parts of N photos, for JSON; rows have "name", "photos" and MEASURES.

    Args:
        scores: of the answers.
        truth: (N, 2) country and region of the photos; see `true_areas`.
        latlon: (N, 2) degrees of the photos, NaN where only countries are known.
        nearest_km: (N,) distance to the nearest training photo; None if these are unknown.
    """
    country = embedded_boundaries().country
    continents = country_continents()
    continent = np.array([continents.get(code, "") for code in country.codes], dtype=object)
    names, code = np.unique(continent, return_inverse=True)
    tables = {
        "continent": _largest_first(_by(scores, code[truth[:, 0]], list(names))),
        "country": _largest_first(_by(scores, truth[:, 0], list(country.names))),
        "confusion": _confusions(scores, truth[:, 0]),
    }
    if not np.isnan(latlon).any():
        density = population_per_km2(latlon)
        tables["population"] = _by(scores, *_ranges(density, POPULATION, "{} per km²"))
    if nearest_km is not None:
        tables["nearest"] = _by(scores, *_ranges(nearest_km, NEAREST_KM, "{} km"))
    return tables


def _by(scores: PhotoScores, group: npt.NDArray[np.integer], names: list[str]) -> Rows:
    """Return a row for each group that has photos, ordered by group number.

    Args:
        scores: of N photos.
        group: (N,) group number of each photo.
        names: of the groups.
    """
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    rows = []
    for number, members in zip(present, np.split(order, starts[1:]), strict=True):
        values = summary(scores.take(members))
        chosen = {measure: values[measure] for measure in MEASURES}
        rows.append({"name": str(names[number]), "photos": len(members), **chosen})
    return rows


def _largest_first(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: -int(row["photos"]))


def _ranges(
    values: Float64Array, ends: tuple[float, ...], words: str
) -> tuple[IndexArray, list[str]]:
    """Return the number (N,) of the range of each value, and the names of the ranges."""
    number = np.clip(np.searchsorted(ends, values, "right") - 1, 0, len(ends) - 2)
    names = [
        f"under {words.format(_short(high))}"
        if low == 0.0
        else f"{words.format(_short(low))} or more"
        if high == np.inf
        else words.format(f"{_short(low)} to {_short(high)}")
        for low, high in pairwise(ends)
    ]
    return np.asarray(number, np.intp), names


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:g}"


def _confusions(scores: PhotoScores, truth: npt.NDArray[np.integer]) -> Rows:
    """Return the most frequent confusions of countries, with "truth", "answer" and "photos"."""
    country = embedded_boundaries().country
    wrong = np.flatnonzero((scores.country >= 0) & (scores.country != truth))
    pair = truth[wrong].astype(np.int64) * len(country) + scores.country[wrong]
    found, count = np.unique(pair, return_counts=True)
    most = np.argsort(-count, kind="stable")[:CONFUSIONS]
    return [
        {
            "truth": str(country.names[found[i] // len(country)]),
            "answer": str(country.names[found[i] % len(country)]),
            "photos": int(count[i]),
        }
        for i in most
    ]
