"""Splitting of units that have too many photos, by clustering (PIGEON's "OPTICS + Voronoi")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy.spatial import KDTree

from geocells.partition.clustering import NOISE, Sites, hdbscan_labels, optics_labels, thin
from geocells.partition.config import CellConfig
from geocells.partition.cutting import middle_meridian, project_around
from geocells.partition.voronoi import divide
from geocells.sphere import dot
from geocells.types import Float64Array, IndexArray


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a unit."""

    path: str
    """The splits that produced it, for example "#2.0"; "" for an unsplit unit."""
    polygon: shapely.Geometry
    xyz: Float64Array
    """(N, 3) unit vectors of its photos; photos at sea are moved to the nearest coast."""
    round: int = 0
    """The next clustering round."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A proposed division: labelled sites; each point gets the label of the nearest site."""

    sites: Float64Array
    label: IndexArray
    contiguous: bool = True
    """Whether minor pieces of a label get the label around them."""


def split(piece: Piece, config: CellConfig) -> list[Piece]:
    """Split a piece until no part has more than `config.max_count` photos, if that is possible.

    Each clustering round is applied to its own results until it finds no more clusters; then the
    next round starts. A piece that no round can split is bisected along a great circle. Photos at
    the same coordinates are never separated.

    Returns:
        Pieces that together cover the given one, each with at least `config.min_count` photos.
    """
    done: list[Piece] = []
    waiting = [piece]
    while waiting:
        current = waiting.pop()
        parts = _parts(current, config) if len(current.xyz) > config.max_count else []
        if parts:
            waiting += parts[::-1]
        else:
            done.append(current)
    return done


def _parts(piece: Piece, config: CellConfig) -> list[Piece]:
    """Return the parts by the first plan that works; none if no plan does."""
    photos = thin(piece.xyz, config.max_sites)
    if len(photos) < 2:
        return []
    for number, plan in _plans(photos, piece.round, config):
        parts = _apply(piece, photos, plan, number, config.min_count)
        if parts:
            return parts
    return []


def _plans(photos: Sites, start: int, config: CellConfig) -> Iterator[tuple[int, Plan]]:
    """Yield possible plans, best first, each with the next clustering round of its parts."""
    for number in range(start, len(config.rounds)):
        samples, xi = config.rounds[number]
        if config.clustering == "optics":
            label = optics_labels(photos, samples, xi)
        else:
            label = hdbscan_labels(photos, samples, config.min_count)
        plan = _plan_of_clusters(photos, label, config)
        if plan:
            yield number, plan
    halves = [
        _bisect(photos, axis, max(config.min_count, side * photos.weight.sum()))
        for axis, side in ((0, 1 / 3), (0, 0.45), (1, 0.45))
    ]
    for contiguous in (True, False):  # rather several pieces than too many photos
        for plan in halves:
            if plan:
                yield len(config.rounds), replace(plan, contiguous=contiguous)


def _plan_of_clusters(photos: Sites, label: IndexArray, config: CellConfig) -> Plan | None:
    """Return a plan for clusters by PIGEON's rules, or None if there are too few.

    Clusters with too few photos count as noise. A single cluster is separated from the noise,
    unless the noise has too many photos for one cell. Two clusters become two cells with the border
    between their sites. More become cells around the centres of the clusters. Noise sites belong to
    the cluster with the nearest centre.
    """
    count = np.bincount(label - NOISE, photos.weight)  # the first entry is noise
    large = np.flatnonzero(count >= config.min_count) + NOISE
    clusters = large[large != NOISE]
    if len(large) < 2:
        return None
    if len(clusters) == 1:
        if count[0] > config.max_count:
            return None
        return Plan(photos.xyz, (label == clusters[0]).astype(np.intp))
    rank = np.full(len(count), -1)
    rank[clusters - NOISE] = np.arange(len(clusters))
    owner = rank[label - NOISE]
    centres = _centres(photos, owner, len(clusters))
    loose = np.flatnonzero(owner < 0)
    if len(loose):
        owner[loose] = KDTree(centres).query(photos.xyz[loose])[1]
    if len(clusters) == 2:
        return Plan(photos.xyz, owner)
    return _around_centres(photos, centres, config.min_count)


