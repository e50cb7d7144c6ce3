"""`Ranker`: from embeddings to a belief over cells, ranked candidate places, radii and claims.

All inputs and outputs are arrays over photos. `geoloc.geolocator` decodes and encodes the photos,
`geoloc.answer.explain` adds place names and evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.calibration import CLAIM_KM, LEVELS, Calibration, evidence_vectors, signals
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
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.retrieval.pigeon import promote, refine
from geoloc.retrieval.reranker import describe, gating_features, votes
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array

MAX_CANDIDATES = 40
"""Upper limit on candidates of a ranking."""

NEIGHBOURS = 96
"""Nearest location clusters, which vote for their cells and are candidates."""


@dataclass(frozen=True, eq=False)
class Sources:
    """Beliefs from each source for N photos, before they are weighted."""

    features: Float32Array
    """(N, K) retrieval features."""
    beliefs: tuple[Float32Array, Float32Array, Float32Array]
    """(N, C) of the prior, the classifier and the votes of the nearest clusters."""
    signal: Float32Array
    """(N, SIGNALS) see `signals`."""
    nearest: NearestClusters
    """The most similar clusters of the gallery."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranked candidates for N photos: the answer first, the others by belief in their cell."""

    belief: Float32Array
    """(N, C)"""
    cell: Int64Array
    """(N, P) cells of the candidates, without repetition; -1 beyond the last."""
    latlon: Float64Array
    """(N, P, 2) degrees: the best place inside each of these cells."""
    radii_km: Float32Array
    """(N, len(LEVELS)) calibrated radii."""
    confidence: list[Confidence]
    """(N,) the finest claim whose threshold is reached."""
    localisability: Float32Array
    """(N,) probability that the answer is right within 200 km."""
    evidence: Float32Array
    """(N, EVIDENCE) input of the calibrated radii and claims."""
    features: Float32Array
    """(N, K) retrieval features."""
    source_weights: Float32Array
    """(N, 3) weights of prior, classifier and votes; rows sum to 1."""
    agreement: Float32Array
    """(N,) agreement of the photos of one place, 0..1; 1 for single photos."""
    neighbour: Int64Array
    """(N, k) most similar gallery photos, rows of the member table; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) similarities of these photos, descending."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates with the input of the re-ranker."""

    candidates: Candidates
    features: Float32Array
    """(N, P, FEATURES)"""
    gating: Float32Array
    """(N, GATING_FEATURES)"""
    share: Float32Array
    """(N, P) share of the belief, see `votes`."""
    neighbour: Int64Array
    """(N, k) most similar gallery photos; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) similarities of these photos, descending."""


