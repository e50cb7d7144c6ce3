"""Location clusters as published with PIGEON (section 5.1): OPTICS in each geocell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.partition.clustering import NOISE, Sites, optics_labels
from geocells.sphere import unit_vectors
from geocells.table import CellTable
from geoloc.retrieval.gallery import Gallery
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest
from training.gallery.cluster import gallery_of

PRESETS = {"pigeon": (3, 0.15), "pigeotto": (100, 0.1)}
"""(min_samples, xi) of OPTICS."""


def build_published_gallery(
    manifest: Manifest, features: Float32Array, cells: CellTable, preset: str
) -> Gallery:
    """Cluster photos by OPTICS and build the retrieval index.

    A prototype is the mean of its photos. Photos that OPTICS considers noise are left out, and can
    never be retrieved.

    Args:
        manifest: N photos.
        features: (N, K) retrieval features.
        cells: geocells.
        preset: a key of PRESETS.
    """
    cell = cells.locate(manifest.latlon)
    cluster = optics_clusters(manifest.latlon, cell, *PRESETS[preset])
    kept = np.flatnonzero(cluster != NOISE)
    return gallery_of(
        manifest.take(kept), features[kept], cell[kept], cluster[kept], len(cells), scales_km=()
    )


def optics_clusters(
    latlon: Float64Array, cell: npt.NDArray[np.integer], min_samples: int, xi: float
) -> IndexArray:
    """Return the cluster number (N,) of each photo, NOISE for none; numbers ascend with the cell.

    The photos of a cell with fewer than `min_samples` are one cluster.

    Args:
        latlon: (N, 2) degrees.
        cell: (N,) cell of each photo.
        min_samples: photos within the core distance, the photo itself included.
        xi: smallest relative drop of reachability at the edge of a cluster.
    """
    xyz = unit_vectors(latlon)
    cluster = np.full(len(latlon), NOISE, np.intp)
    order = np.argsort(cell, kind="stable")
    count = 0
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        if len(rows) < min_samples:
            label: IndexArray = np.zeros(len(rows), np.intp)
        else:
            label = optics_labels(Sites(xyz[rows], np.ones(len(rows))), min_samples, xi)
        cluster[rows] = np.where(label == NOISE, NOISE, label + count)
        count += int(label.max()) + 1
    return cluster
