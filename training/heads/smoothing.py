"""Haversine-smoothed labels in training (PIGEON, section 2), computed once and cut off at 10 tau.

Distances to all cells at every step would take a tenth to a quarter of its time. They never change,
and a label is below exp(-10) in a cell that is 10 tau farther away than the nearest. So each cell
has a table of its neighbours, and each photo the labels of the first of these in half precision:
0.3 GB for a million street views over 2,203 cells.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.types import Float64Array, IndexArray, Int64Array
from training.config import Reference
from training.types import Float16Array

CUTOFF = 10.0
"""Labels below exp(-CUTOFF) of the label of the nearest cell are 0."""

_CELLS_AT_ONCE = 256
_PHOTOS_AT_ONCE = 8192
_MOST_EXPONENT = 80.0
"""Larger factors of the reference "true" would be infinite in float32."""

_SLACK_KM = 0.01
"""Tolerance for rounding in the bound on the neighbours."""


class SmoothedLabels:
    """The smoothed labels of N photos over C cells.

    They are those of `training.heads.losses.smoothed_labels`, but 0 if they are below exp(-CUTOFF)
    of that of the nearest cell. With a scale of 0 the own cell has the label 1 and all others 0.
    """

    def __init__(
        self,
        latlon: Float64Array,
        cell: IndexArray,
        centroids: Float64Array,
        tau_km: float,
        reference: Reference = "nearest",
        device: torch.device | None = None,
    ) -> None:
        """Compute all labels.

        Args:
            latlon: (N, 2) degrees of the photos.
            cell: (N,) the cell that contains each photo.
            centroids: (C, 2) degrees of the cells.
            tau_km: scale of the smoothing; 0: no smoothing.
            reference: the distance that is subtracted: to the nearest centroid, or to the own one.
            device: of the labels.
        """
        places, centres = unit_vectors(latlon), unit_vectors(centroids)
        own_km = _distance_km(places, centres[cell])
        reach_km = np.zeros(len(cell))
        if tau_km:  # by the triangle inequality, as the nearest is no farther than the own
            reach_km = CUTOFF * tau_km + 2.0 * own_km + _SLACK_KM
        neighbour, start, count = _neighbours(centres, cell, reach_km)
        value = np.ones(int(count.sum()), np.float16)
        scale = np.ones(len(cell), np.float32)
        if tau_km:
            value, nearest_km = _relative_labels(places, centres[neighbour], start, count, tau_km)
            if reference == "true":
                exponent = np.minimum((own_km - nearest_km) / tau_km, _MOST_EXPONENT)
                scale = np.exp(exponent).astype(np.float32)
        self._cells = len(centres)
        self._first = _tensor(np.cumsum(count) - count, device)
        self._count, self._start = _tensor(count, device), _tensor(start, device)
        self._neighbour, self._value = _tensor(neighbour, device), _tensor(value, device)
        self._scale = _tensor(scale, device) if reference == "true" else None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the labels (B, C) float32, not normalised, of the photos `rows` (B,)."""
        labels = torch.zeros(len(rows), self._cells, device=rows.device)
        count = self._count[rows]
        photo = torch.repeat_interleave(count)
        place = torch.arange(len(photo), device=rows.device)
        before = count.cumsum(0) - count
        cell = self._neighbour[place + (self._start[rows] - before)[photo]]
        labels[photo, cell] = self._value[place + (self._first[rows] - before)[photo]].float()
        return labels if self._scale is None else labels.mul_(self._scale[rows, None])


def _tensor(values: np.ndarray, device: torch.device | None) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def _distance_km(one: Float64Array, other: Float64Array) -> Float64Array:
    """Return great-circle distances (N,) between unit vectors (N, 3)."""
    chord = np.sqrt(np.einsum("nd,nd->n", one - other, one - other))
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2.0, 1.0)))


def _neighbours(
    centres: Float64Array, cell: IndexArray, reach_km: Float64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """List the cells within the reach (N,) of each photo from the centroid of its cell (N,).

    Returns:
        A table of cells, and for each photo (N,) the start and the number of its cells in it.
    """
    farthest = np.full(len(centres), -1.0)
    np.maximum.at(farthest, cell, reach_km)
    by_cell = np.split(np.argsort(cell, kind="stable"), np.cumsum(np.bincount(cell))[:-1])
    table, start, count = [], np.zeros(len(cell), np.int64), np.ones(len(cell), np.int64)
    end = 0
    for first in range(0, len(by_cell), _CELLS_AT_ONCE):
        own = centres[first : first + _CELLS_AT_ONCE]
        cosine = own @ centres.T
        np.fill_diagonal(cosine[:, first:], 2.0)  # the own cell is always the first
        order = np.argsort(-cosine, axis=1, kind="stable")
        ordered = np.take_along_axis(cosine, order, axis=1).clip(-1.0, 1.0)
        for number, photos in enumerate(by_cell[first : first + _CELLS_AT_ONCE]):
            if not len(photos):
                continue
            away_km = EARTH_RADIUS_KM * np.arccos(ordered[number])
            length = int(np.searchsorted(away_km, farthest[first + number], side="right"))
            table.append(order[number, :length])
            start[photos] = end
            count[photos] = np.searchsorted(away_km[:length], reach_km[photos], side="right")
            end += length
    return np.concatenate(table), start, count


def _relative_labels(
    places: Float64Array,
    listed: Float64Array,
    start: Int64Array,
    count: Int64Array,
    tau_km: float,
) -> tuple[Float16Array, Float64Array]:
    """Return the labels of all entries relative to the nearest cell's, and its distance (N,).

    Args:
        places: (N, 3) of the photos.
        listed: (T, 3) centroids of the table of neighbours.
        start: (N,) first entry of each photo in it.
        count: (N,) number of entries of each photo.
        tau_km: scale of the smoothing.
    """
    values, nearest = [np.empty(0, np.float16)], [np.empty(0)]
    for begin in range(0, len(places), _PHOTOS_AT_ONCE):
        rows = slice(begin, begin + _PHOTOS_AT_ONCE)
        first = np.cumsum(count[rows]) - count[rows]
        photo = np.repeat(np.arange(len(first)), count[rows])
        entry = np.arange(len(photo)) - first[photo] + start[rows][photo]
        km = _distance_km(places[rows][photo], listed[entry])
        nearest.append(np.minimum.reduceat(km, first))
        exponent = (nearest[-1][photo] - km) / tau_km
        values.append(np.where(exponent < -CUTOFF, 0.0, np.exp(exponent)).astype(np.float16))
    return np.concatenate(values), np.concatenate(nearest)
