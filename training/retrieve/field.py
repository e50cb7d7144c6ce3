"""`PlaceField`: features of photos as a random field over the Earth, estimated by kriging.

A single photo describes its place poorly: it has noise, and resembles other places too. Nearby
photos share what belongs to the place. How far each principal component reaches is measured by the
covariance of photo pairs over their distance; the best linear estimate at a place follows from it
(Wiener 1949, Matheron 1963). Few components tell regions, many tell streets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from geocells.neighbours import NearestPoints
from geocells.sphere import EARTH_RADIUS_KM, haversine_km, unit_vectors
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array
from training.types import FloatArray

SCALES_KM = (1.0, 5.0, 25.0, 100.0, 400.0, 2000.0)
"""Scales of the exponential covariances whose sum is fitted; a constant comes last."""

REACH_KM = {"near": 0.0, "city": 5.0, "region": 100.0}
"""By band: only covariances of at least this scale belong to its estimate; the rest is noise."""

EDGES = (4, 16, 48, 128, 256)
"""Principal components at which a new group with a covariance of its own begins."""

NEIGHBOURS = 48
"""Places that the estimate at a place is made of."""

_SAMPLED, _FAR_PAIRS, _RANKS = 6000, 400_000, 2048
_BINS_KM = np.geomspace(0.3, 10_000.0, 40)
_ROWS_AT_ONCE = 1024
_LEAST_NOISE = 1e-6
_PAIRS_WITHIN = 300
"""Pairs within a scale that are needed to fit its covariance."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """How much photos at a distance have in common, for G groups of components."""

    shared: Float64Array
    """(G, len(SCALES_KM) + 1) variance of each scale, the constant last."""
    noise: Float64Array
    """(G,) variance of a photo that no other photo shares."""

    @classmethod
    def of(
        cls, features: FloatArray, latlon: Float64Array, author: Int64Array, seed: int = 0
    ) -> Covariance:
        """Fit the covariances to pairs of photos by different authors.

        Args:
            features: (N, K) centred, principal components first.
            latlon: (N, 2) degrees.
            author: (N,) numbers of authors, -1 for photos without one.
            seed: of the pairs.
        """
        first, second = _pairs(latlon, author, np.random.default_rng(seed))
        distance = haversine_km(latlon[first], latlon[second])
        bins = np.digitize(distance, _BINS_KM)
        count = np.bincount(bins, minlength=len(_BINS_KM) + 1)
        used = count >= 30
        middle = np.bincount(bins, distance, minlength=len(count))[used] / count[used]
        model = np.column_stack([_kernels(middle), np.ones(used.sum())])
        pairs_within = (distance < np.array(SCALES_KM)[:, None]).sum(axis=1)
        model[:, :-1][:, pairs_within < _PAIRS_WITHIN] = 0.0  # a scale that no pair tells about
        weight = np.sqrt(count[used])
        rows = np.random.default_rng(seed).permutation(len(features))[:20_000]
        shared, noise = [], []
        for group in groups(features.shape[1]):
            product = _products(features, first, second, group)
            mean = np.bincount(bins, product, minlength=len(count))[used] / count[used]
            fitted = np.zeros(model.shape[1])
            if used.any():  # else all photos are by one author, and nothing is known to be shared
                fitted = nnls(model * weight[:, None], mean * weight)[0]
            total = float(features[np.sort(rows), group].astype(np.float32).var(axis=0).mean())
            shared.append(fitted)
            noise.append(max(total - float(fitted.sum()), _LEAST_NOISE))
        return cls(np.array(shared), np.array(noise))


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates at a block of B places."""

    rows: slice
    by_band: dict[str, Float32Array]
    """(B, K) by the names of REACH_KM."""
    by_others: Float32Array
    """(B, K) at full resolution, from all places but the place itself."""


