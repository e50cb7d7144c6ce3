"""`Accountant`: rank with the evidence of witnesses, and account for what each of them changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from geoloc.answer.explain import describe
from geoloc.answer.packs.joined import JoinedRanker, JoinedRecogniser
from geoloc.answer.ranking import Ranking, single_threaded_blas
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.witnesses.weighing import Weights
from geoloc.guess import Account
from geoloc.observation import Observation
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array, IndexArray

Accounts = list[tuple[Account, ...]]
"""For each photo or group of photos, the accounts of its witnesses."""


class Accountant:
    """Ranks photos of one bundle with everything that witnesses found in them."""

    def __init__(
        self, ranker: JoinedRanker, weights: Weights, recogniser: JoinedRecogniser
    ) -> None:
        """Take the ranker, how far each witness is trusted, and what finds known photos."""
        self._ranker, self._weights, self._recogniser = ranker, weights, recogniser

    def rank(
        self,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        constraint: ConstraintMask | None = None,
        group: IndexArray | None = None,
    ) -> tuple[Ranking, Accounts]:
        """Rank G photos or groups of photos with their evidence.

        Args:
            embeddings: (N, D) of all photos, group after group.
            groups: (G,) photos, which hold the observations.
            constraint: as for `Ranker.rank`.
            group: (N,) the group of each photo; None if each photo is asked about alone.

        Returns:
            G rankings and accounts.
        """
        with single_threaded_blas():
            ranking, accounts = self._rank(embeddings, groups, constraint, group)
            ranking = self._recogniser.apply(ranking, embeddings, groups, constraint)
        known = (ranking.known >= 0).tolist()
        return ranking, [
            tuple(map(_without_change, own)) if row else own
            for row, own in zip(known, accounts, strict=True)
        ]

    def _rank(
        self,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        constraint: ConstraintMask | None,
        group: IndexArray | None,
    ) -> tuple[Ranking, Accounts]:
        seen = [[each for photo in photos for each in photo.observations] for photos in groups]
        counted = [[each for each in every if each.counted] for every in seen]
        evidence = self._evidence(counted)
        if group is None:
            ranking = self._ranker.rank(embeddings, constraint, evidence=evidence)
        else:
            ranking = self._ranker.rank_together(embeddings, group, constraint, evidence=evidence)
        accounts = [_shown(every) for every in seen]
        owner = np.arange(len(groups)) if group is None else group
        for name in sorted({each.witness for every in counted for each in every}):
            rows = np.flatnonzero([any(o.witness == name for o in every) for every in counted])
            others = self._evidence([counted[row] for row in rows], name)
            kept = np.isin(owner, rows)
            again = partial(self._ranker.rank, embeddings[kept], constraint, evidence=others)
            if group is not None:
                again = partial(
                    self._ranker.rank_together, embeddings[kept],
                    np.searchsorted(rows, owner[kept]), constraint, evidence=others,
                )  # fmt: skip
            _record(accounts, rows, name, ranking.belief[rows], again())
        return ranking, accounts

    def _evidence(
        self, observations: Sequence[Sequence[Observation]], without: str = ""
    ) -> Float32Array | None:
        """Return the evidence (G, C) of observations (G,), leaving out one witness."""
        if not any(observations):
            return None
        prior = self._ranker.heads.prior
        return np.stack([self._weights.combine(each, prior, without) for each in observations])


def _without_change(account: Account) -> Account:
    """Return an account of a witness that a known photo overruled."""
    return replace(account, lat_without=None, lon_without=None, place_without=None)


def _shown(observations: Sequence[Observation]) -> tuple[Account, ...]:
    """Return an account for each witness, with its findings; equal findings once."""
    names = dict.fromkeys(each.witness for each in observations)
    accounts = []
    for name in names:
        own = [each for each in observations if each.witness == name]
        findings = dict.fromkeys(finding for each in own for finding in each.findings)
        accounts.append(Account(name, tuple(findings), any(each.counted for each in own)))
    return tuple(accounts)


def _record(
    accounts: Accounts, rows: IndexArray, name: str, belief: Float32Array, without: Ranking
) -> None:
    """Write into the accounts of some rows what one witness changed."""
    places = describe(without.answer)
    bits = divergence_bits(belief, without.belief)
    for i, row in enumerate(rows):
        lat, lon = map(float, without.answer[i])
        accounts[row] = tuple(
            replace(
                each, bits=round(float(bits[i]), 4), lat_without=lat, lon_without=lon,
                place_without=places[i],
            ) if each.witness == name else each
            for each in accounts[row]
        )  # fmt: skip


def divergence_bits(belief: Float32Array, before: Float32Array) -> Float64Array:
    """Return the Kullback-Leibler divergence (N,) in bits of beliefs (N, C) from those before."""
    after, floor = belief.astype(np.float64), 1e-30
    ratio = np.log2(after + floor) - np.log2(before.astype(np.float64) + floor)
    return np.asarray(np.maximum((after * ratio).sum(axis=1), 0.0))
