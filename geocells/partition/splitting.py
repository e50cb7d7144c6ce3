"""Units with too many photos, split where photos cluster (PIGEON's "OPTICS + Voronoi")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy.spatial import KDTree

from geocells.partition.clustering import NOISE, Sites, hdbscan_labels, optics_labels, thin
from geocells.partition.config import CellConfig
from geocells.partition.cutting import around, middle_meridian
from geocells.partition.voronoi import divide
from geocells.sphere import dot
from geocells.types import Float64Array, IndexArray


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a unit."""

    path: str
    """The splits that lead to it, for example "#2.0"; "" for the whole unit."""
    polygon: shapely.Geometry
    xyz: Float64Array
    """(N, 3) unit vectors of its photos; those at sea are where the shore is nearest."""
    round: int = 0
    """The clustering round to go on with."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Labelled sites: each spot goes to the label of the nearest one."""

    sites: Float64Array
    label: IndexArray
    tidy: bool = True
    """Whether lesser pieces of a label's land join the label around them."""


def split(piece: Piece, config: CellConfig) -> list[Piece]:
    """Split until no piece has more than `config.max_count` photos, where that is possible.

    Each clustering round is repeated on what it made until it finds nothing more; then comes the
    next round. What no round can split is bisected along a great circle. Photos at one spot are
    never parted.

    Returns:
        Pieces that tile the given one, each with `config.min_count` photos at least.
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
    photos = thin(piece.xyz, config.most_sites)
    if len(photos) < 2:
        return []
    for number, plan in _plans(photos, piece.round, config):
        parts = _carry_out(piece, photos, plan, number, config.min_count)
        if parts:
            return parts
    return []


def _plans(photos: Sites, start: int, config: CellConfig) -> Iterator[tuple[int, Plan]]:
    """What could be done, the best first, and the round that its pieces go on with."""
    for number in range(start, len(config.rounds)):
        samples, xi = config.rounds[number]
        if config.clustering == "optics":
            label = optics_labels(photos, samples, xi)
        else:
            label = hdbscan_labels(photos, samples, config.min_count)
        plan = _plan(photos, label, config)
        if plan:
            yield number, plan
    halves = [
        _bisect(photos, axis, max(config.min_count, side * photos.weight.sum()))
        for axis, side in ((0, 1 / 3), (0, 0.45), (1, 0.45))
    ]
    for tidy in (True, False):  # cells in several pieces rather than cells that are too full
        for plan in halves:
            if plan:
                yield len(config.rounds), replace(plan, tidy=tidy)


def _plan(photos: Sites, label: IndexArray, config: CellConfig) -> Plan | None:
    """What to do with clusters, as PIGEON does.

    Clusters with too few photos are noise. One cluster within much noise is carved out, unless the
    noise alone is too much for a cell. Of two clusters one is carved out; more are cells around
    their centres. Noise goes to the cluster with the nearest centre.
    """
    count = np.bincount(label - NOISE, photos.weight)  # noise first
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
    """Spherical means (n_clusters, 3) of clusters; owner -1 is nobody's."""
    mine = owner >= 0
    weighted = photos.xyz[mine] * photos.weight[mine, None]
    sums = [np.bincount(owner[mine], weighted[:, axis], n_clusters) for axis in range(3)]
    centres = np.stack(sums, axis=1)
    unit: Float64Array = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    return unit


def _around_centres(photos: Sites, centres: Float64Array, min_count: int) -> Plan | None:
    """Cells around centres; the one with fewest photos is dropped until all have enough."""
    while len(centres) >= 2:
        nearest = KDTree(centres).query(photos.xyz)[1]
        count = np.bincount(nearest, photos.weight, len(centres))
        if count.min() >= min_count:
            return Plan(centres, np.arange(len(centres)))
        centres = np.delete(centres, int(np.argmin(count)), axis=0)
    return None


def _bisect(photos: Sites, axis: int, least: float) -> Plan | None:
    """Two halves along a great circle, in the widest gap that leaves `least` photos on each side.

    It runs across the photos' longest extent (`axis` 0) or along it (1).
    """
    centre = _centres(photos, np.zeros(len(photos), np.intp), 1)[0]
    offset = photos.xyz - centre
    spread = [[(offset[:, i] * offset[:, j] * photos.weight).sum() for j in range(3)]
              for i in range(3)]  # fmt: skip
    direction = np.round(np.linalg.eigh(spread)[1][:, 2 - axis], 9)  # the same on any machine
    direction = direction * np.sign(direction[np.argmax(np.abs(direction))])
    direction = direction - dot(direction, centre) * centre
    direction /= np.linalg.norm(direction)
    angle = np.arctan2(dot(photos.xyz, direction), dot(photos.xyz, centre))
    order = np.argsort(angle, kind="stable")
    below = np.cumsum(photos.weight[order])[:-1]
    gap = np.diff(angle[order])
    gap[np.minimum(below, photos.weight.sum() - below) < least] = 0.0
    place = int(np.argmax(gap))
    if gap[place] <= 0.0:
        return None
    cut = angle[order[place]] + gap[place] / 2.0
    half = np.array([cut - 0.1, cut + 0.1])[:, None]  # any two sites across the cut will do
    return Plan(np.cos(half) * centre + np.sin(half) * direction, np.arange(2))


def _carry_out(piece: Piece, photos: Sites, plan: Plan, number: int, min_count: int) -> list[Piece]:
    """The pieces that a plan leads to; none if one of them had too few photos or no land."""
    owner = plan.label[KDTree(plan.sites).query(piece.xyz)[1]]
    if np.bincount(owner, minlength=2).min() < min_count:
        return []
    land = divide(piece.polygon, plan.sites, plan.label, photos if plan.tidy else None)
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
    """Labels (N,) of photos by the land they are on; those at sea keep their label."""
    lon, lat = around(piece.xyz, middle_meridian(piece.polygon))
    shapely.prepare(land)
    owner = owner.copy()
    astray = ~shapely.intersects_xy(land[owner], lon, lat)
    for label, shape in enumerate(land):
        rows = np.flatnonzero(astray)
        inside = rows[shapely.intersects_xy(shape, lon[rows], lat[rows])]
        owner[inside] = label
        astray[inside] = False
    return owner
