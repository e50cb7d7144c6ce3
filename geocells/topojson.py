"""TopoJSON: polygons that share their borders as arcs (what simplified border files come in)."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.polygons import GeometryArray
from geocells.sphere import FloatArray


def read_topojson(path: str | os.PathLike[str]) -> tuple[list[dict[str, Any]], GeometryArray]:
    """Read every polygon of a TopoJSON file, plain or gzipped.

    Returns:
        The properties of the N polygons, and (N,) shapely geometries in lon/lat degrees as they
        stand in the file (not repaired).

    Raises:
        ValueError: the file is not TopoJSON.
    """
    raw = Path(path).read_bytes()
    try:
        topology = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        arcs = _decode_arcs(topology)
        shapes = [shape for top in topology["objects"].values() for shape in _flatten(top)]
        polygons = np.array([_polygon(shape, arcs) for shape in shapes] + [None], dtype=object)[:-1]
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: not a TopoJSON file ({error!r}); check the download") from error
    return [shape.get("properties", {}) for shape in shapes], polygons


def _decode_arcs(topology: dict[str, Any]) -> list[FloatArray]:
    """Arcs as (K, 2) lon/lat; quantised ones hold integer steps."""
    arcs = [np.asarray(arc, dtype=np.float64)[:, :2] for arc in topology["arcs"]]
    if "transform" not in topology:
        return arcs
    scale, shift = (np.asarray(topology["transform"][key]) for key in ("scale", "translate"))
    return [np.cumsum(arc, axis=0) * scale + shift for arc in arcs]


def _flatten(shape: dict[str, Any]) -> list[dict[str, Any]]:
    """The polygons of a geometry or collection of geometries."""
    if shape["type"] == "GeometryCollection":
        return [inner for member in shape["geometries"] for inner in _flatten(member)]
    return [shape] if shape["type"] in ("Polygon", "MultiPolygon") else []


def _polygon(shape: dict[str, Any], arcs: list[FloatArray]) -> Any:  # noqa: ANN401
    groups = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
    rings = [[_ring(numbers, arcs) for numbers in group] for group in groups]
    solid = [[ring for ring in group if len(ring) >= 4] for group in rings]
    return shapely.multipolygons([shapely.Polygon(g[0], g[1:]) for g in solid if g])


def _ring(numbers: list[int], arcs: list[FloatArray]) -> FloatArray:
    """Chain arcs; ~n is arc n backwards, and each arc starts where the last one ended."""
    chain = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
    return np.concatenate([chain[0], *(arc[1:] for arc in chain[1:])])
