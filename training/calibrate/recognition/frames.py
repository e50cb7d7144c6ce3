"""Fit the recognition of frames: photos of walks, against the same kind of view elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.judge import LEVELS
from geoloc.answer.ranker import Ranker
from geoloc.encoders.signatures import SIDE
from geoloc.retrieval.copies import CANDIDATES, Copies
from geoloc.retrieval.frames import ELSEWHERE_KM, Frames, describe_frames
from geoloc.retrieval.windows import correlations
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, UInt8Array
from training.calibrate.fit import conformal_quantile, wilson_lower
from training.calibrate.logistic import fit_logistic
from training.data.manifest import Manifest

ASKED = 4_000
"""Photos that are asked about, at most."""

SURE = 0.95
"""Share of the frames that were taken at the known place: a lower confidence limit reaches it."""

FALSE = 0.001
"""Share of photos of other collections that may be taken for frames of a wrong place."""

FEWEST_FRAMES = 30
"""With fewer frames above the threshold none are recognised."""

FARTHEST_KM = 200.0
"""The radius that holds a frame if too few were measured for a level."""

_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class _Asked:
    """Q photos, each with the most similar photo of the others that it may be compared with."""

    described: Float64Array
    """(Q, 6) see `describe_frames`."""
    correlation: Float32Array
    """(Q,)"""
    km: Float64Array
    """(Q,) distance to the most similar photo."""
    fold: IndexArray
    """(Q,)"""

    @property
    def right(self) -> BoolArray:
        """(Q,) whether the most similar photo is of the same place."""
        return np.asarray(self.km <= ELSEWHERE_KM)


def fit_frames(
    manifest: Manifest,
    signatures: UInt8Array,
    embeddings: Float32Array,
    rankers: Sequence[Ranker],
    fold: IndexArray,
    copies: Copies,
) -> Frames | None:
    """Return the recognition of frames; None if there are too few of them to be sure.

    Photos are compared with all others, among them those before and after them, and once more with
    those of other collections only, among which there is no frame but the same kind of view.

    Args:
        manifest: N photos.
        signatures: (N, SIDE, SIDE) of them.
        embeddings: (N, D) of them.
        rankers: one for each fold, whose features were fitted without its photos.
        fold: (N,) of each photo.
        copies: whose threshold tells copies, which are no examples.
    """
    if len(manifest) <= CANDIDATES:
        return None
    rows = np.sort(np.random.default_rng(0).permutation(len(manifest))[:ASKED])
    collection = np.unique(manifest.collection.astype(str), return_inverse=True)[1]
    own = np.arange(len(manifest))
    walks, elsewhere = (
        _without_copies(
            _ask(manifest, signatures, embeddings, rankers, fold, rows, apart), copies.threshold[0]
        )
        for apart in (own, collection)
    )
    described = np.concatenate([walks.described, elsewhere.described])
    right = np.concatenate([walks.right, elsewhere.right])
    in_fold = np.concatenate([walks.fold, elsewhere.fold])
    probability = _held_out(described, right, in_fold)
    count = len(walks.km)
    threshold = _threshold(probability[:count], walks, probability[count:], elsewhere)
    sure = probability[:count] >= threshold
    if sure.sum() < FEWEST_FRAMES:
        return None
    coefficients = fit_logistic(described, right, np.ones(len(right)), _RIDGE)
    equal = np.ones(int(sure.sum()), np.float32)
    first, second, third = (
        conformal_quantile(walks.km[sure], equal, int(level) / 100, FARTHEST_KM) for level in LEVELS
    )
    chance = wilson_lower(np.array([walks.right[sure].sum()]), np.array([sure.sum()]))[0]
    return Frames(tuple(coefficients.tolist()), threshold, float(chance), (first, second, third))


def _held_out(described: Float64Array, right: BoolArray, fold: IndexArray) -> Float64Array:
    """Return the probability (Q,) of each photo, fitted on the photos of the other folds."""
    probability = np.zeros(len(right))
    for number in np.unique(fold):
        own = fold == number
        fitted = fit_logistic(described[~own], right[~own], np.ones((~own).sum()), _RIDGE)
        probability[own] = 1.0 / (1.0 + np.exp(-described[own] @ fitted))
    return probability


def _threshold(
    probability: Float64Array, walks: _Asked, other: Float64Array, elsewhere: _Asked
) -> float:
    """Return the lowest probability at which frames are right often enough and seldom false.

    Args:
        probability: (Q,) of the photos of walks.
        walks: these photos.
        other: (R,) of the photos without their collections.
        elsewhere: these photos.
    """
    order = np.argsort(-probability, kind="stable")
    made = np.arange(1, len(order) + 1)
    proved = np.flatnonzero(wilson_lower(np.cumsum(walks.right[order]), made) >= SURE)
    if not len(proved):
        return np.inf
    allowed = int(FALSE * len(other))
    wrong = np.sort(other[~elsewhere.right])[::-1]
    seldom = float(np.nextafter(wrong[allowed], 2.0)) if len(wrong) > allowed else 0.0
    return max(float(probability[order[proved[-1]]]), seldom)


def _ask(
    manifest: Manifest,
    signatures: UInt8Array,
    embeddings: Float32Array,
    rankers: Sequence[Ranker],
    fold: IndexArray,
    rows: IndexArray,
    apart: IndexArray,
) -> _Asked:
    """Compare photos (Q,) with those of other numbers `apart` (N,)."""
    shape = len(rows), CANDIDATES
    member, similarity = np.zeros(shape, np.intp), np.full(shape, -1.0, np.float32)
    for number, ranker in enumerate(rankers):
        features = ranker.heads.features(embeddings)
        asked = np.flatnonzero(fold[rows] == number)
        for start in range(0, len(asked), 256):
            part = asked[start : start + 256]
            found = features[rows[part]] @ features.T
            found[apart[rows[part], None] == apart] = -1.0
            top = np.argpartition(-found, CANDIDATES, axis=1)[:, :CANDIDATES]
            order = np.argsort(-np.take_along_axis(found, top, axis=1), axis=1)
            member[part] = np.take_along_axis(top, order, axis=1)
            similarity[part] = np.take_along_axis(found, member[part], axis=1)
    first = member[:, 0]
    correlation = correlations(
        signatures[rows].reshape(-1, SIDE, SIDE), signatures[first].reshape(-1, SIDE, SIDE)
    )
    described = describe_frames(similarity, correlation, manifest.latlon[member])
    km = haversine_km(manifest.latlon[rows], manifest.latlon[first])
    return _Asked(described, correlation, km, fold[rows])


def _without_copies(asked: _Asked, threshold: float) -> _Asked:
    kept = asked.correlation < threshold
    return _Asked(asked.described[kept], asked.correlation[kept], asked.km[kept], asked.fold[kept])
