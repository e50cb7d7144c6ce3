"""Areas from geometry: boxes, circles, GeoJSON, well-known text and EWKT."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import shapely

from geocells.polygons import repair, split_antimeridian
from geocells.sphere import KM_PER_DEG, destination, haversine_km
from geoloc.belief.areas import Area
from geoloc.errors import ConstraintError
from geoloc.types import BoolArray, Float64Array, GeometryArray

_RANGES = "latitudes in -90..90 and longitudes in -180..180 degrees"
_WKT = re.compile(
    r"(?:SRID\s*=\s*(\d+)\s*;)?\s*((?:MULTI)?(?:POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION)"
    r"\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)",
    re.IGNORECASE,
)


def is_geometry(text: str) -> bool:
    """Return whether a text is meant as GeoJSON, well-known text or EWKT."""
    return bool(re.match(r"[{\[]|SRID\s*=", text, re.IGNORECASE) or _WKT.match(text))


def polygons(name: str, text: str) -> Area:
    """Parse GeoJSON, well-known text or EWKT in degrees.

    Shapes without an area, such as a feature without geometry, are skipped and counted in the name.

    Raises:
        ConstraintError: the text cannot be read, holds no area, or is not in degrees.
    """
    try:
        shapes = _geojson(text) if text.lstrip()[:1] in ("{", "[") else _wkt(name, text)
    except (shapely.errors.ShapelyError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConstraintError(f"{name}: not readable ({reason}); give closed polygons") from error
    if not (np.abs(shapely.get_coordinates(shapes)) <= (360.0, 90.0)).all():
        raise ConstraintError(f"{name}: a corner is out of range; give lon, lat in degrees")
    areas = repair(shapes)
    empty = int(shapely.is_empty(areas).sum())
    polygon = shapely.union_all(split_antimeridian(repair(shapely.get_parts(areas))))
    if polygon.is_empty:
        raise ConstraintError(
            f'{name}: holds no area; give a Polygon or a MultiPolygon, or a circle "lat,lon,50km"'
        )
    skipped = f" ({empty} of {len(areas)} shapes without an area skipped)" if empty else ""
    return area_of(name + skipped, polygon)


def _geojson(text: str) -> GeometryArray:
    """Return the geometries (N,) of GeoJSON or of a list of it; None for features without one."""
    found = [
        None if geometry is None else shapely.from_geojson(json.dumps(geometry))
        for geometry in _geometries(json.loads(text))
    ]
    return np.array([*found, None], dtype=object)[:-1]


def _geometries(item: Any) -> list[dict[str, Any] | None]:  # noqa: ANN401
    if isinstance(item, list):
        return [geometry for each in item for geometry in _geometries(each)]
    if item is not None and not isinstance(item, dict):
        raise ValueError(f"expected an object of GeoJSON instead of {str(item)[:40]}")
    if item and item.get("type") == "FeatureCollection":
        return _geometries(item.get("features"))
    if item and item.get("type") == "Feature":
        return [item.get("geometry")]
    return [item]


def _wkt(name: str, text: str) -> GeometryArray:
    """Return the geometry (1,) of well-known text or EWKT."""
    srid, _, wkt = text.rpartition(";")
    code = srid.partition("=")[2].strip()
    if code not in ("", "0", "4326"):
        raise ConstraintError(
            f"{name}: has SRID {code}; give lon, lat in degrees, which is SRID 4326"
        )
    return np.array([shapely.from_wkt(wkt)], dtype=object)


def area_of(name: str, polygon: shapely.Geometry) -> Area:
    """Return the area of a polygon in lon/lat, split at the antimeridian."""

    def inside(latlon: Float64Array) -> BoolArray:
        lat, lon = latlon.T
        turned = np.where(np.abs(lon) == 180.0, -lon, lon)  # both sides end at the antimeridian
        found: BoolArray = shapely.intersects_xy(polygon, np.stack([lon, turned]), lat).any(axis=0)
        return found

    shapely.prepare(polygon)
    return Area(name, inside, np.array([polygon]))


def box(text: str, south: float, west: float, north: float, east: float) -> Area:
    """Return the area of a box in degrees, across the antimeridian if west > east.

    Raises:
        ConstraintError: not a box; the message quotes the text.
    """
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    polygon = shapely.union_all([shapely.box(w, south, e, north) for w, e in spans if w < e])
    good = -90.0 <= south < north <= 90.0 and abs(west) <= 180.0 >= abs(east)
    if polygon.is_empty or not good:
        raise ConstraintError(
            f'{text}: not a box; write "south,west,north,east", south below north, {_RANGES}'
        )
    return area_of(f"the box {south:g}, {west:g} to {north:g}, {east:g}", polygon)


def circle(text: str, lat: float, lon: float, radius_km: float) -> Area:
    """Return the area within a distance of a coordinate.

    Raises:
        ConstraintError: not a circle; the message quotes the text.
    """
    reach = radius_km / KM_PER_DEG
    if abs(lat) > 90.0 or abs(lon) > 180.0 or not 0.0 < reach < 180.0:
        raise ConstraintError(
            f'{text}: not a circle; write "lat,lon,50km", {_RANGES}, a radius in 0..20015 km'
        )
    # the eastern half of the rim from north to south, any pole inside, and the mirror image
    off_pole = np.clip(lat, -89.999999, 89.999999)  # by 0.1 m: at a pole no bearing is defined
    rim = destination((off_pole, 0.0), np.linspace(0.0, 180.0, 721), radius_km)
    rim[:, 1] = np.abs(rim[:, 1])
    if lat + reach >= 90.0:
        rim = np.insert(rim, 0, (90.0, 180.0), axis=0)
    if lat - reach <= -90.0:
        rim = np.append(rim, [(-90.0, 180.0)], axis=0)
    ring = np.concatenate([rim, (rim * (1.0, -1.0))[::-1]])[:, ::-1] + (lon, 0.0)
    outline = split_antimeridian(repair(np.array([shapely.Polygon(ring)])))
    name = f"within {radius_km:g} km of {lat:.4f}, {lon:.4f}"
    return Area(name, lambda at: haversine_km(at, (lat, lon)) <= radius_km, outline)
