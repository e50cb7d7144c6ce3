"""Galleries of millions of photos in bounded memory: features and prototypes lie on the disk.

What is in memory grows with the tables, some 100 bytes a photo, not with the features. The result
is the same as that of `build_gallery`, but for features in half precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocells.table import CellTable
from geoloc.belief.heads import Heads
from geoloc.encoders.base import normalise
from geoloc.retrieval.gallery import Gallery
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.gallery.cluster import Attributed, cluster_photos, tables_of
from training.gallery.prototypes import SCALES_KM, smoothed
from training.types import Float16Array

TILE_DEG = 2.0
"""Side of the squares of the Earth whose prototypes are smoothed together."""

_LOCATED_AT_ONCE = 500_000
_SUMMED_AT_ONCE = 65_536
_KM_PER_DEG = 111.0

Blocks = Iterator[npt.NDArray[np.floating]]
"""Embeddings of all photos in their order, (B, D) at a time."""


def build_large_gallery(
    photos: Attributed,
    embeddings: Blocks,
    heads: Heads,
    cells: CellTable,
    scratch: Path,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Gallery:
    """Cluster photos and build the retrieval index.

    Args:
        photos: N photos.
        embeddings: of them.
        heads: make K features of the embeddings.
        cells: geocells.
        scratch: a folder for 2 K (N + 2 L) bytes of L clusters, which may be deleted afterwards.
        scales_km: scales of the smoothing of prototypes; see `prototypes`.
    """
    latlon = photos.latlon
    starts = range(0, len(latlon), _LOCATED_AT_ONCE)
    cell = np.concatenate([cells.locate(latlon[at : at + _LOCATED_AT_ONCE]) for at in starts])
    order, clusters, members = tables_of(photos, cell, cluster_photos(latlon, cell))
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    width = heads.projection.shape[1]
    features = _on_disk(scratch / "features", len(latlon), width)
    start = 0
    for block in embeddings:
        rows = place[start : start + len(block)]
        features[rows] = heads.features(np.asarray(block, np.float32))
        start += len(block)
    own = _on_disk(scratch / "own", len(clusters), width)
    _sum_clusters(features, members.cluster, own)
    prototypes = _on_disk(scratch / "prototypes", len(clusters), width)
    weight = np.sqrt(clusters.count).astype(np.float32)[:, None]
    for core, near in tiles(clusters.latlon, max(scales_km, default=0.0)):
        total = np.asarray(own[core], np.float32)
        inside = np.searchsorted(near, core)
        weighted = np.asarray(own[near], np.float32) * weight[near]
        for scale in scales_km:
            total += smoothed(weighted, clusters.latlon[near], scale)[inside]
        prototypes[core] = normalise(total)
    return Gallery.build(clusters, members, prototypes, features, len(cells))


def _on_disk(path: Path, rows: int, width: int) -> Float16Array:
    """Return an array (rows, width) in half precision in a file."""
    array: Float16Array = np.memmap(path, np.float16, "w+", shape=(rows, width))
    return array


def _sum_clusters(
    features: Float16Array, cluster: npt.NDArray[np.int32], own: Float16Array
) -> None:
    """Write the mean direction (L, K) of each cluster; features (N, K) are sorted by cluster."""
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    ends = np.append(first[1:], len(cluster))
    done = 0
    while done < len(first):
        upto = int(np.searchsorted(ends, first[done] + _SUMMED_AT_ONCE, "right"))
        upto = max(upto, done + 1)
        block = np.asarray(features[first[done] : ends[upto - 1]], np.float32)
        sums: Float32Array = np.add.reduceat(block, first[done:upto] - first[done], axis=0)
        own[done:upto] = normalise(sums)
        done = upto


def tiles(latlon: Float64Array, scale_km: float) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield the rows of each tile, and the rows in reach of them, all ascending.

    Args:
        latlon: (L, 2) degrees.
        scale_km: largest scale of the smoothing, whose reach is twice the scale, plus a square.
    """
    lat, lon = latlon.T
    band = np.floor(lat / TILE_DEG).astype(np.int64)
    reach_deg = 4.0 * scale_km / _KM_PER_DEG
    for number in np.unique(band):
        own = np.flatnonzero(band == number)
        south, north = number * TILE_DEG, (number + 1) * TILE_DEG
        about = np.flatnonzero((lat >= south - reach_deg) & (lat < north + reach_deg))
        narrow = np.cos(np.radians(min(max(abs(south), abs(north)) + reach_deg, 89.0)))
        step, wide = TILE_DEG / narrow, reach_deg / narrow
        column = np.floor(lon[own] / step).astype(np.int64)
        for each in np.unique(column):
            west = each * step
            yield own[column == each], about[_between(lon[about], west - wide, west + step + wide)]


def _between(lon: Float64Array, west: float, east: float) -> BoolArray:
    """Return which longitudes (N,) lie between two meridians, across 180° as well."""
    return np.asarray(np.mod(lon - west, 360.0) <= min(east - west, 360.0))
