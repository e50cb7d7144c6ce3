"""Location clusters: the photos of one place inside one geocell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from geocells.sphere import EARTH_RADIUS_KM, group_means, unit_vectors
from geocells.table import CellTable
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.tables import Clusters, Members
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest
from training.gallery.prototypes import SCALES_KM, prototypes

DIAMETER_KM = 0.25
"""No two photos of a cluster are farther apart."""

_AT_ONCE = 1000
"""Most photos of a cell that are clustered together: the distances of all pairs are in memory."""


def build_gallery(
    manifest: Manifest,
    features: Float32Array,
    cells: CellTable,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Gallery:
    """Cluster photos and index them.

    Every photo is in a cluster, alone if need be: PIGEON drops what its clustering calls noise, and
    can never retrieve it.

    Args:
        manifest: N photos.
        features: (N, K) retrieval features.
        cells: geocells.
        scales_km: of the surroundings that prototypes are blended with.
    """
    cell = cells.locate(manifest.latlon)
    cluster = cluster_photos(manifest.latlon, cell)
    order = np.argsort(cluster, kind="stable")
    first = np.unique(cluster[order], return_index=True)[1]
    ordered = manifest.take(order)
    clusters = Clusters(
        cell=cell[order][first].astype(np.int32),
        latlon=group_means(ordered.latlon, cluster[order], len(first)),
        count=np.bincount(cluster).astype(np.int32),
    )
    members = Members(
        cluster=cluster[order].astype(np.int32),
        latlon=ordered.latlon,
        source=ordered.source,
        licence=ordered.licence,
        author=ordered.author,
    )
    typical = prototypes(features[order], members.cluster, clusters.latlon, scales_km)
    return Gallery.build(clusters, members, typical, features[order], len(cells))


def cluster_photos(latlon: Float64Array, cell: npt.NDArray[np.integer]) -> IndexArray:
    """Cluster number (N,) of each photo; numbers ascend with the cell."""
    xyz = unit_vectors(latlon)
    cluster = np.empty(len(latlon), np.intp)
    order = np.argsort(cell, kind="stable")
    done = 0
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        for part in _parts(xyz, rows):
            label = _complete_linkage(xyz[part])
            cluster[part] = done + label
            done += int(label.max()) + 1
    return cluster


def _complete_linkage(xyz: Float64Array) -> IndexArray:
    if len(xyz) == 1:
        return np.zeros(1, np.intp)
    chord = 2.0 * np.sin(DIAMETER_KM / EARTH_RADIUS_KM / 2.0)
    label = fcluster(linkage(xyz, "complete"), chord, "distance")
    return np.unique(label, return_inverse=True)[1]


def _parts(xyz: Float64Array, rows: IndexArray) -> list[IndexArray]:
    """Halve rows across their longest extent until each part is small enough."""
    if len(rows) <= _AT_ONCE:
        return [rows]
    axis = int(np.argmax(np.ptp(xyz[rows], axis=0)))
    ranked = rows[np.argsort(xyz[rows, axis], kind="stable")]
    half = len(ranked) // 2
    return _parts(xyz, ranked[:half]) + _parts(xyz, ranked[half:])
