"""Density clustering on the sphere in bounded time and memory.

Photos are thinned to at most a thousand weighted sites before clustering. A unit of a million
photos then costs as much as one of a thousand, and the order of the photos has no influence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from geocells.sphere import dot, latlon_from_vectors
from geocells.types import Float64Array, IndexArray

NOISE = -1

_FINEST_RAD = 1e-6
"""Smallest grid step, 6 m: photos this close show the same place."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Weighted points, each of which replaces the photos around it."""

    xyz: Float64Array
    """(S, 3) unit vectors, the mean directions of the photos."""
    weight: Float64Array
    """(S,) number of photos."""

    def __len__(self) -> int:
        return len(self.weight)


def thin(xyz: Float64Array, max_sites: int) -> Sites:
    """Replace photos by at most `max_sites` weighted sites.

    Photos in one square of a grid become one site. The squares are bounded by parallels and
    meridians, with equal sides at the mean latitude. The grid is refined as far as the number of
    sites allows.

    Args:
        xyz: (N, 3) unit vectors, N >= 1.
        max_sites: largest number of sites.
    """
    latlon = np.radians(latlon_from_vectors(xyz))
    centre = np.arctan2(xyz[:, 1].sum(), xyz[:, 0].sum())
    lon = np.mod(latlon[:, 1] - centre + np.pi, 2 * np.pi) - np.pi
    plane = np.stack([latlon[:, 0], lon * np.cos(latlon[:, 0].mean())], axis=1)
    plane -= plane.min(axis=0)
    step = max(_FINEST_RAD, float(plane.max()) / max_sites)  # no finer grid can be coarse enough
    while True:
        square = np.floor(plane / step).astype(np.int64)
        _, site = np.unique(square[:, 0] * (1 << 32) + square[:, 1], return_inverse=True)
        weight = np.bincount(site).astype(float)
        if len(weight) <= max_sites:
            break
        step *= 1.25
    sums = np.stack([np.bincount(site, xyz[:, axis]) for axis in range(3)], axis=1)
    return Sites(sums / np.linalg.norm(sums, axis=1, keepdims=True), weight)


def optics_labels(sites: Sites, min_samples: int, xi: float) -> IndexArray:
    """Return clusters of sites by OPTICS with the xi method (Ankerst et al., 1999).

    The ordering is computed here, one row of distances at a time, because scikit-learn's OPTICS has
    no weights and is 30 times slower: it searches a tree for each point. With weights of 1 the
    clusters are the same. scikit-learn extracts the clusters from the ordering.

    Args:
        sites: S sites.
        min_samples: number of photos within the core distance of a site, its own included.
        xi: smallest relative drop of reachability at the edge of a cluster.

    Returns:
        (S,) cluster numbers from 0; NOISE for sites in no cluster.
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
    """Return clusters of sites by HDBSCAN of scikit-learn (Campello et al., 2013).

    Args:
        sites: S sites; their weights are used only to convert numbers of photos to numbers of
            sites.
        min_samples: number of photos within the core distance.
        min_count: number of photos of the smallest cluster.

    Returns:
        (S,) cluster numbers from 0; NOISE for sites in no cluster.
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
    """Return the OPTICS ordering, and reachability (chords) and predecessors by site, (S,) each."""
    xyz = sites.xyz
    core = _core_distances(sites, min_samples)
    reachability = np.full(len(sites), np.inf)
    predecessor = np.full(len(sites), -1)
    ordering = np.empty(len(sites), np.intp)
    waiting = np.full(len(sites), np.inf)  # reachability of sites not yet ordered
    done = np.zeros(len(sites), np.bool_)
    for position in range(len(sites)):
        site = int(np.argmin(waiting))
        if waiting[site] == np.inf:  # no site is reachable: continue with the first unprocessed one
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
    """Return the chord (S,) that encloses `min_samples` photos; infinite if there are fewer."""
    k = min(min_samples, len(sites))
    chord, index = KDTree(sites.xyz).query(sites.xyz, k=np.arange(1, k + 1))
    photos = np.cumsum(sites.weight[index], axis=1)
    enough = photos >= min_samples
    reached = np.take_along_axis(chord, enough.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(enough[:, -1], reached, np.inf)
