"""What the map of an answer shows, as data for planet_map.js and light_map.js."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import KM_PER_DEG, destination
from geocells.table import CellTable
from geoloc.belief.constraints import parse
from geoloc.guess import Candidate, Guess
from geoloc.output import text
from geoloc.output.map.regions import Regions, regions_of
from geoloc.photos.exif import gps_position

Window = tuple[float, float, float, float]
"""South, west, north, east in degrees. Longitudes exceed ±180 across the antimeridian."""

Pin = dict[str, Any]

MAX_LAT_DEG = 78.0
"""The initial view ends here: beyond, Web Mercator is stretched and shows little but ice."""
MIN_REACH_KM = 12.0
"""Smallest half height of the initial view, so that the next towns have their names on it."""
MARGIN = 1.15
WINDOW_LEVEL = 0.8
"""The initial view shows the region of this level."""
SEARCHED_SHARE = 1 / 300
"""The outline of the search is simplified to this share of its height."""


def map_data(guess: Guess, cells: CellTable, others: Sequence[Pin] = ()) -> dict[str, Any]:
    """Return regions, circle, pins and the initial window of an answer.

    Args:
        guess: the answer.
        cells: the geocells of the bundle.
        others: pins of the other photos of the visit; see `photo_pin`.
    """
    regions = regions_of(guess, cells)
    return {
        "window": window(guess, regions),
        "regions": region_features(regions),
        "circle": circle(guess) if regions.circle_is_fair else None,
        "pins": [*others, *_pins(guess)],
    }


def region_features(regions: Regions) -> dict[str, Any]:
    """Return GeoJSON of the regions, the largest first, with their `level`."""
    levels = sorted(regions.outlines.items(), reverse=True)
    return _collection(
        (shapely.MultiPolygon(list(outlines)), {"level": level}) for level, outlines in levels
    )


def searched(within: Sequence[str]) -> dict[str, Any] | None:
    """Return GeoJSON of the areas that a search is limited to; None for conditions alone."""
    areas = parse(within).areas if within else ()
    country = embedded_boundaries().country
    shapes = [polygon for area in areas for polygon in area.polygons]
    codes = [code for area in areas for code in area.countries]
    shapes += list(country.polygons[np.isin(country.codes, codes)])
    if not shapes:
        return None
    _, south, _, north = shapely.total_bounds(shapes)
    return _collection(
        (shape, {}) for shape in shapely.simplify(shapes, (north - south) * SEARCHED_SHARE)
    )


def window(guess: Guess, regions: Regions) -> Window:
    """Return the initial window: the region of WINDOW_LEVEL and the best guess, with a margin."""
    west, south, east, north = shapely.total_bounds(
        [*regions.outlines[WINDOW_LEVEL], shapely.Point(guess.lon, guess.lat)]
    ).tolist()
    parallel = max(math.cos(math.radians(guess.lat)), 0.05)
    height = max(MARGIN * (north - south), 2.0 * MIN_REACH_KM / KM_PER_DEG)
    width = max(MARGIN * (east - west), 2.0 * MIN_REACH_KM / KM_PER_DEG / parallel)
    lat, lon = (south + north) / 2, (west + east) / 2
    limit = max(MAX_LAT_DEG, abs(guess.lat) + 1.0)
    bounds = (
        max(lat - height / 2, -limit), lon - width / 2,
        min(lat + height / 2, limit), lon + width / 2,
    )  # fmt: skip
    south, west, north, east = (round(degrees, 4) for degrees in bounds)
    return south, west, north, east


def circle(guess: Guess) -> list[list[float]]:
    """Return the circle of the radius for 8 of 10 photos, as lon/lat degrees."""
    ring = destination([guess.lat, guess.lon], np.linspace(0.0, 360.0, 121), guess.radius_80_km)
    lon = guess.lon + (ring[:, 1] - guess.lon + 180.0) % 360.0 - 180.0
    line: list[list[float]] = np.stack([lon, ring[:, 0]], axis=1).round(5).tolist()
    return line


def photo_pin(index: int, guess: Guess) -> Pin:
    """Return the pin of another photo of the visit, which shows that photo when it is clicked."""
    claim = text.claimed_place(guess) or f"not sure, perhaps {guess.place}"
    title = f"{guess.photo}: {claim}"
    return _pin(guess.lat, guess.lon, "photo", title, "") | {"photo": index}


def file_pin(position: tuple[float, float], name: str = "") -> Pin:
    """Return the pin of the position in a file, which is named where there are several."""
    return _pin(*position, "file", " ".join(filter(None, ("GPS position in the file", name))))


def _pins(guess: Guess) -> list[Pin]:
    """Return pins of known photos, the file's position, all candidates, and the answer on top."""
    pins = [
        _pin(known.lat, known.lon, "known", f"similar photo, known to be from here ({number})",
             str(number))
        for number, known in enumerate(guess.neighbours, start=1)
    ]  # fmt: skip
    position = gps_position(guess.exif)
    if position is not None:
        pins.append(file_pin(position))
    answer: Candidate | Guess = guess
    candidates = guess.candidates
    if guess.is_first_place:
        answer, candidates = candidates[0], candidates[1:]
    for rank, candidate in reversed(list(enumerate(candidates, start=1 + guess.is_first_place))):
        pins.append(_pin(candidate.lat, candidate.lon, "other", _title(candidate), str(rank)))
    return [*pins, _pin(answer.lat, answer.lon, "answer", f"best guess: {_title(answer)}")]


def _title(pin: Candidate | Guess) -> str:
    return f"{pin.place}, {text.percent(pin.probability)} within 25 km"


def _pin(lat: float, lon: float, kind: str, title: str, label: str = "") -> Pin:
    return {"lat": round(lat, 5), "lon": round(lon, 5), "kind": kind, "title": title,
            "label": label}  # fmt: skip


def _collection(shapes: Iterable[tuple[shapely.Geometry, dict[str, Any]]]) -> dict[str, Any]:
    features = []
    for shape, properties in shapes:
        rounded = shapely.set_precision(shape, 1e-4, mode="pointwise")
        geometry = json.loads(shapely.to_geojson(rounded))
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}
