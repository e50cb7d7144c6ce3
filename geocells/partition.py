"""Which units become one cell, and where a dense unit is cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.sphere import FloatArray, unit_vectors

IntArray = npt.NDArray[np.intp]

WHOLE_MAP = (-180.0, -90.0, 180.0, 90.0)

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


def merge_small(
    count: npt.NDArray[np.int64],
    centroid: FloatArray,
    parent: IntArray,
    min_count: int,
    max_count: int,
) -> IntArray:
    """Unite units that have too few photos with the nearest unit of the same parent.

    The smallest unit goes first, until every one has enough or no unit can take it. A unit with
    more than `max_count` takes no other: it will be cut, and its parts should not reach far beyond.

    Args:
        count: (U,) photos.
        centroid: (U, 2) degrees.
        parent: (U,) units are united only if these are equal.
        min_count: enough photos.
        max_count: too many photos.

    Returns:
        (U,) group numbers, 0..G-1.
    """
    group = np.arange(len(count))
    vectors = unit_vectors(centroid)
    order = np.argsort(parent, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(parent[order])) + 1):
        merged = _merge(count[members], vectors[members], min_count, max_count)
        group[members] = members[merged]
    return np.unique(group, return_inverse=True)[1]


def _merge(
    count: npt.NDArray[np.int64], vectors: FloatArray, min_count: int, max_count: int
) -> IntArray:
    """Group of each unit of one parent, named by one of its units."""
    group = np.arange(len(count))
    total = count.astype(np.float64)
    weighted = vectors * (total + 1e-3)[:, None]
    waiting = total < min_count
    takes = total <= max_count
    while waiting.any():
        smallest = int(np.argmin(np.where(waiting, total, np.inf)))
        waiting[smallest] = False
        centre = weighted / np.linalg.norm(weighted, axis=1, keepdims=True).clip(1e-12)
        nearness = np.where(takes, centre @ centre[smallest], -np.inf)
        nearness[smallest] = -np.inf
        host = int(np.argmax(nearness))
        if nearness[host] == -np.inf:
            continue
        group[group == smallest] = host
        total[host] += total[smallest]
        weighted[host] += weighted[smallest]
        takes[smallest] = False
        takes[host] = total[host] <= max_count
        waiting[host] = waiting[host] and total[host] < min_count
    return group


def split_dense(latlon: FloatArray, max_count: int) -> list[tuple[str, Box]]:
    """Cut a unit between its photos until no part has more than `max_count`.

    Cuts run along meridians and parallels, across the longer side (in kilometres) of the photos,
    where they leave half on each side.

    Args:
        latlon: (N, 2) degrees of the unit's photos.
        max_count: most photos of a part.

    Returns:
        (path, box) of each part: the boxes tile the map, and the path names the cuts that lead to
        it ("" for a unit that is not cut). More than `max_count` photos at one spot stay together.
    """
    parts: list[tuple[str, Box]] = []
    waiting = [("", WHOLE_MAP, np.arange(len(latlon)))]
    while waiting:
        path, box, rows = waiting.pop()
        cut = _cut(latlon[rows]) if len(rows) > max_count else None
        if cut is None:
            parts.append((path, box))
            continue
        axis, value = cut
        low = latlon[rows, axis] < value
        west, south, east, north = box
        lower = (west, south, east, value) if axis == 0 else (west, south, value, north)
        upper = (west, value, east, north) if axis == 0 else (value, south, east, north)
        waiting.append((path + "1", upper, rows[~low]))
        waiting.append((path + "0", lower, rows[low]))
    return parts


def _cut(latlon: FloatArray) -> tuple[int, float] | None:
    """Axis (0 latitude, 1 longitude) and value that halve coordinates; None if all are equal."""
    shrink = np.cos(np.radians(latlon[:, 0].mean()))
    extent = np.ptp(latlon, axis=0) * [1.0, shrink]
    for axis in np.argsort(-extent):
        values = np.sort(latlon[:, axis])
        if values[0] == values[-1]:
            continue
        middle = values[len(values) // 2]
        below, above = values[values < middle], values[values >= middle]
        if len(below) == 0:
            below, above = values[values <= middle], values[values > middle]
        return int(axis), float((below[-1] + above[0]) / 2.0)
    return None
