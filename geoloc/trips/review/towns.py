"""Names of towns that a review page knows, so that a person can place photos by typing one."""

from __future__ import annotations

import numpy as np

from geocells.places import towns
from geoloc.types import Float64Array

NEAR_KM = 100.0
"""Towns as near as this to a place of the library are known to its page."""

MOST_NEAR = 5_000
"""Of these, the largest ones."""

MOST_OF_THE_WORLD = 2_000
"""The largest cities of the world are known as well: a place by sight may be far off."""

Row = tuple[str, str, float, float]
"""Name, ISO code of the country, and degrees."""


def town_rows(latlon: Float64Array) -> list[Row]:
    """Return the towns for the page of a library, the largest first.

    Args:
        latlon: (N, 2) places of the library in degrees.
    """
    known = towns()
    by_size = np.argsort(-known.population, kind="stable")
    chosen = np.zeros(len(by_size), bool)
    chosen[by_size[:MOST_OF_THE_WORLD]] = True
    if len(latlon):
        around = np.unique(np.round(latlon * 4) / 4, axis=0)  # 14 km apart at most: enough
        _, near = known.points.within(around, NEAR_KM)
        close = np.zeros(len(by_size), bool)
        close[near] = True
        chosen[by_size[close[by_size]][:MOST_NEAR]] = True
    rows = by_size[chosen[by_size]]
    places = np.round(known.points.latlon[rows], 3)
    names = known.name.take(rows).to_pylist()
    countries = known.country[rows].tolist()
    return [
        (name, country, lat, lon)
        for name, country, (lat, lon) in zip(names, countries, places.tolist(), strict=True)
    ]
