"""What witnesses change in the answers to photos of collections that were held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.calibration import Calibration
from geoloc.metrics import same_country
from geoloc.types import BoolArray, Float32Array, Float64Array
from training.calibrate.heldout import HeldOut
from training.recipes.honesty import right_claims


@dataclass(frozen=True, eq=False)
class Told:
    """The answers to N photos with some evidence."""

    km: Float64Array
    """(N,) error."""
    right_country: BoolArray
    inside: BoolArray
    """(N, 3) whether the truth lies within the radius of each level."""
    claimed: BoolArray
    right_claim: BoolArray

    @classmethod
    def of(cls, held_out: HeldOut, evidence: Float32Array | None) -> Told:
        """Answer all photos with tempered evidence (N, C), or without."""
        parts = []
        for ranker, rows in held_out.batches():
            told = None if evidence is None else evidence[rows]
            ranking = ranker.rank(
                held_out.embeddings[rows], None, held_out.left_out(ranker, rows), evidence=told
            )
            km = haversine_km(ranking.answer, held_out.latlon[rows])
            country = same_country(ranking.answer, held_out.latlon[rows])
            claims = np.array(ranking.confidence, object)
            claimed = claims != "not sure"
            right = right_claims(claims, km, country) & claimed
            inside = km[:, None] <= ranking.radii_km
            parts.append((rows, km, country, inside, claimed, right))
        order = np.argsort(np.concatenate([part[0] for part in parts]))
        return cls(*(np.concatenate([part[i] for part in parts])[order] for i in range(1, 6)))

    def take(self, rows: BoolArray) -> Told:
        """Return the answers to some photos."""
        return Told(
            self.km[rows], self.right_country[rows], self.inside[rows], self.claimed[rows],
            self.right_claim[rows],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Told]) -> Told:
        """Return all answers of several sets of photos."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(each, name) for each in parts]) for name in names))

    def summary(self) -> dict[str, float]:
        """Return shares of photos, and the share of claims that are right."""
        made = int(self.claimed.sum())
        return {
            "country": float(self.right_country.mean()),
            "within_200_km": float((self.km <= 200.0).mean()),
            "within_25_km": float((self.km <= 25.0).mean()),
            "cover50": float(self.inside[:, 0].mean()),
            "cover80": float(self.inside[:, 1].mean()),
            "cover95": float(self.inside[:, 2].mean()),
            "claims": made,
            "claims_right": float(self.right_claim.sum() / made) if made else float("nan"),
            "wrongly_sure": float((self.claimed & ~self.right_claim).mean()),
        }


def gain_interval(
    after: BoolArray, before: BoolArray, rng: np.random.Generator, draws: int = 1000
) -> tuple[float, float, float]:
    """Return the gain of a share of photos (N,) and its 95 % interval, by bootstrap of photos."""
    difference = after.astype(np.float64) - before.astype(np.float64)
    index = rng.integers(len(difference), size=(draws, len(difference)))
    means = difference[index].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return float(difference.mean()), low, high


def by_halves(held_out: HeldOut, measure: Callable[[HeldOut, HeldOut, BoolArray], None]) -> None:
    """Call `measure` with two halves of the collections, each once as the one that is fitted on.

    Args:
        held_out: photos whose rankers each left out other collections.
        measure: takes the photos to fit on, those to measure, and (N,) which these are. The
            calibrations of the rankers are restored before each call.
    """
    before: list[Calibration] = [ranker.calibration for ranker in held_out.rankers]
    for half in (0, 1):
        for ranker, calibration in zip(held_out.rankers, before, strict=True):
            ranker.calibration = calibration
        asked = held_out.ranker % 2 == half
        fitted, measured = (held_out.take(np.flatnonzero(rows)) for rows in (~asked, asked))
        measure(fitted, measured, asked)
    for ranker, calibration in zip(held_out.rankers, before, strict=True):
        ranker.calibration = calibration
