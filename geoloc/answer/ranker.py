"""From embeddings to answers: belief over cells, candidate places, the best one, how far off.

Everything here is arrays over photos; `geoloc.geolocator` adds pixels before and words after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.calibration import CLAIM_KM, LEVELS, Calibration, evidence, signals
from geoloc.belief.fusion import (
    CONTRADICTION,
    CellSpace,
    ConstraintMask,
    agreement,
    fuse,
    group_mean,
    pool,
    spread_km,
)
from geoloc.belief.heads import Heads, softmax, tempered
from geoloc.guess import Confidence
from geoloc.retrieval.candidates import Candidates, gather
from geoloc.retrieval.gallery import Found, Gallery
from geoloc.retrieval.reranker import describe, moods, votes
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array

MOST_CANDIDATES = 40
"""Places that an answer can name."""

NEIGHBOURS = 96
"""Location clusters that vote, and are candidates."""


@dataclass(frozen=True, eq=False)
class Sources:
    """What speaks for each photo, before it is weighed."""

    features: Float32Array
    """(N, K) of the photos, for retrieval."""
    beliefs: tuple[Float32Array, Float32Array, Float32Array]
    """(N, C) of the prior, the classifier and the votes of similar clusters."""
    signal: Float32Array
    """(N, SIGNALS)"""
    found: Found
    """The most similar clusters."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Answers for N photos: the first candidate is the answer, the others follow by belief."""

    belief: Float32Array
    """(N, C)"""
    cell: Int64Array
    """(N, P) candidate cells, each once; -1 beyond the last."""
    latlon: Float64Array
    """(N, P, 2) degrees: the point inside each candidate cell."""
    radii_km: Float32Array
    """(N, len(LEVELS)) calibrated."""
    confidence: list[Confidence]
    """(N,) the finest claim."""
    localisability: Float32Array
    """(N,) chance that the answer is right within 200 km."""
    evidence: Float32Array
    """(N, EVIDENCE) what radius and confidence are judged by."""
    features: Float32Array
    """(N, K) of the photos."""
    source_weights: Float32Array
    """(N, 3) weights of prior, classifier and votes; rows sum to 1."""
    agreement: Float32Array
    """(N,) belief that photos of one place have in common, 0..1; 1 for single photos."""
    neighbour: Int64Array
    """(N, k) known photos that look most like it, rows of the member table; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) of these, descending."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates with what the re-ranker judges them by."""

    candidates: Candidates
    features: Float32Array
    """(N, P, FEATURES)"""
    mood: Float32Array
    """(N, MOODS)"""
    share: Float32Array
    """(N, P) of the votes."""
    neighbour: Int64Array
    """(N, k) known photos that look most like it; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) of these, descending."""


