"""Held-out questions of every kind: single photos and groups, anywhere and within constraints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import KM_PER_DEG, destination
from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.belief.areas import Constraint
from geoloc.belief.constraints import parse
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.narrowed import Narrowed
from geoloc.errors import ConstraintError
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.heldout import IN_COLLECTION_SHARE, HeldOut, draw

GROUP_SIZES = (2, 4, 8, 12, 15)
"""Photos of the groups that are drawn."""

DRAWS_PER_PLACE = 3
"""Groups drawn of each size at each place."""

CONSTRAINTS = ("country", "region", "circle", "box")

SMALLEST_KM, LARGEST_KM = 50.0, 1000.0
"""Radii of circles, and half the sides of boxes."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Q questions about held-out photos."""

    rows: list[IndexArray]
    """(Q,) the photos of each question, rows of a `HeldOut`."""
    within: list[str]
    """(Q,) the constraint of each question; "" for none."""
    weights: Float32Array
    """(Q,) of the questions, each for those that it stands for."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def first(self) -> IndexArray:
        """(Q,) the first photo of each question."""
        return np.array([rows[0] for rows in self.rows], np.intp)

    @property
    def photos(self) -> IndexArray:
        """(Q,) the number of photos of each question."""
        return np.array([len(rows) for rows in self.rows], np.intp)

    def take(self, index: IndexArray) -> Asked:
        """Return some questions."""
        rows, within = ([part[i] for i in index] for part in (self.rows, self.within))
        return Asked(rows, within, self.weights[index])


def every_photo(held_out: HeldOut) -> Asked:
    """Return a question about each photo."""
    count = len(held_out)
    return Asked([np.array([row]) for row in range(count)], [""] * count, held_out.weights)


def some_photos(held_out: HeldOut, most: int, seed: int) -> Asked:
    """Return questions about at most so many photos, drawn with their weights."""
    return drawn(every_photo(held_out), most, seed)


def drawn(asked: Asked, most: int, seed: int) -> Asked:
    """Return at most so many questions, drawn with their weights; see `draw`."""
    rows, weights = draw(asked.weights, most, np.random.default_rng(seed))
    return replace(asked.take(rows), weights=weights)


def groups_of_photos(held_out: HeldOut, most: int, seed: int) -> Asked:
    """Draw groups of photos of one place that the same ranker answers.

    Args:
        held_out: the photos.
        most: upper limit on the number of groups.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    known = np.where(held_out.new, " new ", " known ")
    key = np.char.add(np.char.add(held_out.ranker.astype(str), known), held_out.place.astype(str))
    order = np.argsort(key, kind="stable")
    starts = np.unique(key[order], return_index=True)[1]
    groups = []
    for members in np.split(order, starts[1:]):
        for size in GROUP_SIZES:
            if len(members) >= size:
                draws = DRAWS_PER_PLACE if len(members) > size else 1
                groups += [rng.choice(members, size, replace=False) for _ in range(draws)]
    if not groups:
        return Asked([], [], np.zeros(0, np.float32))
    return drawn(Asked(groups, [""] * len(groups), _group_weights(held_out, groups)), most, seed)


def _group_weights(held_out: HeldOut, groups: list[IndexArray]) -> Float32Array:
    """Return weights (Q,) of groups: collections balanced, and each size counted the same.

    Otherwise the many pairs, and the places of the largest collection, would decide.
    """
    first = np.array([rows[0] for rows in groups], np.intp)
    photos = np.array([len(rows) for rows in groups], np.intp)
    kind = np.column_stack([held_out.collection[first], held_out.new[first], photos])
    place, count = np.unique(kind, axis=0, return_inverse=True, return_counts=True)[1:]
    weight = np.where(held_out.new[first], 1.0, IN_COLLECTION_SHARE) / count[place.ravel()]
    for size in np.unique(photos):
        weight[photos == size] /= weight[photos == size].sum()
    return np.asarray(weight / weight.mean(), np.float32)


def mixed_groups(held_out: HeldOut, like: Asked, seed: int) -> Asked:
    """Draw groups of the same sizes whose photos are of different countries.

    There are none if the photos are of fewer than two countries.
    """
    rng = np.random.default_rng(seed)
    country = embedded_boundaries().country.locate(held_out.latlon, 5.0)
    groups = []
    for rows in like.rows:
        pool = np.flatnonzero(held_out.ranker == held_out.ranker[rows[0]])
        pool = pool[held_out.new[pool] == held_out.new[rows[0]]]
        shuffled = rng.permutation(pool)
        distinct = shuffled[np.unique(country[shuffled], return_index=True)[1]]
        if len(distinct) > 1:
            size = min(len(rows), len(distinct))
            groups.append(rng.choice(distinct, size, replace=False))
    return Asked(groups, [""] * len(groups), np.ones(len(groups), np.float32))


