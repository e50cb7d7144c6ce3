"""Offline base map: a MapLibre style made from the embedded Natural Earth borders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline

Window = tuple[float, float, float, float]
"""South, west, north, east in degrees. Longitudes exceed ±180 across the antimeridian."""

SEA, LAND, BORDER = "#d3e4ec", "#f6f3ea", "#b9b4a8"
MAX_DETAIL_DEG = 20.0
"""Wider windows show only the coarse world map."""
DETAIL_PX = 800
"""Borders in the window are simplified to the window size divided by this, about one pixel."""


def style(window: Window) -> dict[str, Any]:
    """Return a map style without network sources: a coarse world, and detail around the window.

    Args:
        window: the initial view.
    """
    south, west, north, east = window
    side = max(north - south, east - west)
    # detail for one window more on each side, for panning
    south, west, north, east = south - side, west - side, north + side, east + side
    sources = {"world": _world()}
    layers = [_layer("world", "fill", LAND), _layer("world", "line", BORDER)]
    if side < MAX_DETAIL_DEG and -180.0 <= west < east <= 180.0:
        box = shapely.box(west, south, east, north)
        land, borders = _detail(box, side / DETAIL_PX)
        sources |= {"sea": _geojson([box]), "land": land, "borders": borders}
        layers += [_layer("sea", "fill", SEA), _layer("land", "fill", LAND)]
        layers += [_layer("borders", "line", BORDER)]
    background = {"id": "background", "type": "background", "paint": {"background-color": SEA}}
    return {
        "version": 8,
        "sources": {name: {"type": "geojson", "data": data} for name, data in sources.items()},
        "layers": [background, *layers],
    }


def _layer(source: str, kind: str, colour: str) -> dict[str, Any]:
    paint = {f"{kind}-color": colour}
    return {"id": f"{source}-{kind}", "source": source, "type": kind, "paint": paint}


@cache
def _world() -> dict[str, Any]:
    return _geojson(outline(), 1e-2)


def _detail(box: shapely.Polygon, tolerance_deg: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return districts clipped to a box, and their borders without the edges of the box."""
    districts = embedded_boundaries().finest.polygons
    near = districts[shapely.intersects(districts, box)]
    simplified = shapely.simplify(near, tolerance_deg)
    land, borders = (
        _geojson(shapely.clip_by_rect(shapes, *box.bounds))
        for shapes in (simplified, shapely.boundary(simplified))
    )
    return land, borders


def _geojson(shapes: Iterable[shapely.Geometry], grid_deg: float = 1e-4) -> dict[str, Any]:
    rounded = shapely.set_precision(np.asarray(shapes), grid_deg, mode="pointwise")
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shape)}
        for shape in shapely.to_geojson(rounded)
    ]
    return {"type": "FeatureCollection", "features": features}
