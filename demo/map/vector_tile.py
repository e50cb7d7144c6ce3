"""Mapbox Vector Tiles, version 2.1: features of a tile as bytes for MapLibre.

https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from geoloc.types import Float64Array, Int64Array

EXTENT = 4096
"""Units along the side of a tile."""

_KIND = {0: 1, 1: 2, 2: 2, 3: 3}
"""Point, line and polygon of the format by shapely's type."""
_MOVE, _LINE, _CLOSE = 1, 2, 15


@dataclass(frozen=True)
class Layer:
    """Simple geometries of one layer in units of the tile, y down, with their properties."""

    name: str
    shapes: Sequence[shapely.Geometry]
    properties: Sequence[Mapping[str, str | int]] = field(default=())
    """One for each shape, or none at all."""


def encode(layers: Iterable[Layer]) -> bytes:
    """Return a tile of layers; empty ones are left out."""
    return b"".join(_message(3, _layer(layer)) for layer in layers if len(layer.shapes))


def _layer(layer: Layer) -> bytes:
    keys: dict[str, int] = {}
    values: dict[str | int, int] = {}
    features = []
    for shape, properties in zip(layer.shapes, layer.properties or [{}] * len(layer.shapes),
                                 strict=True):  # fmt: skip
        tags = [
            index
            for key, value in properties.items()
            for index in (keys.setdefault(key, len(keys)), values.setdefault(value, len(values)))
        ]
        kind = _KIND[int(shapely.get_type_id(shape))]
        geometry = list(_commands(shape))
        if geometry:
            body = _packed(2, tags) + _number(3, kind) + _packed(4, geometry)
            features.append(_message(2, body))
    head = _number(15, 2) + _message(1, layer.name.encode())
    names = b"".join(_message(3, key.encode()) for key in keys)
    return head + b"".join(features) + names + b"".join(map(_value, values)) + _number(5, EXTENT)


def _value(value: str | int) -> bytes:
    if isinstance(value, str):
        return _message(4, _message(1, value.encode()))
    return _message(4, _number(5, value))


def _commands(shape: shapely.Geometry) -> Iterator[int]:
    """Yield the drawing commands of a point, line or polygon, relative to the last position."""
    at = np.zeros(2, np.int64)
    if isinstance(shape, shapely.Polygon):
        # exterior rings are clockwise on the screen, holes are not
        rings = [shapely.get_exterior_ring(shapely.orient_polygons(shape, exterior_cw=False))]
        rings += list(shapely.orient_polygons(shape, exterior_cw=False).interiors)
        for ring in rings:
            points = _grid(shapely.get_coordinates(ring))[:-1]
            if len(points) >= 3:
                yield from _path(points, at)
                yield _CLOSE
                at = points[-1]
    else:
        points = _grid(shapely.get_coordinates(shape))
        if len(points) > 1 or isinstance(shape, shapely.Point):
            yield from _path(points, at)


def _path(points: np.ndarray, at: np.ndarray) -> Iterator[int]:
    moves = np.diff(points, axis=0, prepend=at[None])
    zigzag = ((moves << 1) ^ (moves >> 63)).ravel().tolist()
    yield from (_MOVE | 1 << 3, *zigzag[:2])
    if len(points) > 1:
        yield from (_LINE | (len(points) - 1) << 3, *zigzag[2:])


def _grid(points: Float64Array) -> Int64Array:
    """Return points on the integer grid, without repeated ones."""
    grid: Int64Array = np.rint(points).astype(np.int64)
    changed = np.append(True, (np.diff(grid, axis=0) != 0).any(axis=1))
    return np.asarray(grid[changed])


def _number(tag: int, value: int) -> bytes:
    return _varints((tag << 3, value))


def _message(tag: int, content: bytes) -> bytes:
    return _varints((tag << 3 | 2, len(content))) + content


def _packed(tag: int, values: Sequence[int]) -> bytes:
    return _message(tag, _varints(values)) if values else b""


def _varints(values: Iterable[int]) -> bytes:
    out = bytearray()
    for number in values:
        rest = number
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out)
