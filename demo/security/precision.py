"""How precisely a public server answers: everything in an answer as coarse as a given distance.

Made to find landscapes, a system like this also finds people. A server that strangers use should
say no more than its purpose needs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import shapely

from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import KM_PER_DEG, haversine_km, wrap_lon
from geoloc.guess import Candidate, Confidence, Guess, Place
from geoloc.photos.exif import gps_position
from geoloc.types import Float64Array

TOWN_KM = 5.0
"""About as precisely as the name of a town tells where."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country", "not sure")


def coarse(guess: Guess, km: float) -> Guess:
    """The same answer, telling the place no more precisely than `km`.

    Coordinates become the middles of the fields of a fixed grid, so that many questions about one
    place teach no more than one; radii grow by what that moves a point, and still hold the truth.
    Names of what is smaller than the distance are left out, and so are geocells and known photos,
    which say exactly where they are. The distance to the file's own position is that of the middle:
    measured from the answer it would give the answer away.

    Args:
        guess: an answer.
        km: the finest precision to give; 0 for all there is.
    """
    if km <= 0.0:
        return guess
    middles, _ = snap([(place.lat, place.lon) for place in guess.candidates], km)
    (middle,), (reach_km,) = snap([(guess.lat, guess.lon)], km)
    place = _named(guess.place, km)
    radii = {name: max(km, radius + reach_km) for name, radius in guess.radii_km.items()}
    position = gps_position(guess.exif)
    return replace(
        guess,
        lat=float(middle[0]),
        lon=float(middle[1]),
        radius_km=max(km, guess.radius_km + reach_km),
        radii_km=radii,
        confidence=CLAIMS[max(CLAIMS.index(guess.confidence), _finest_claim(place))],
        place=place,
        candidates=_merged(guess.candidates, middles, km),
        region=(),
        neighbours=(),
        evidence=replace(
            guess.evidence, cell_path=tuple(filter(None, (place.country_code, place.region)))
        ),
        exif_distance_km=(None if position is None else float(haversine_km(middle, position))),
    )


def snap(latlon: npt.ArrayLike, km: float) -> tuple[Float64Array, Float64Array]:
    """Move coordinates to the middles of a grid whose fields are at least `km` high and wide.

    Args:
        latlon: (N, 2) degrees.
        km: side of a field.

    Returns:
        The middles (N, 2), and how far (N,) the corners of their fields are from them at most.
    """
    lat, lon = np.asarray(latlon, np.float64).T
    rows = max(int(180.0 * KM_PER_DEG / km), 1)
    height = 180.0 / rows
    row = np.clip(np.floor((lat + 90.0) / height), 0, rows - 1)
    middle = (row + 0.5) * height - 90.0
    edges = np.radians(np.abs(middle) + np.array([[-0.5], [0.5]]) * height)
    widest, narrowest = np.cos(np.maximum(edges[0], 0.0)), np.cos(np.minimum(edges[1], np.pi / 2))
    columns = np.maximum(np.floor(360.0 * narrowest * KM_PER_DEG / km), 1.0)
    width = 360.0 / columns
    column = np.floor((wrap_lon(lon) + 180.0) / width)
    middles = np.stack([middle, wrap_lon((column + 0.5) * width - 180.0)], axis=-1)
    reach_km = KM_PER_DEG * np.hypot(height, width * widest) / 2.0
    return middles, np.minimum(reach_km, 180.0 * KM_PER_DEG)


def _merged(
    candidates: tuple[Candidate, ...], middles: Float64Array, km: float
) -> tuple[Candidate, ...]:
    """Candidates at the middles; those that now are one place count together."""
    found: dict[tuple[float, ...], Candidate] = {}
    for candidate, middle in zip(candidates, middles.tolist(), strict=True):
        at = tuple(middle)
        if at in found:
            both = found[at].probability + candidate.probability
            found[at] = replace(found[at], probability=min(both, 1.0))
        else:
            found[at] = Candidate(*at, candidate.probability, "", _named(candidate.place, km))
    return tuple(found.values())


def _named(place: Place, km: float) -> Place:
    """The names of what is at least as large as `km`."""
    countries, regions = _sizes_km()
    if not place.country_code:
        return replace(place, town_distance_km=0.0)
    if countries.get(place.country_code, 0.0) < km:
        return Place("", "a small country", "", "", 0.0)
    if regions.get((place.country_code, place.region), 0.0) < km:
        return Place(place.country_code, place.country, "", "", 0.0)
    if km > TOWN_KM:
        return replace(place, town="", town_distance_km=0.0)
    return replace(place, town_distance_km=float(np.ceil(place.town_distance_km / km) * km))


def _finest_claim(place: Place) -> int:
    """The row of `CLAIMS` up to which the names that are left reach."""
    return [bool(place.town), bool(place.region), bool(place.country_code), True].index(True)


@cache
def _sizes_km() -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """About how large countries (by code) and regions (by code and name) are: roots of areas."""
    borders = embedded_boundaries()
    country, region, finest = borders.country, borders.region, borders.finest
    middle_lat = np.radians(shapely.get_y(shapely.centroid(finest.polygons)))
    area_km2 = shapely.area(finest.polygons) * np.cos(middle_lat) * KM_PER_DEG**2
    home = borders.ancestors(np.arange(len(finest), dtype=np.int32))
    country_km = np.sqrt(np.bincount(home[:, 0], area_km2, len(country)))
    region_km = np.sqrt(np.bincount(home[:, 1], area_km2, len(region)))
    regions: dict[tuple[str, str], float] = {}
    for parent, name, size in zip(region.parent, region.names, region_km, strict=True):
        key = (country.codes[parent], name)
        regions[key] = max(regions.get(key, 0.0), float(size))
    return dict(zip(country.codes, country_km.tolist(), strict=True)), regions