@dataclass(frozen=True, eq=False)
class PlaceField:
    """Features at P places, and their covariance."""

    latlon: Float64Array
    """(P, 2) degrees."""
    vectors: FloatArray
    """(P, K) mean features of the photos at each place."""
    count: npt.NDArray[np.number]
    """(P,) photos at each place; of a walk, they count as the root of their number."""
    covariance: Covariance

    def estimates(self) -> Iterator[Estimates]:
        """Yield the estimates at all places, a block at a time."""
        count = len(self.latlon)
        nearest = NearestPoints(self.latlon)
        places = unit_vectors(self.latlon)
        for start in range(0, count, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, count))
            near = nearest.query(self.latlon[rows], min(NEIGHBOURS, count))[1]
            own = np.arange(rows.start, rows.stop)
            near = _own_first(near, own)
            yield self._block(rows, near, _kernels(_distances_km(places[near])))

    def _block(self, rows: slice, near: IndexArray, kernels: Float32Array) -> Estimates:
        """Return the estimates at places (B,) from their neighbours (B, Q), themselves first."""
        width = self.vectors.shape[1]
        bands = {name: np.empty((len(near), width), np.float32) for name in REACH_KM}
        others = np.empty((len(near), width), np.float32)
        diagonal = np.arange(near.shape[1])
        noisy = 1.0 / np.sqrt(np.maximum(self.count, 1.0))[near]
        for number, group in enumerate(groups(width)):
            shared, noise = self.covariance.shared[number], self.covariance.noise[number]
            values = self.vectors[:, group][near].astype(np.float32)
            within = kernels @ shared[:-1].astype(np.float32) + np.float32(shared[-1])
            right = [
                kernels[:, 0] @ np.where(np.array(SCALES_KM) >= reach, shared[:-1], 0.0)
                + shared[-1]
                for reach in REACH_KM.values()
            ]
            own = np.zeros_like(right[0])
            own[:, 0] = 1.0
            within[:, diagonal, diagonal] += noise * noisy
            weights = np.linalg.solve(within, np.stack([*right, own], axis=2).astype(np.float32))
            found = np.einsum("bqr,bqk->brk", weights, values)
            for place, name in enumerate(REACH_KM):
                bands[name][:, group] = found[:, place]
            # the estimate without the place itself, by the inverse of the bordered matrix
            others[:, group] = values[:, 0] - found[:, -1] / weights[:, 0, -1:]
        return Estimates(rows, bands, others)


def groups(width: int) -> list[slice]:
    """Return the components of each group, of features of a length."""
    starts = [0, *(edge for edge in EDGES if edge < width)]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], width], strict=True)]


def _kernels(distance_km: Float64Array | Float32Array) -> Float32Array:
    """Return exp(-distance / scale), (..., len(SCALES_KM))."""
    scales = np.array(SCALES_KM, np.float32)
    return np.asarray(np.exp(-distance_km[..., None].astype(np.float32) / scales))


def _distances_km(places: Float64Array) -> Float64Array:
    """Return the distances (B, Q, Q) between unit vectors (B, Q, 3)."""
    squares = np.zeros((*places.shape[:2], places.shape[1]))
    for axis in np.moveaxis(places, -1, 0):
        squares += (axis[:, :, None] - axis[:, None, :]) ** 2
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(np.sqrt(squares) / 2.0, 1.0))


def _own_first(near: IndexArray, own: IndexArray) -> IndexArray:
    """Put each place (B,) first among its neighbours (B, Q); of equal places it may be missing."""
    other = near != own[:, None]
    order = np.argsort(other, axis=1, kind="stable")
    sorted_near = np.take_along_axis(near, order, axis=1)
    missing = sorted_near[:, 0] != own
    sorted_near[missing] = np.roll(sorted_near[missing], 1, axis=1)
    sorted_near[:, 0] = own
    return sorted_near


def _pairs(
    latlon: Float64Array, author: Int64Array, rng: np.random.Generator
) -> tuple[IndexArray, IndexArray]:
    """Return pairs (P,) and (P,) of photos at all distances, never by one author."""
    count = len(latlon)
    nearest = NearestPoints(latlon)
    chosen = rng.choice(count, min(_SAMPLED, count), replace=False)
    near = nearest.query(latlon[chosen], min(64, count))[1]
    some = chosen[: max(1, len(chosen) // 4)]
    wide = nearest.query(latlon[some], min(_RANKS, count))[1]
    wide = np.take_along_axis(wide, rng.integers(0, wide.shape[1], (len(some), 64)), axis=1)
    far = rng.integers(0, count, (2, _FAR_PAIRS))
    first = np.concatenate([np.repeat(chosen, near.shape[1]), np.repeat(some, 64), far[0]])
    second = np.concatenate([near.ravel(), wide.ravel(), far[1]])
    different = (first != second) & ((author[first] != author[second]) | (author[first] < 0))
    return first[different], second[different]


def _products(
    features: Float32Array, first: IndexArray, second: IndexArray, group: slice
) -> Float64Array:
    """Return the mean product (P,) over the components of a group, of pairs of photos."""
    parts = [np.zeros(0)]
    parts += [
        np.einsum(
            "pk,pk->p",
            features[first[i : i + 65_536], group].astype(np.float32),
            features[second[i : i + 65_536], group].astype(np.float32),
        )
        for i in range(0, len(first), 65_536)
    ]
    return np.asarray(np.concatenate(parts).astype(np.float64) / (group.stop - group.start))
