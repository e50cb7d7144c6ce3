"""An offline world map: a MapLibre style drawn from the embedded Natural Earth borders alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline

Window = tuple[float, float, float, float]
"""South, west, north, east in degrees; beyond -180..180 where it crosses the antimeridian."""

SEA, LAND, BORDER = "#d3e4ec", "#f6f3ea", "#b9b4a8"
WIDEST_DETAIL_DEG = 20.0
DETAIL_STEPS = 800
"""A detail is as fine as this part of the window, about one pixel."""


def style(window: Window) -> dict[str, Any]:
    """A style that needs no network: the world coarsely, and finely where the map is opened.

    Args:
        window: what the map shows first.
    """
    south, west, north, east = window
    side = max(north - south, east - west)
    # one window of room on each side to look around
    south, west, north, east = south - side, west - side, north + side, east + side
    sources = {"world": _world()}
    layers = [_layer("world", "fill", LAND), _layer("world", "line", BORDER)]
    if side < WIDEST_DETAIL_DEG and -180.0 <= west < east <= 180.0:
        box = shapely.box(west, south, east, north)
        land, borders = _detail(box, side / DETAIL_STEPS)
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
    """The parts of districts inside the box, and their borders without the box's own."""
    units = embedded_boundaries().finest.polygons
    near = units[shapely.intersects(units, box)]
    drawn = shapely.simplify(near, tolerance_deg)
    land, borders = (
        _geojson(shapely.clip_by_rect(shapes, *box.bounds))
        for shapes in (drawn, shapely.boundary(drawn))
    )
    return land, borders


def _geojson(shapes: Iterable[shapely.Geometry], grid_deg: float = 1e-4) -> dict[str, Any]:
    rounded = shapely.set_precision(np.asarray(shapes), grid_deg, mode="pointwise")
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shape)}
        for shape in shapely.to_geojson(rounded)
    ]
    return {"type": "FeatureCollection", "features": features}
