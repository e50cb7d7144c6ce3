"""Location clusters: groups of photos taken within 250 m of each other, in one geocell."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from geocells.sphere import EARTH_RADIUS_KM, group_means, unit_vectors
from geocells.table import CellTable
from geoloc.io.texts import AnyTexts
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.tables import Clusters, Members
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest
from training.gallery.prototypes import SCALES_KM, prototypes

DIAMETER_KM = 0.25
"""Maximum distance between two photos of a cluster."""

_LINKAGE_LIMIT = 1000
"""Maximum number of photos clustered together, as all pairwise distances are in memory."""


def build_gallery(
    manifest: Manifest,
    features: Float32Array,
    cells: CellTable,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Gallery:
    """Cluster photos and build the retrieval index.

    Every photo belongs to a cluster, even one of its own. PIGEON, in contrast, drops the photos
    that its clustering considers noise and can never retrieve them.

    Args:
        manifest: N photos.
        features: (N, K) retrieval features.
        cells: geocells.
        scales_km: scales of the smoothing of prototypes; see `prototypes`.
    """
    cell = cells.locate(manifest.latlon)
    cluster = cluster_photos(manifest.latlon, cell)
    return gallery_of(manifest, features, cell, cluster, len(cells), scales_km)


def gallery_of(
    manifest: Manifest,
    features: Float32Array,
    cell: npt.NDArray[np.integer],
    cluster: IndexArray,
    n_cells: int,
    scales_km: tuple[float, ...],
) -> Gallery:
    """Build the retrieval index of clustered photos.

    Args:
        manifest: N photos.
        features: (N, K) retrieval features.
        cell: (N,) cell of each photo.
        cluster: (N,) cluster of each photo, 0..L-1; numbers ascend with the cell.
        n_cells: number of geocells.
        scales_km: scales of the smoothing of prototypes; see `prototypes`.
    """
    order, clusters, members = tables_of(manifest, cell, cluster)
    prototype = prototypes(features[order], members.cluster, clusters.latlon, scales_km)
    return Gallery.build(clusters, members, prototype, features[order], n_cells)


class Attributed(Protocol):
    """N photos with coordinates, and the attribution that licences require."""

    @property
    def latlon(self) -> Float64Array:
        """Degrees (N, 2)."""
        ...

    @property
    def source(self) -> AnyTexts:
        """Where each photo (N,) comes from."""
        ...

    @property
    def licence(self) -> AnyTexts:
        """Licence (N,) of each photo."""
        ...

    @property
    def author(self) -> AnyTexts:
        """Author (N,) of each photo."""
        ...


def tables_of(
    photos: Attributed, cell: npt.NDArray[np.integer], cluster: IndexArray
) -> tuple[IndexArray, Clusters, Members]:
    """Return the rows (N,) of the photos by cluster, and the tables of clusters and members.

    Args:
        photos: N photos.
        cell: (N,) as for `gallery_of`.
        cluster: (N,) as for `gallery_of`.
    """
    order = np.argsort(cluster, kind="stable")
    first = np.unique(cluster[order], return_index=True)[1]
    latlon = photos.latlon[order]
    clusters = Clusters(
        cell=cell[order[first]].astype(np.int32),
        latlon=group_means(latlon, cluster[order], len(first)),
        count=np.bincount(cluster).astype(np.int32),
    )
    members = Members(
        cluster=cluster[order].astype(np.int32),
        latlon=latlon,
        source=photos.source[order],
        licence=photos.licence[order],
        author=photos.author[order],
    )
    return order, clusters, members


def cluster_photos(latlon: Float64Array, cell: npt.NDArray[np.integer]) -> IndexArray:
    """Return the cluster number (N,) of each photo; the numbers ascend with the cell.

    Args:
        latlon: (N, 2) degrees.
        cell: (N,) cell of each photo.
    """
    xyz = unit_vectors(latlon)
    cluster = np.empty(len(latlon), np.intp)
    order = np.argsort(cell, kind="stable")
    count = 0
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        for part in _parts(xyz, rows):
            label = _complete_linkage(xyz[part])
            cluster[part] = count + label
            count += int(label.max()) + 1
    return cluster


def _complete_linkage(xyz: Float64Array) -> IndexArray:
    """Label photos so that no two of a label are farther apart than DIAMETER_KM."""
    if len(xyz) == 1:
        return np.zeros(1, np.intp)
    chord = 2.0 * np.sin(DIAMETER_KM / EARTH_RADIUS_KM / 2.0)
    label = fcluster(linkage(xyz, "complete"), chord, "distance")
    return np.unique(label, return_inverse=True)[1]


def _parts(xyz: Float64Array, rows: IndexArray) -> list[IndexArray]:
    """Halve the photos along their longest axis until each part is within the limit."""
    if len(rows) <= _LINKAGE_LIMIT:
        return [rows]
    axis = int(np.argmax(np.ptp(xyz[rows], axis=0)))
    ranked = rows[np.argsort(xyz[rows, axis], kind="stable")]
    half = len(ranked) // 2
    return _parts(xyz, ranked[:half]) + _parts(xyz, ranked[half:])
