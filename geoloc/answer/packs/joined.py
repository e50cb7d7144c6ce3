"""`JoinedRanker`: the world knowledge of a bundle and the photos that were added, in one answer.

A pack is a set of photos that was added to a bundle, with a ranker of its own over the cells of the
bundle. A fitted logistic regression on what both rankers say of a photo decides which of them
answers. Photos from elsewhere, which the pack is unsure of, keep the answer of the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from geocells.table import CellTable
from geoloc.answer.copies import CopyRecogniser
from geoloc.answer.judge import FARTHEST_KM, mass_logits
from geoloc.answer.packs.rows import with_rows
from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.answer.signals import SIGNALS
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import Heads
from geoloc.photos.decode import Photo
from geoloc.retrieval.copies import Copies
from geoloc.retrieval.tables import Members
from geoloc.types import Float32Array, Float64Array, IndexArray

INPUTS = SIGNALS + 3
"""Numbers that decide who answers, see `describe_both`."""


@dataclass(frozen=True)
class Joining:
    """When a pack answers, and how much wider its radii are then. `training.bundles` fits it."""

    weights: tuple[float, ...]
    """(INPUTS,) of a logistic regression: whether the answer of the pack is the better one."""
    threshold: float
    """Probability from which on the pack answers."""
    widening: tuple[float, ...]
    """By level, 1 or more: factor of the radii, so that they hold among the photos it answers."""

    def chance(self, pack: Ranking, bundle: Ranking) -> Float64Array:
        """Return the probability (N,) that the answer of the pack is the better one."""
        logit = describe_both(pack, bundle) @ np.asarray(self.weights)
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Joining:
        """Return the joining of a dict made by `dataclasses.asdict`."""
        weights = tuple(map(float, values["weights"]))
        if len(weights) != INPUTS:
            raise ValueError(f"{len(weights)} weights, expected {INPUTS}")
        return cls(weights, float(values["threshold"]), tuple(map(float, values["widening"])))


def describe_both(pack: Ranking, bundle: Ranking) -> Float64Array:
    """Return what decides who answers N photos: (N, INPUTS).

    They are the signals of the pack, such as the similarity to its photos and to photos from all
    over the world; logits of the belief within 25 km of the first place, of both; and the logit of
    the probability that the answer of the bundle is right within 200 km.
    """
    said = (pack.place_mass[:, 0], bundle.place_mass[:, 0], bundle.localisability)
    logits = [mass_logits(chance) for chance in said]
    return np.column_stack([pack.evidence[:, :SIGNALS], *logits]).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Pack:
    """Photos that were added to a bundle."""

    name: str
    ranker: Ranker
    """Over the cells of the bundle."""
    joining: Joining
    copies: Copies | None
    """Recognition of copies of its photos; None without their signatures."""


class JoinedRanker:
    """Answers with a bundle and its packs; without packs exactly as the bundle alone."""

    def __init__(self, bundle: Ranker, packs: Sequence[Pack] = ()) -> None:
        """Combine the ranker of a bundle with packs over the same cells."""
        self.bundle, self.packs = bundle, tuple(packs)

    @property
    def cells(self) -> CellTable:
        """The geocells."""
        return self.bundle.cells

    @property
    def heads(self) -> Heads:
        """The heads of the bundle."""
        return self.bundle.heads

    @cached_property
    def members(self) -> Members:
        """All photos of the bundle, then those of each pack, in memory; `members_at` reads some."""
        return _joined_members([ranker.gallery.members for ranker in self._rankers])

    def members_at(self, rows: IndexArray) -> Members:
        """Return photos (N,) by their numbers in a ranking, which counts as `members` does."""
        parts = [ranker.gallery.members for ranker in self._rankers]
        ends = np.cumsum([len(part) for part in parts])
        owner = np.searchsorted(ends, rows, "right")
        found = [
            part.take(rows[owner == number] - (ends[number] - len(part)))
            for number, part in enumerate(parts)
        ]
        order = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return _joined_members(found).take(order)

    @cached_property
    def places(self) -> Float64Array:
        """(L, 2) degrees of the location clusters of the bundle, then of each pack."""
        return np.concatenate([each.gallery.clusters.latlon for each in self._rankers])

    def rank(
        self,
        embeddings: Float32Array,
        constraint: ConstraintMask | None = None,
        evidence: Float32Array | None = None,
    ) -> Ranking:
        """Rank places for each of N photos; see `Ranker.rank`.

        Args:
            embeddings: (N, D) unit vectors.
            constraint: over the cells and `places`.
            evidence: (N, C) of witnesses.
        """
        return self._joined(
            lambda ranker, mask: ranker.rank(embeddings, mask, evidence=evidence), constraint
        )

    def rank_together(
        self,
        embeddings: Float32Array,
        group: IndexArray,
        constraint: ConstraintMask | None = None,
        evidence: Float32Array | None = None,
    ) -> Ranking:
        """Rank places for G groups of photos; see `Ranker.rank_together` and `rank`."""
        return self._joined(
            lambda ranker, mask: ranker.rank_together(embeddings, group, mask, evidence=evidence),
            constraint,
        )

    def _joined(
        self,
        ask: Callable[[Ranker, ConstraintMask | None], Ranking],
        constraint: ConstraintMask | None,
    ) -> Ranking:
        masks = self.masks(constraint)
        result = bundle = ask(self.bundle, masks[0])
        best, first = np.zeros(len(bundle.answer)), len(self.bundle.gallery.members)
        for pack, mask in zip(self.packs, masks[1:], strict=True):
            if mask is None or mask.clusters.any():
                own = widened(ask(pack.ranker, mask), pack.joining)
                chance = pack.joining.chance(own, bundle)
                taken = (chance >= pack.joining.threshold) & (chance > best)
                best = np.where(taken, chance, best)
                result = with_rows(result, own, taken, first)
            first += len(pack.ranker.gallery.members)
        return result

    def masks(self, constraint: ConstraintMask | None) -> list[ConstraintMask | None]:
        """Return the constraint over the clusters of the bundle, and of each pack."""
        if constraint is None:
            return [None] * (1 + len(self.packs))
        ends = np.cumsum([len(each.gallery.clusters) for each in self._rankers])[:-1]
        parts = np.split(constraint.clusters, ends)
        return [replace(constraint, clusters=part) for part in parts]

    @property
    def _rankers(self) -> list[Ranker]:
        return [self.bundle, *(pack.ranker for pack in self.packs)]


class JoinedRecogniser:
    """Places copies of the photos of a bundle and of its packs."""

    def __init__(self, joined: JoinedRanker, copies: Copies | None) -> None:
        """Take the rankers, and the signatures of the photos of the bundle."""
        self._joined = joined
        self._recognisers = [
            CopyRecogniser(joined.bundle, copies),
            *(CopyRecogniser(pack.ranker, pack.copies) for pack in joined.packs),
        ]

    def apply(
        self,
        ranking: Ranking,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        constraint: ConstraintMask | None = None,
    ) -> Ranking:
        """Return a ranking in which known photos answer; see `CopyRecogniser.apply`.

        A copy goes before another photo of the scene, and the bundle before its packs.
        """
        result, first = ranking, 0
        for recogniser, mask in zip(self._recognisers, self._joined.masks(constraint), strict=True):
            found = recogniser.apply(ranking, embeddings, groups, mask)
            better = (found.known >= 0) & ((result.known < 0) | (found.is_copy & ~result.is_copy))
            kept = replace(found, neighbour=result.neighbour, similarity=result.similarity)
            result = with_rows(result, kept, better, first, ("known",))
            first += recogniser.photos
        return result


def _joined_members(parts: Sequence[Members]) -> Members:
    """Return the members of several galleries, one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = (
        np.concatenate([np.asarray(getattr(part, field.name)) for part in parts])
        for field in fields(Members)
    )
    return Members(*columns)


def widened(ranking: Ranking, joining: Joining) -> Ranking:
    """Return a ranking of a pack with the radii of the photos that it answers."""
    radii = ranking.radii_km * np.asarray(joining.widening, np.float32)
    return replace(ranking, radii_km=np.minimum(radii, np.float32(FARTHEST_KM)))
