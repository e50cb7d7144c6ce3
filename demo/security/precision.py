"""Location blurring for public servers: no part of an answer is more precise than a distance.

A system that recognises landscapes can also be misused to find people. A public server should
therefore answer no more precisely than its purpose needs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from demo.security.grid import areas_km2, snap
from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import haversine_km
from geoloc.guess import Candidate, Confidence, Evidence, Guess, Place
from geoloc.photos.exif import gps_position
from geoloc.types import Float64Array

TOWN_KM = 5.0
"""The approximate precision of a town name."""

PROBABILITY_STEP = 1.0 / 16.0
"""Probabilities are multiples of this, which binary numbers hold exactly."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country", "not sure")


def blur_location(guess: Guess, km: float) -> Guess:
    """Return a guess that gives the place no more precisely than `km`.

    - Coordinates are moved to the centres of a fixed grid, so that repeated requests about one
      place reveal no more than a single one.
    - Radii grow by the largest possible shift, so that their coverage still holds, and to a
      multiple of `km`.
    - Names of places smaller than `km` are removed. Geocells and similar gallery photos are removed
      too, because they have exact positions, and estimated heights and numbers of people.
    - Probabilities and weights are rounded: many questions about one photo, each with another
      constraint, would tell more by small differences.
    - The distance to the GPS position in the file is measured from the grid centre: the exact
      distance would reveal the exact answer.

    Args:
        guess: the exact guess, made under a constraint that `demo.security.grid.coarse` returned.
        km: the finest precision to give; 0 changes nothing.
    """
    if km <= 0.0:
        return guess
    centres, _ = snap([(place.lat, place.lon) for place in guess.candidates], km)
    (centre,), (reach_km,) = snap([(guess.lat, guess.lon)], km)
    place = _without_small_places(guess.place, km)
    position = gps_position(guess.exif)

    def radius(exact_km: float) -> float:
        return float(np.ceil((exact_km + reach_km) / km) * km)

    return replace(
        guess,
        lat=float(centre[0]),
        lon=float(centre[1]),
        radius_50_km=radius(guess.radius_50_km),
        radius_80_km=radius(guess.radius_80_km),
        radius_95_km=radius(guess.radius_95_km),
        confidence=CLAIMS[max(CLAIMS.index(guess.confidence), _finest_claim(place))],
        chance_200km=_rounded(guess.chance_200km),
        probability=_rounded(guess.probability),
        agreement=_rounded(guess.agreement),
        place=place,
        candidates=_merged(guess.candidates, centres, km),
        region=(),
        neighbours=(),
        copy_of=None,
        frame_of=None,
        witnesses=(),  # a sign or a clock can tell the exact place
        evidence=_coarse_evidence(guess.evidence, place),
        exif_distance_km=None if position is None else float(haversine_km(centre, position)),
    )


def _coarse_evidence(evidence: Evidence, place: Place) -> Evidence:
    """Return the evidence without numbers of the place, and with rounded weights."""
    kinds = [each for each in evidence.attributes if each.probability is not None]
    return Evidence(
        tuple(filter(None, (place.country_code, place.region))),
        tuple(replace(each, probability=_rounded(each.probability or 0.0)) for each in kinds),
        *map(_rounded, (evidence.prior, evidence.classifier, evidence.retrieval)),
    )


def _rounded(probability: float) -> float:
    return round(probability / PROBABILITY_STEP) * PROBABILITY_STEP


def _merged(
    candidates: tuple[Candidate, ...], centres: Float64Array, km: float
) -> tuple[Candidate, ...]:
    """Return the candidates at the grid centres, each with the highest probability of its own."""
    merged: dict[tuple[float, float], Candidate] = {}
    for candidate, (lat, lon) in zip(candidates, centres.tolist(), strict=True):
        place = _without_small_places(candidate.place, km)
        probability = _rounded(candidate.probability)
        merged.setdefault((lat, lon), Candidate(lat, lon, probability, "", place))
    return tuple(merged.values())


def _without_small_places(place: Place, km: float) -> Place:
    """Remove the names of places smaller than `km`."""
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
    """Return the index in `CLAIMS` of the finest claim that the remaining names allow."""
    return [bool(place.town), bool(place.region), bool(place.country_code), True].index(True)


@cache
def _sizes_km() -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Return the approximate size of countries and regions: the square root of the area, in km.

    Countries are keyed by code, regions by country code and name.
    """
    borders = embedded_boundaries()
    country, region, finest = borders.country, borders.region, borders.finest
    area_km2 = areas_km2(finest.polygons)
    home = borders.ancestors(np.arange(len(finest), dtype=np.int32))
    country_km = np.sqrt(np.bincount(home[:, 0], area_km2, len(country)))
    region_km = np.sqrt(np.bincount(home[:, 1], area_km2, len(region)))
    regions: dict[tuple[str, str], float] = {}
    for parent, name, size in zip(region.parent, region.names, region_km, strict=True):
        key = (country.codes[parent], name)
        regions[key] = max(regions.get(key, 0.0), float(size))
    return dict(zip(country.codes, country_km.tolist(), strict=True)), regions
