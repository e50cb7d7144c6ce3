"""Density clustering on the sphere, bounded in time and memory.

Photos are thinned to at most a thousand weighted sites before they are clustered, so that a unit of
a million photos costs what one of a thousand does, and the order of the photos has no influence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from geocells.sphere import dot, latlon_from_vectors
from geocells.types import Float64Array, IndexArray

NOISE = -1

_FINEST_RAD = 1e-6
"""Sites are 6 m apart at least: closer ones are one place to any camera."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Weighted points that stand for the photos around them."""

    xyz: Float64Array
    """(S, 3) unit vectors, the means of their photos."""
    weight: Float64Array
    """(S,) number of photos."""

    def __len__(self) -> int:
        return len(self.weight)


def thin(xyz: Float64Array, most: int) -> Sites:
    """Unite neighbouring photos until at most `most` sites are left.

    Photos share a site if they lie in one square of a grid of parallels and of meridians that are
    as far apart at the photos' middle latitude; the finest grid that is coarse enough is taken.

    Args:
        xyz: (N, 3) unit vectors, N >= 1.
        most: how many sites at most.
    """
    latlon = np.radians(latlon_from_vectors(xyz))
    centre = np.arctan2(xyz[:, 1].sum(), xyz[:, 0].sum())
    lon = np.mod(latlon[:, 1] - centre + np.pi, 2 * np.pi) - np.pi
    plane = np.stack([latlon[:, 0], lon * np.cos(latlon[:, 0].mean())], axis=1)
    plane -= plane.min(axis=0)
    step = max(_FINEST_RAD, float(plane.max()) / most)  # at least this fine can be too fine only
    while True:
        square = np.floor(plane / step).astype(np.int64)
        _, site = np.unique(square[:, 0] * (1 << 32) + square[:, 1], return_inverse=True)
        weight = np.bincount(site).astype(float)
        if len(weight) <= most:
            break
        step *= 1.25
    sums = np.stack([np.bincount(site, xyz[:, axis]) for axis in range(3)], axis=1)
    return Sites(sums / np.linalg.norm(sums, axis=1, keepdims=True), weight)


def optics_labels(sites: Sites, min_samples: int, xi: float) -> IndexArray:
    """Clusters of photos by OPTICS with the xi method (Ankerst et al., 1999).

    The ordering of weighted sites is computed here, a row of distances at a time: that is 30 times
    quicker than scikit-learn's, which searches a tree again for each point, and gives the same
    clusters where all weights are 1. The clusters are read off the ordering by scikit-learn.

    Args:
        sites: S sites.
        min_samples: photos within the core distance of a site, itself included.
        xi: smallest relative drop of reachability at the rim of a cluster.

    Returns:
        (S,) cluster numbers from 0, and NOISE.
    """
    from sklearn.cluster import cluster_optics_xi

    fewest = max(2, round(min_samples * len(sites) / sites.weight.sum()))
    if fewest > len(sites):
        return np.full(len(sites), NOISE)
    ordering, reachability, predecessor = _optics(sites, min_samples)
    labels: IndexArray = cluster_optics_xi(
        reachability=reachability,
        predecessor=predecessor,
        ordering=ordering,
        min_samples=fewest,
        xi=xi,
    )[0]
    return labels


def hdbscan_labels(sites: Sites, min_samples: int, min_count: int) -> IndexArray:
    """Clusters of photos by HDBSCAN (Campello et al., 2013), as scikit-learn has it.

    Args:
        sites: S sites; weights count only in how many sites make `min_samples` photos.
        min_samples: photos within the core distance.
        min_count: photos of the smallest cluster.

    Returns:
        (S,) cluster numbers from 0, and NOISE.
    """
    from sklearn.cluster import HDBSCAN

    share = len(sites) / sites.weight.sum()
    smallest = max(2, round(min_count * share))
    nearest = max(1, round(min_samples * share))
    if max(smallest, nearest) > len(sites):
        return np.full(len(sites), NOISE)
    model = HDBSCAN(min_cluster_size=smallest, min_samples=nearest, copy=True)
    labels: IndexArray = model.fit(sites.xyz).labels_
    return labels


def _optics(sites: Sites, min_samples: int) -> tuple[IndexArray, Float64Array, IndexArray]:
    """OPTICS ordering, reachability (chords) and predecessors, each (S,), by site."""
    xyz = sites.xyz
    core = _core_distances(sites, min_samples)
    reachability = np.full(len(sites), np.inf)
    predecessor = np.full(len(sites), -1)
    ordering = np.empty(len(sites), np.intp)
    waiting = np.full(len(sites), np.inf)  # reachability of sites not yet ordered
    done = np.zeros(len(sites), np.bool_)
    for position in range(len(sites)):
        site = int(np.argmin(waiting))
        if waiting[site] == np.inf:  # nothing is reachable: the next site begins anew
            site = int(np.argmin(done))
        ordering[position] = site
        done[site] = True
        waiting[site] = np.inf
        if core[site] == np.inf:
            continue
        difference = xyz - xyz[site]
        reach = np.sqrt(dot(difference, difference))
        np.maximum(reach, core[site], out=reach)
        nearer = np.flatnonzero((reach < reachability) & ~done)
        reachability[nearer] = waiting[nearer] = reach[nearer]
        predecessor[nearer] = site
    return ordering, reachability, predecessor


def _core_distances(sites: Sites, min_samples: int) -> Float64Array:
    """Chord (S,) to where `min_samples` photos are within reach; infinite if there are fewer."""
    k = min(min_samples, len(sites))
    chord, index = KDTree(sites.xyz).query(sites.xyz, k=np.arange(1, k + 1))
    photos = np.cumsum(sites.weight[index], axis=1)
    enough = photos >= min_samples
    reached = np.take_along_axis(chord, enough.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(enough[:, -1], reached, np.inf)
