"""Fit when a pack answers instead of its bundle, on photos that neither of them saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km
from geoloc.answer.judge import LEVELS, Judge
from geoloc.answer.packs.joined import INPUTS, Joining, describe_both
from geoloc.answer.ranker import Ranker
from geoloc.metrics import score
from geoloc.types import BoolArray, Float32Array, Float64Array
from training.calibrate.answers import Judged
from training.calibrate.fit import conformal_quantile
from training.calibrate.heldout import HeldOut, draw
from training.calibrate.logistic import fit_logistic
from training.calibrate.rerank import utility

MOST_PHOTOS = 1_500
"""Held-out photos that both rankers answer, at most."""

ELSEWHERE_KM = 200.0
"""A photo farther than this from all photos of a pack was taken elsewhere."""

FALSE = 0.01
"""Share of the photos from elsewhere that a pack may answer."""

BETTER = 0.5
"""Least probability of the better answer from which on a pack answers."""

NO_PACK = Joining((0.0,) * INPUTS, 2.0, (1.0,) * len(LEVELS))
"""The pack never answers."""

_RIDGE = 1e-2


@dataclass(frozen=True, eq=False)
class BothAnswers:
    """What the pack and the bundle answer to N held-out photos."""

    inputs: Float64Array
    """(N, INPUTS)"""
    pack: Float64Array
    """(N, 2) answers of the pack."""
    bundle: Float64Array
    """(N, 2) answers of the bundle."""
    truth: Float64Array
    """(N, 2)"""
    radii_km: Float32Array
    """(N, len(LEVELS)) of the pack."""
    elsewhere: BoolArray
    """(N,) whether the pack has no photo within ELSEWHERE_KM."""
    apart: BoolArray
    """(R, N) see `HeldOut`."""
    ranker: np.ndarray
    """(N,) the ranker of the pack that answered."""

    @classmethod
    def of(cls, held_out: HeldOut, judged: Judged, judge: Judge, bundle: Ranker) -> BothAnswers:
        """Ask rankers of the pack that never saw the photos, and the bundle.

        Args:
            held_out: photos with rankers of the pack.
            judged: their answers to these photos.
            judge: of single photos, in the calibration of the pack.
            bundle: the ranker of the bundle.
        """
        chosen, _ = draw(held_out.weights, MOST_PHOTOS, np.random.default_rng(0))
        photos, count = held_out.take(chosen), len(chosen)
        inputs = np.zeros((count, INPUTS))
        radii = judge.radii_km(judged.answers.evidence[chosen])
        pack, world, near_km = np.zeros((count, 2)), np.zeros((count, 2)), np.zeros(count)
        points: dict[int, NearestPoints] = {}  # rankers of a large pack share one gallery
        for ranker, rows in photos.batches():
            vectors = photos.embeddings[rows]
            own = ranker.rank(vectors, None, photos.left_out(ranker, rows))
            base = bundle.rank(vectors)
            inputs[rows] = describe_both(own, base)
            pack[rows], world[rows] = own.answer, base.answer
            clusters = ranker.gallery.clusters
            if id(clusters) not in points:
                points[id(clusters)] = NearestPoints(clusters.latlon)
            near_km[rows] = points[id(clusters)].query(photos.latlon[rows])[0][:, 0]
        elsewhere = near_km > ELSEWHERE_KM
        _forget(inputs, elsewhere)
        return cls(
            inputs, pack, world, photos.latlon, radii, elsewhere, photos.apart, photos.ranker
        )

    def better(self) -> BoolArray:
        """Return (N,) whether the answer of the pack is the better one; never elsewhere."""
        return (self._gain() > 0.0) & ~self.elsewhere

    def _gain(self) -> Float64Array:
        ours, theirs = (
            utility(haversine_km(point, self.truth)).astype(np.float64)
            for point in (self.pack, self.bundle)
        )
        return np.asarray(ours - theirs)

    def fit(self, rows: BoolArray) -> tuple[Float64Array, float]:
        """Return weights and threshold, fitted on some of the photos."""
        near, far = rows & ~self.elsewhere, rows & self.elsewhere
        if not near.any():
            return np.zeros(INPUTS), 2.0
        weight = np.where(near, np.abs(self._gain()) + 0.01, 0.0)
        if far.any():
            weight[far] = weight[near].sum() / far.sum()
        used = near | far
        fitted = fit_logistic(self.inputs[used], self.better()[used], weight[used], _RIDGE)
        if not far.any():
            return fitted, BETTER
        limit = float(np.quantile(expit(self.inputs[far] @ fitted), 1.0 - FALSE, method="higher"))
        return fitted, max(BETTER, float(np.nextafter(limit, 2.0)))

    def taken(self) -> BoolArray:
        """Return (N,) which photos the pack answers, each decided by a fit on others."""
        taken = np.zeros(len(self.truth), bool)
        for number, apart in enumerate(self.apart):
            rows = self.ranker == number
            if rows.any():
                weights, threshold = self.fit(apart)
                taken[rows] = expit(self.inputs[rows] @ weights) >= threshold
        return taken


def _forget(inputs: Float64Array, elsewhere: BoolArray) -> None:
    """Let the bundle know no more of photos from elsewhere than of those near the pack.

    They may be among the photos that it was trained on, which it would be too sure of.
    """
    near = np.flatnonzero(~elsewhere)
    if len(near):
        drawn = np.random.default_rng(0).choice(near, int(elsewhere.sum()))
        inputs[elsewhere, -2:] = inputs[drawn, -2:]


def fit_joining(
    held_out: HeldOut, judged: Judged, judge: Judge, bundle: Ranker
) -> tuple[Joining, dict[str, Any]]:
    """Fit when the pack answers, and how much wider its radii are then.

    Args:
        held_out: photos with rankers of the pack that never saw them.
        judged: their answers to these photos.
        judge: of single photos, in the calibration of the pack.
        bundle: the ranker of the bundle.

    Returns:
        The fit on all photos; and what was measured with fits on other photos: accuracy of the
        bundle, of the pack and of both near the pack, the share of the photos that the pack
        answered near it and elsewhere, and how often its radii held.
    """
    both = BothAnswers.of(held_out, judged, judge, bundle)
    taken = both.taken()
    km = haversine_km(both.pack, both.truth)
    widening, held = [1.0] * len(LEVELS), {}
    if taken.any():
        even = np.ones(int(taken.sum()), np.float32)
        for column, level in enumerate(LEVELS):
            ratio = km[taken] / both.radii_km[taken, column]
            most = float(max(ratio.max(), 1.0))
            widening[column] = max(1.0, conformal_quantile(ratio, even, int(level) / 100, most))
            held[level] = float((ratio <= widening[column]).mean())
    weights, threshold = both.fit(np.ones(len(taken), bool))
    near = ~both.elsewhere
    answer = np.where(taken[:, None], both.pack, both.bundle)
    shown = {"bundle alone": both.bundle, "pack alone": both.pack, "together": answer}
    measured = {
        "photos near": int(near.sum()),
        "photos elsewhere": int((~near).sum()),
        "answered by the pack, near": _share(taken[near]),
        "answered by the pack, elsewhere": _share(taken[~near]),
        "accuracy near": {
            name: asdict(score(points[near], both.truth[near])) for name, points in shown.items()
        },
        "coverage where the pack answers": held,
    }
    return Joining(tuple(weights.tolist()), threshold, tuple(widening)), measured


def _share(chosen: BoolArray) -> float:
    """Return the share of rows that are chosen; 0 of none."""
    return float(chosen.mean()) if len(chosen) else 0.0