class Ranker:
    """The bundle's models working together."""

    def __init__(
        self, cells: CellTable, heads: Heads, gallery: Gallery, calibration: Calibration
    ) -> None:
        """All four speak of the same cell table."""
        self.cells, self.heads, self.gallery = cells, heads, gallery
        self.calibration = calibration
        self.space = CellSpace(cells.centroids)

    def sources(self, embeddings: Float32Array, within: ConstraintMask | None = None) -> Sources:
        """Ask prior, classifier and similar clusters about embeddings (N, D)."""
        features = self.heads.features(embeddings)
        classifier = tempered(self.heads.classify(features), self.calibration.temperature)
        prior = np.broadcast_to(self.heads.prior, classifier.shape)
        if within is not None:
            prior, classifier = within.mask(prior, prior), within.mask(classifier, prior)
        found = self.gallery.search(features, classifier, NEIGHBOURS, within)
        votes = self._votes(found, prior)
        signal = signals(classifier, votes, found.similarity)
        return Sources(features, (prior, classifier, votes), signal, found)

    def _votes(self, found: Found, prior: Float32Array) -> Float32Array:
        """Belief (N, C) of the similar clusters; that of the prior where there are none."""
        known = found.cluster >= 0
        some = known.any(axis=1, keepdims=True)
        similarity = np.where(known, found.similarity, np.where(some, -np.inf, 0.0))
        share = softmax(similarity * self.calibration.sharpness) * known
        return np.where(some, self.gallery.votes(share, found.cluster, len(self.cells)), prior)

    def believe(self, sources: Sources) -> Float32Array:
        """Belief (N, C): the opinions, each weighed by how far it can be trusted."""
        return pool(sources.beliefs, self.calibration.source_weights(sources.signal))

    def rank(self, embeddings: Float32Array, within: ConstraintMask | None = None) -> Ranking:
        """Answer embeddings (N, D), each for itself.

        Args:
            embeddings: (N, D).
            within: a part of the Earth that all photos are known to lie in.
        """
        sources = self.sources(embeddings, within)
        return self._rank(sources, self.believe(sources), within)

    def rank_together(
        self, embeddings: Float32Array, group: IndexArray, within: ConstraintMask | None = None
    ) -> Ranking:
        """Answer groups of photos of one place, views of a panorama or frames of a video.

        What each photo adds to the prior is multiplied; similar clusters are looked for with the
        mean of the views. A photo that is given twice counts once.

        Args:
            embeddings: (N, D).
            group: (N,) 0..G-1, every group with a photo.
            within: as for `rank`.

        Returns:
            G answers.
        """
        distinct = np.unique(np.column_stack([group, embeddings]), axis=0, return_index=True)[1]
        chosen, vectors = group[distinct], embeddings[distinct]
        together = self.sources(group_mean(vectors, chosen), within)
        alone = self.sources(vectors, within)
        each = self.believe(alone)
        fused = self._rank(together, fuse(each, alone.beliefs[0][0], chosen), within)
        common = agreement(each, chosen)
        confidence: list[Confidence] = [
            claim if shared >= CONTRADICTION else "not sure"
            for claim, shared in zip(fused.confidence, common, strict=True)
        ]
        return replace(fused, agreement=common, confidence=confidence)

    def score(
        self,
        features: Float32Array,
        found: Found,
        belief: Float32Array,
        within: ConstraintMask | None = None,
    ) -> Scored:
        """Gather the candidates of photos, and what speaks for each."""
        utility = self.space.expected_utility(belief)
        candidates, neighbour, similarity = gather(
            self.gallery, self.cells, features, found, utility, within
        )
        share = votes(candidates, belief, self.calibration.sharpness)
        described = describe(candidates, share, utility, belief, self.gallery.clusters.count)
        mood = moods(candidates, belief, described)
        return Scored(candidates, described, mood, share, neighbour, similarity)

    def _rank(
        self, sources: Sources, belief: Float32Array, within: ConstraintMask | None
    ) -> Ranking:
        scored = self.score(sources.features, sources.found, belief, within)
        value = self.calibration.reranker(scored.features, scored.mood)
        value = np.where(scored.candidates.valid, value, -np.inf)
        cell, latlon = self._by_cell(scored.candidates, value, belief)
        judged = self._evidence(sources, belief, cell[:, 0], latlon[:, 0], scored)
        radii, confidence = self.calibration.judge(judged)
        return Ranking(
            belief=belief,
            cell=cell,
            latlon=latlon,
            radii_km=radii,
            confidence=confidence,
            localisability=self.calibration.localisability(judged),
            evidence=judged,
            features=sources.features,
            source_weights=self.calibration.source_weights(sources.signal),
            agreement=np.ones(len(belief), np.float32),
            neighbour=scored.neighbour,
            similarity=scored.similarity,
        )

    def _by_cell(
        self, candidates: Candidates, value: Float32Array, belief: Float32Array
    ) -> tuple[Int64Array, Float64Array]:
        """The best candidate of each cell: the answer first, the others by belief.

        Returns:
            (N, P) cells, each once, -1 beyond the last, and (N, P, 2) degrees.
        """
        by_value = np.argsort(-value, axis=1, kind="stable")
        cell = np.take_along_axis(candidates.cell, by_value, axis=1)
        earlier = np.tril(np.ones((cell.shape[1],) * 2, bool), -1)
        again = ((cell[:, :, None] == cell[:, None, :]) & earlier).any(axis=2)
        again |= np.isneginf(np.take_along_axis(value, by_value, axis=1))
        again[:, 0] = False
        rank = np.where(again, -1.0, np.take_along_axis(belief, cell, axis=1))
        rank[:, 0] = np.inf
        order = np.argsort(-rank, axis=1, kind="stable")[:, :MOST_CANDIDATES]
        row = np.take_along_axis(by_value, order, axis=1)
        points = np.take_along_axis(candidates.latlon, row[..., None], axis=1)
        once = np.where(again, -1, cell)
        return np.take_along_axis(once, order, axis=1), points

    def _evidence(
        self,
        sources: Sources,
        belief: Float32Array,
        cell: Int64Array,
        answer: Float64Array,
        scored: Scored,
    ) -> Float32Array:
        """(N, EVIDENCE) what radius and claims are judged by."""
        distances = self.space.distances_km(answer)
        # belief in the cell of the answer is belief in the answer: large cells know few places
        np.put_along_axis(distances, cell[:, None], 0.0, axis=1)
        spread = spread_km(belief, distances, [int(level) / 100 for level in LEVELS])
        near = [(belief * (distances <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        voters_km = haversine_km(answer[:, None], scored.candidates.latlon)
        voting = [(scored.share * (voters_km <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        mass = np.column_stack([*near, self._country_mass(belief, cell), *voting])
        weights = self.calibration.source_weights(sources.signal)
        return evidence(sources.signal, weights, mass, spread)

    def _country_mass(self, belief: Float32Array, cell: Int64Array) -> Float32Array:
        """Belief (N,) in the country of one cell (N,) each."""
        of_country = belief @ self._in_country
        return np.asarray(of_country[np.arange(len(cell)), self._country[cell]], np.float32)

    @cached_property
    def _country(self) -> IndexArray:
        """(C,) country number of each cell."""
        return np.unique(self.cells.country, return_inverse=True)[1]

    @cached_property
    def _in_country(self) -> Float32Array:
        """(C, number of countries) 1 where a cell lies in a country."""
        return np.eye(self._country.max() + 1, dtype=np.float32)[self._country]