class Ranker:
    """The models of a bundle combined."""

    def __init__(
        self, cells: CellTable, heads: Heads, gallery: Gallery, calibration: Calibration
    ) -> None:
        """Combine models that belong to the same cell table."""
        self.cells, self.heads, self.gallery = cells, heads, gallery
        self.calibration = calibration
        self.space = CellSpace(cells.centroids)

    def sources(
        self, embeddings: Float32Array, constraint: ConstraintMask | None = None
    ) -> Sources:
        """Return the beliefs of prior, classifier and nearest clusters for embeddings (N, D)."""
        features = self.heads.features(embeddings)
        classifier = tempered(self.heads.classify(features), self.calibration.temperature)
        prior = np.broadcast_to(self.heads.prior, classifier.shape)
        if constraint is not None:
            prior, classifier = constraint.mask(prior, prior), constraint.mask(classifier, prior)
        nearest = self.gallery.search(features, classifier, NEIGHBOURS, constraint)
        votes = self._votes(nearest, prior)
        signal = signals(classifier, votes, nearest.similarity)
        return Sources(features, (prior, classifier, votes), signal, nearest)

    def _votes(self, nearest: NearestClusters, prior: Float32Array) -> Float32Array:
        """Return the votes (N, C) of the nearest clusters; the prior if there are none."""
        valid = nearest.cluster >= 0
        some = valid.any(axis=1, keepdims=True)
        similarity = np.where(valid, nearest.similarity, np.where(some, -np.inf, 0.0))
        share = softmax(similarity * self.calibration.sharpness) * valid
        return np.where(some, self.gallery.votes(share, nearest.cluster, len(self.cells)), prior)

    def believe(self, sources: Sources) -> Float32Array:
        """Return the belief (N, C): the sources, mixed with calibrated weights for each photo."""
        return pool(sources.beliefs, self.calibration.source_weights(sources.signal))

    def rank(self, embeddings: Float32Array, constraint: ConstraintMask | None = None) -> Ranking:
        """Rank candidate places for each of N photos.

        Args:
            embeddings: (N, D) unit vectors.
            constraint: excludes all cells and clusters outside.
        """
        sources = self.sources(embeddings, constraint)
        return self._rank(sources, self.believe(sources), constraint)

    def rank_together(
        self, embeddings: Float32Array, group: IndexArray, constraint: ConstraintMask | None = None
    ) -> Ranking:
        """Rank candidate places for G groups of photos, each taken at one place.

        The log-likelihoods of the photos of a group are added; the nearest clusters are those of
        their mean embedding. Repeated embeddings count once.

        Args:
            embeddings: (N, D) unit vectors.
            group: (N,) 0..G-1, every group with a photo.
            constraint: as for `rank`.

        Returns:
            G rankings.
        """
        distinct = np.unique(np.column_stack([group, embeddings]), axis=0, return_index=True)[1]
        chosen, vectors = group[distinct], embeddings[distinct]
        together = self.sources(group_mean(vectors, chosen), constraint)
        alone = self.sources(vectors, constraint)
        each = self.believe(alone)
        fused = self._rank(together, fuse(each, alone.beliefs[0][0], chosen), constraint)
        common = agreement(each, chosen)
        confidence: list[Confidence] = [
            claim if shared >= CONTRADICTION else "not sure"
            for claim, shared in zip(fused.confidence, common, strict=True)
        ]
        return replace(fused, agreement=common, confidence=confidence)

    def score(
        self,
        features: Float32Array,
        nearest: NearestClusters,
        belief: Float32Array,
        constraint: ConstraintMask | None = None,
    ) -> Scored:
        """Gather the candidates of N photos, with the input of the re-ranker."""
        utility = self.space.expected_utility(belief)
        candidates, neighbour, similarity = gather(
            self.gallery, self.cells, features, nearest, utility, constraint
        )
        share = votes(candidates, belief, self.calibration.sharpness)
        described = describe(candidates, share, utility, belief, self.gallery.clusters.count)
        gating = gating_features(candidates, belief, described)
        return Scored(candidates, described, gating, share, neighbour, similarity)

    def _rank(
        self, sources: Sources, belief: Float32Array, constraint: ConstraintMask | None
    ) -> Ranking:
        scored = self.score(sources.features, sources.nearest, belief, constraint)
        value = self.calibration.reranker(scored.features, scored.gating)
        value = np.where(scored.candidates.valid, value, -np.inf)
        cell, latlon = self._by_cell(scored.candidates, value, belief)
        if self.calibration.refinement is not None:
            classifier = self.heads.classify(sources.features)
            if constraint is not None:
                classifier = constraint.mask(classifier, sources.beliefs[0])
            refined = refine(
                self.calibration.refinement, classifier, sources.features,
                self.gallery, self.cells, constraint,
            )  # fmt: skip
            cell, latlon = promote(refined, cell, latlon)
        evidence = self._evidence(sources, belief, cell[:, 0], latlon[:, 0], scored)
        radii, confidence = self.calibration.judge(evidence)
        return Ranking(
            belief=belief,
            cell=cell,
            latlon=latlon,
            radii_km=radii,
            confidence=confidence,
            localisability=self.calibration.localisability(evidence),
            evidence=evidence,
            features=sources.features,
            source_weights=self.calibration.source_weights(sources.signal),
            agreement=np.ones(len(belief), np.float32),
            neighbour=scored.neighbour,
            similarity=scored.similarity,
        )

    def _by_cell(
        self, candidates: Candidates, value: Float32Array, belief: Float32Array
    ) -> tuple[Int64Array, Float64Array]:
        """Keep the best candidate of each cell: the answer first, the others by belief.

        Returns:
            (N, P) cells without repetition, -1 beyond the last, and (N, P, 2) degrees.
        """
        by_value = np.argsort(-value, axis=1, kind="stable")
        cell = np.take_along_axis(candidates.cell, by_value, axis=1)
        earlier = np.tril(np.ones((cell.shape[1],) * 2, bool), -1)
        repeated = ((cell[:, :, None] == cell[:, None, :]) & earlier).any(axis=2)
        repeated |= np.isneginf(np.take_along_axis(value, by_value, axis=1))
        repeated[:, 0] = False
        rank = np.where(repeated, -1.0, np.take_along_axis(belief, cell, axis=1))
        rank[:, 0] = np.inf
        order = np.argsort(-rank, axis=1, kind="stable")[:, :MAX_CANDIDATES]
        row = np.take_along_axis(by_value, order, axis=1)
        points = np.take_along_axis(candidates.latlon, row[..., None], axis=1)
        distinct = np.where(repeated, -1, cell)
        return np.take_along_axis(distinct, order, axis=1), points

    def _evidence(
        self,
        sources: Sources,
        belief: Float32Array,
        cell: Int64Array,
        answer: Float64Array,
        scored: Scored,
    ) -> Float32Array:
        """Return the input (N, EVIDENCE) of the calibrated radii and claims."""
        distances = self.space.distances_km(answer)
        # the answer's own cell counts as distance 0: a large cell may have its centroid far away
        np.put_along_axis(distances, cell[:, None], 0.0, axis=1)
        spread = spread_km(belief, distances, [int(level) / 100 for level in LEVELS])
        near = [(belief * (distances <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        voters_km = haversine_km(answer[:, None], scored.candidates.latlon)
        voting = [(scored.share * (voters_km <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        mass = np.column_stack([*near, self._country_mass(belief, cell), *voting])
        weights = self.calibration.source_weights(sources.signal)
        return evidence_vectors(sources.signal, weights, mass, spread)

    def _country_mass(self, belief: Float32Array, cell: Int64Array) -> Float32Array:
        """Return the belief (N,) in the country of the given cell (N,) of each photo."""
        of_country = belief @ self._in_country
        return np.asarray(of_country[np.arange(len(cell)), self._country[cell]], np.float32)

    @cached_property
    def _country(self) -> IndexArray:
        """(C,) number of the country of each cell."""
        return np.unique(self.cells.country, return_inverse=True)[1]

    @cached_property
    def _in_country(self) -> Float32Array:
        """(C, number of countries) one-hot country of each cell."""
        return np.eye(self._country.max() + 1, dtype=np.float32)[self._country]