def _centres(photos: Sites, owner: IndexArray, n_clusters: int) -> Float64Array:
    """Return the spherical means (n_clusters, 3) of clusters; sites of owner -1 are ignored."""
    mine = owner >= 0
    weighted = photos.xyz[mine] * photos.weight[mine, None]
    sums = [np.bincount(owner[mine], weighted[:, axis], n_clusters) for axis in range(3)]
    centres = np.stack(sums, axis=1)
    unit: Float64Array = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    return unit


def _around_centres(photos: Sites, centres: Float64Array, min_count: int) -> Plan | None:
    """Return cells around centres; the smallest is dropped until all have enough photos."""
    while len(centres) >= 2:
        nearest = KDTree(centres).query(photos.xyz)[1]
        count = np.bincount(nearest, photos.weight, len(centres))
        if count.min() >= min_count:
            return Plan(centres, np.arange(len(centres)))
        centres = np.delete(centres, int(np.argmin(count)), axis=0)
    return None


def _bisect(photos: Sites, axis: int, min_count: float) -> Plan | None:
    """Return two halves separated by a great circle, or None if no gap separates the photos.

    The great circle runs through the widest gap that leaves `min_count` photos on each side. It is
    perpendicular to the principal axis of the photos (`axis` 0) or parallel to it (1).
    """
    centre = _centres(photos, np.zeros(len(photos), np.intp), 1)[0]
    offset = photos.xyz - centre
    spread = [[(offset[:, i] * offset[:, j] * photos.weight).sum() for j in range(3)]
              for i in range(3)]  # fmt: skip
    direction = np.round(
        np.linalg.eigh(spread)[1][:, 2 - axis], 9
    )  # rounded, so that it is the same on any machine
    direction = direction * np.sign(direction[np.argmax(np.abs(direction))])
    direction = direction - dot(direction, centre) * centre
    direction /= np.linalg.norm(direction)
    angle = np.arctan2(dot(photos.xyz, direction), dot(photos.xyz, centre))
    order = np.argsort(angle, kind="stable")
    below = np.cumsum(photos.weight[order])[:-1]
    gap = np.diff(angle[order])
    gap[np.minimum(below, photos.weight.sum() - below) < min_count] = 0.0
    place = int(np.argmax(gap))
    if gap[place] <= 0.0:
        return None
    cut = angle[order[place]] + gap[place] / 2.0
    half = np.array([cut - 0.1, cut + 0.1])[:, None]  # two sites at equal distances from the cut
    return Plan(np.cos(half) * centre + np.sin(half) * direction, np.arange(2))


def _apply(piece: Piece, photos: Sites, plan: Plan, number: int, min_count: int) -> list[Piece]:
    """Return the pieces of a plan; none if one of them has too few photos or no area."""
    owner = plan.label[KDTree(plan.sites).query(piece.xyz)[1]]
    if np.bincount(owner, minlength=2).min() < min_count:
        return []
    land = divide(piece.polygon, plan.sites, plan.label, photos if plan.contiguous else None)
    owner = _on_land(piece, land, owner)
    count = np.bincount(owner, minlength=len(land))
    if count.min() < min_count or shapely.is_empty(land).any():
        return []
    order = np.argsort(-count, kind="stable")
    prefix = piece.path + "." if piece.path else "#"
    return [
        Piece(f"{prefix}{rank}", land[label], piece.xyz[owner == label], number)
        for rank, label in enumerate(order.tolist())
    ]


def _on_land(piece: Piece, land: shapely.Geometry, owner: IndexArray) -> IndexArray:
    """Return labels (N,) of photos by the polygon that covers them; others keep their label."""
    lon, lat = project_around(piece.xyz, middle_meridian(piece.polygon))
    shapely.prepare(land)
    owner = owner.copy()
    outside = ~shapely.intersects_xy(land[owner], lon, lat)
    for label, shape in enumerate(land):
        rows = np.flatnonzero(outside)
        inside = rows[shapely.intersects_xy(shape, lon[rows], lat[rows])]
        owner[inside] = label
        outside[inside] = False
    return owner
