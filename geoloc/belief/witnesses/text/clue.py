"""`Clue`: what one piece of text says about the place, before it is weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.types import Float64Array


@dataclass(frozen=True)
class Spot:
    """A place that a text may mean, with its surroundings."""

    lat: float
    lon: float
    scale_km: float
    """Distance at which a sign mentions the place e times less often."""
    rate: float = 1.0
    """How often signs at the place mention it, relative to the other spots of the clue."""


@dataclass(frozen=True)
class Clue:
    """One cue found in the text of a photo.

    A sign that is about its own place is found at a rate that depends on the place: that of the
    country or region, plus those of the spots. How many signs are not about their own place, such
    as those of restaurants abroad, is no part of it but of the reliability of the cue.
    """

    cue: str
    """Kind of the clue; its reliability is fitted under this name."""
    line: int
    """Row of the line in the reading."""
    reading: str
    """The part of the text that is meant."""
    meaning: str
    """For people, without a full stop."""
    countries: Mapping[str, float] = field(default_factory=dict)
    """Rates by ISO 3166-1 alpha-2 code."""
    regions: tuple[tuple[str, str], ...] = ()
    """Country code and name of regions, each of rate 1."""
    spots: tuple[Spot, ...] = ()
    used: bool = True
    """False for what is shown and is no evidence."""

    def rates(self, cells: CellTable) -> Float64Array:
        """Return the rate (C,) in each cell."""
        rate = np.zeros(len(cells))
        for code, value in self.countries.items():
            rate[cells.country == code] += value
        for country, region in self.regions:
            rate[(cells.country == country) & (cells.region == region)] += 1.0
        for spot in self.spots:
            km = haversine_km(np.array([spot.lat, spot.lon]), cells.centroids)
            near = np.exp(-np.asarray(km, np.float64) / spot.scale_km)
            own = int(cells.locate([[spot.lat, spot.lon]])[0])
            near[own] = 1.0  # a large cell may have its centroid far away
            rate += spot.rate * near
        return rate
