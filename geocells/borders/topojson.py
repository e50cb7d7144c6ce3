"""Reader of TopoJSON, in which neighbouring polygons share arcs."""

from __future__ import annotations

import gzip
import os
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.types import Float64Array, GeometryArray, IndexArray


def read_topojson(
    path: str | os.PathLike[str],
) -> list[tuple[list[dict[str, Any]], GeometryArray]]:
    """Read the polygons of each object (layer) of a TopoJSON file, plain or gzipped.

    Returns:
        For each object, properties of its N polygons, and (N,) shapely geometries in lon/lat
        degrees; these may be invalid.

    Raises:
        ValueError: the file is not TopoJSON.
    """
    try:
        import orjson
    except ImportError as error:
        raise ValueError(
            f"{path}: TopoJSON needs orjson; run  pip install 'planet-geoloc[train]'"
        ) from error
    raw = Path(path).read_bytes()
    try:
        topology = orjson.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        lonlat, edges = _decode_arcs(topology)
        layers = [_flatten(top) for top in topology["objects"].values()]
        polygons = [_polygons(shapes, lonlat, edges) for shapes in layers]
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: not a TopoJSON file ({error!r}); check the download") from error
    properties = [[shape.get("properties") or {} for shape in shapes] for shapes in layers]
    return list(zip(properties, polygons, strict=True))


def _decode_arcs(topology: dict[str, Any]) -> tuple[Float64Array, IndexArray]:
    """Return the points of all arcs (K, 2), lon/lat, and the row where each arc starts (A + 1,)."""
    arcs = topology["arcs"]
    edges = np.cumsum([0, *map(len, arcs)])
    lonlat = _flat([point for arc in arcs for point in arc])
    if "transform" not in topology:
        return lonlat, edges
    # a quantised arc holds integer steps from the origin
    scale, shift = (np.asarray(topology["transform"][key]) for key in ("scale", "translate"))
    steps = np.concatenate([np.zeros((1, 2)), np.cumsum(lonlat, axis=0)])
    before = np.repeat(steps[edges[:-1]], np.diff(edges), axis=0)
    return (steps[1:] - before) * scale + shift, edges


def _flat(points: list[list[float]]) -> Float64Array:
    """Return points as (K, 2); heights are dropped."""
    numbers = np.fromiter(chain.from_iterable(points), np.float64)
    if len(numbers) != 2 * len(points):
        numbers = np.fromiter(chain.from_iterable(point[:2] for point in points), np.float64)
    return numbers.reshape(-1, 2)


def _flatten(shape: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the polygons of a geometry or geometry collection."""
    if shape["type"] == "GeometryCollection":
        return [inner for member in shape["geometries"] for inner in _flatten(member)]
    return [shape] if shape["type"] in ("Polygon", "MultiPolygon") else []


def _polygons(
    shapes: list[dict[str, Any]], lonlat: Float64Array, edges: IndexArray
) -> GeometryArray:
    """Return (N,) multipolygons; rings of fewer than four points are dropped."""
    groups = [[s["arcs"]] if s["type"] == "Polygon" else s["arcs"] for s in shapes]
    shape_of_polygon = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    polygons = [polygon for group in groups for polygon in group]
    sizes = np.array([len(polygon) for polygon in polygons], np.intp)
    polygon_of_ring = np.repeat(np.arange(len(polygons)), sizes)
    chains = [ring for polygon in polygons for ring in polygon]
    points, ring_of_point = _follow(chains, lonlat, edges)
    solid = np.bincount(ring_of_point, minlength=len(chains)) >= 4
    solid &= solid[(np.cumsum(sizes) - sizes)[polygon_of_ring]]  # a hole needs its outer ring
    kept = solid[ring_of_point]
    ring = np.unique(ring_of_point[kept], return_inverse=True)[1]
    rings = shapely.linearrings(points[kept], indices=ring)
    polygon, number = np.unique(polygon_of_ring[solid], return_inverse=True)
    parts = shapely.polygons(rings, indices=number)
    empty = np.full(len(shapes), shapely.MultiPolygon(), dtype=object)
    united: GeometryArray = shapely.multipolygons(
        parts, indices=shape_of_polygon[polygon], out=empty
    )
    return united


def _follow(
    chains: list[list[int]], lonlat: Float64Array, edges: IndexArray
) -> tuple[Float64Array, IndexArray]:
    """Return the points (P, 2) of rings that are chains of arcs, and the ring (P,) of each point.

    Number ~n is arc n reversed. An arc starts at the last point of the arc before it.
    """
    ring = np.repeat(np.arange(len(chains)), [len(chain) for chain in chains])
    number = np.array([arc for chain in chains for arc in chain], np.intp)
    backwards = number < 0
    arc = np.where(backwards, ~number, number)
    start, end = edges[arc], edges[arc + 1]
    skipped = (np.diff(ring, prepend=-1) == 0).astype(np.intp)
    count = end - start - skipped
    step = np.arange(count.sum()) + np.repeat(skipped + count - np.cumsum(count), count)
    forth = np.repeat(start, count) + step
    back = np.repeat(end, count) - 1 - step
    return lonlat[np.where(np.repeat(backwards, count), back, forth)], np.repeat(ring, count)