def constrained(asked: Asked, held_out: HeldOut, seed: int) -> Asked:
    """Return the questions with random constraints that hold the truth.

    Args:
        asked: questions without constraints.
        held_out: the photos.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.resize(CONSTRAINTS, len(asked)))
    within = [
        draw_constraint(str(kind), held_out.latlon[row], rng)
        for kind, row in zip(kinds, asked.first, strict=True)
    ]
    kept = np.flatnonzero([bool(text) for text in within])
    return replace(asked, within=within).take(kept)


def draw_constraint(kind: str, truth: Float64Array, rng: np.random.Generator) -> str:
    """Return a constraint of a kind that holds a true place (2,); "" if there is none."""
    if kind in ("country", "region"):
        bounds = embedded_boundaries()
        table = bounds.country if kind == "country" else bounds.region
        row = int(table.locate(truth[None], 5.0)[0])
        if row < 0:
            return ""
        if kind == "country":
            return str(table.codes[row])
        return f"{table.names[row]}, {bounds.country.names[int(bounds.region.parent[row])]}"
    half = float(np.exp(rng.uniform(np.log(SMALLEST_KM), np.log(LARGEST_KM))))
    if kind == "circle":
        away = half * float(np.sqrt(rng.uniform())) * 0.999
        ((lat, lon),) = destination(truth[None], rng.uniform(0.0, 360.0, 1), np.array([away]))
        return f"{lat:.4f},{lon:.4f},{half:.3f}km"
    high = half / KM_PER_DEG
    wide = min(high / max(float(np.cos(np.radians(truth[0]))), 0.05), 170.0)
    south = max(truth[0] - 2.0 * high * rng.uniform(), -90.0)
    west = truth[1] - 2.0 * wide * rng.uniform()
    north = min(south + 2.0 * high, 90.0)
    sides = (south, (west + 180.0) % 360.0 - 180.0, north, (west + 2 * wide + 180) % 360 - 180.0)
    return ",".join(f"{side:.4f}" for side in sides)


@lru_cache(maxsize=4096)
def _parsed(within: str) -> Constraint | Narrowed:
    return parse(within)


class Masks:
    """Constraints evaluated on the cells once, and on the clusters of each ranker."""

    def __init__(self, cells: CellTable) -> None:
        self._cells = cells
        self._masks: dict[str, ConstraintMask | None] = {}

    def of(self, within: str, ranker: Ranker) -> ConstraintMask | None:
        """Return the mask of a constraint; None if no cell lies inside or it is not valid."""
        if within not in self._masks:
            try:
                self._masks[within] = _parsed(within).mask(self._cells, np.zeros((0, 2)))
            except ConstraintError:
                self._masks[within] = None
        mask = self._masks[within]
        if mask is None:
            return None
        clusters = ranker.gallery.clusters
        if within[0].isalpha():  # cells follow borders, and looking up points is slow
            return replace(mask, clusters=mask.share[clusters.cell] > 0.0)
        return replace(mask, clusters=_parsed(within).contains(clusters.latlon))


def rankings(
    held_out: HeldOut, asked: Asked, masks: Masks
) -> Iterator[tuple[IndexArray, Ranker, ConstraintMask | None, Ranking]]:
    """Answer questions.

    Yields:
        Numbers of questions, the ranker and the constraint that they share, and their ranking.
        Questions whose constraint holds no cell are left out.
    """
    first, together = held_out.ranker[asked.first], (asked.photos > 1)
    keys = list(zip(first.tolist(), asked.within, together.tolist(), strict=True))
    for key in sorted(set(keys)):
        number, within, several = key
        index = np.array([i for i, other in enumerate(keys) if other == key])
        ranker = held_out.rankers[number]
        mask = masks.of(within, ranker) if within else None
        if within and mask is None:
            continue
        for start in range(0, len(index), 128):
            part = index[start : start + 128]
            yield part, ranker, mask, _rank(held_out, asked, part, ranker, mask, several)


def _rank(
    held_out: HeldOut,
    asked: Asked,
    part: IndexArray,
    ranker: Ranker,
    mask: ConstraintMask | None,
    several: bool,
) -> Ranking:
    rows = np.concatenate([asked.rows[i] for i in part])
    group = np.repeat(np.arange(len(part)), asked.photos[part])
    left_out = held_out.left_out(ranker, rows, group)
    if not several:
        nearest = held_out.nearest_of(ranker, rows) if mask is None else None
        return ranker.rank(held_out.embeddings[rows], mask, left_out, nearest=nearest)
    return ranker.rank_together(held_out.embeddings[rows], group, mask, left_out)
