"""`Ranker`: from embeddings to a belief over cells, ranked candidate places, radii and claims.

All inputs and outputs are arrays over photos.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.calibration import Calibration
from geoloc.answer.hedge import LOCALISED, Hedge
from geoloc.answer.judge import CLAIM_KM, LEVELS
from geoloc.answer.places import Scored, belief_near, blended, rank_places, support
from geoloc.answer.questions import Judges, claim_limits
from geoloc.answer.ranking import Ranking, Sources, nothing_known
from geoloc.answer.signals import GALLERY, CountryBelief, evidence_vectors, signals
from geoloc.answer.together import FUSED, Fused, combine, merge_bursts
from geoloc.belief.background import Background
from geoloc.belief.fusion import (
    CellSpace,
    ConstraintMask,
    group_mean,
    pool,
    spread_km,
    update_rows,
)
from geoloc.belief.heads import Heads, softmax, tempered
from geoloc.retrieval.background import BackgroundFeatures
from geoloc.retrieval.candidates import gather
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.retrieval.pigeon import refine
from geoloc.retrieval.reranker import describe, gating_features, votes
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int64Array

NEIGHBOURS = 96
"""Nearest location clusters, which vote for their cells and are candidates."""


class Ranker:
    """The models of a bundle combined."""

    def __init__(
        self,
        cells: CellTable,
        heads: Heads,
        gallery: Gallery,
        calibration: Calibration,
        background: Background | None = None,
    ) -> None:
        """Combine models of the same C geocells.

        `background` holds photos from all over the world, embedded by the same encoder.
        """
        self.cells, self.heads, self.gallery = cells, heads, gallery
        self.calibration = calibration
        self.background = BackgroundFeatures.of(background, heads)
        self.space = CellSpace(cells.centroids)
        self._country_belief = CountryBelief(cells.country)

    def sources(
        self,
        embeddings: Float32Array,
        constraint: ConstraintMask | None = None,
        left_out: BoolArray | None = None,
        nearest: NearestClusters | None = None,
    ) -> Sources:
        """Return the beliefs of all sources.

        Args:
            embeddings: (N, D) unit vectors.
            constraint: excludes all cells and clusters outside.
            left_out: (N, M) background photos that are not compared, for held-out photos.
            nearest: the result of `search`, if it is known.
        """
        features = self.heads.features(embeddings)
        raw = self.heads.classify(features)
        classifier = tempered(raw, self.calibration.temperature)
        used = self.heads.shifted(classifier)
        prior = np.broadcast_to(self.heads.prior, classifier.shape)
        if constraint is not None:
            prior = constraint.mask(prior, prior)
            classifier, used = (constraint.mask(belief, prior) for belief in (classifier, used))
        nearest = nearest or self.gallery.search(features, raw, NEIGHBOURS, constraint)
        by_votes = self._votes(nearest, prior)
        background = self.background.similarity(features, left_out)
        signal = signals(classifier, by_votes[0], nearest.similarity, background)
        beliefs = (prior, classifier, by_votes[0], used, by_votes[1])
        return Sources(features, beliefs, signal, nearest)

    def search(self, embeddings: Float32Array) -> NearestClusters:
        """Return the clusters nearest to embeddings (N, D); no calibration changes them."""
        features = self.heads.features(embeddings)
        return self.gallery.search(features, self.heads.classify(features), NEIGHBOURS)

    def _votes(self, nearest: NearestClusters, prior: Float32Array) -> tuple[Float32Array, ...]:
        """Return the votes (N, C) of the nearest clusters, and those under the prior of use."""
        valid = nearest.cluster >= 0
        some = valid.any(axis=1, keepdims=True)
        similarity = np.where(valid, nearest.similarity, np.where(some, -np.inf, 0.0))
        share = softmax(similarity * self.calibration.sharpness) * valid
        cell = self.gallery.clusters.cell[np.maximum(nearest.cluster, 0)]
        used = share * np.exp(self.heads.shift[cell])
        used = used / np.maximum(used.sum(axis=1, keepdims=True), 1e-30)
        return tuple(
            np.where(some, self.gallery.votes(each, nearest.cluster, len(self.cells)), prior)
            for each in (share, used.astype(np.float32))
        )

    def believe(self, sources: Sources) -> Float32Array:
        """Return the belief (N, C): the sources, mixed with calibrated weights for each photo."""
        return pool(sources.beliefs, self.calibration.source_weights(sources.signal))

    def rank(
        self,
        embeddings: Float32Array,
        constraint: ConstraintMask | None = None,
        left_out: BoolArray | None = None,
        evidence: Float32Array | None = None,
        nearest: NearestClusters | None = None,
    ) -> Ranking:
        """Rank candidate places for each of N photos.

        Args:
            embeddings: (N, D) unit vectors.
            constraint: excludes all cells and clusters outside.
            left_out: (N, M) as for `sources`.
            evidence: (N, C) log-likelihoods from `geoloc.belief.witnesses.weighing`.
            nearest: as for `sources`.
        """
        sources = self.sources(embeddings, constraint, left_out, nearest)
        belief = update_rows(self.believe(sources), evidence)
        return self._rank(sources, belief, constraint, evidence, Fused.of_single(belief))

    def rank_together(
        self,
        embeddings: Float32Array,
        group: IndexArray,
        constraint: ConstraintMask | None = None,
        left_out: BoolArray | None = None,
        evidence: Float32Array | None = None,
    ) -> Ranking:
        """Rank candidate places for G groups of photos, each taken at one place.

        Near-duplicates count once, photos without evidence not at all. Where photos contradict each
        other, the belief is that of a photo drawn from the group, and nothing is claimed.

        Args:
            embeddings: (N, D) unit vectors.
            group: (N,) 0..G-1, every group with a photo.
            constraint: as for `rank`.
            left_out: (G, M) as for `sources`.
            evidence: (G, C) as for `rank`.

        Returns:
            G rankings.
        """
        vectors, owner = merge_bursts(embeddings, self.heads.features(embeddings), group)
        each = None if left_out is None else left_out[owner]
        alone = self.sources(vectors, constraint, each)
        prior = alone.beliefs[0][0]
        fused = combine(
            self.believe(alone), prior, alone.features, owner, self.calibration.consensus
        )
        fused = replace(fused, belief=update_rows(fused.belief, evidence))
        mean = group_mean(vectors, fused.weight + 1e-6, owner)
        together = self.sources(mean, constraint, left_out)
        return self._rank(together, fused.belief, constraint, evidence, fused)

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
        self,
        sources: Sources,
        belief: Float32Array,
        constraint: ConstraintMask | None,
        evidence: Float32Array | None,
        fused: Fused,
    ) -> Ranking:
        scored = self.score(sources.features, sources.nearest, belief, constraint)
        value = self.calibration.reranker(scored.features, scored.gating)
        weights = self.calibration.source_weights(sources.signal)
        share = blended(scored, value, weights[:, GALLERY].sum(axis=1))
        cell, latlon, mass = rank_places(scored, value, share, belief)
        several = (fused.photos >= FUSED) & ~fused.contradictory
        judges = Judges.of(self.calibration, several, constraint, evidence)
        photos = np.where(several, fused.photos, np.float32(1.0))
        place_evidence = self._evidence(sources, belief, cell[:, 0], latlon[:, 0], scored, photos)
        probability = judges.probability(mass, place_evidence)
        answer_cell, answer = self._answer(sources, belief, cell, latlon, probability, constraint)
        described = self._evidence(sources, belief, answer_cell, answer, scored, photos)
        near = judges.probability(belief_near(scored, share, belief, answer), place_evidence)
        of_answer = np.minimum(near, probability)[:, 0]
        at_first = (answer == latlon[:, 0]).all(axis=1)
        reach, claimable = claim_limits(constraint, self.cells.country, answer)
        radii, claims = judges.judge(described, claimable & ~fused.contradictory[:, None], reach)
        return Ranking(
            belief=belief,
            answer=answer,
            answer_cell=answer_cell,
            answer_probability=np.where(at_first, probability[:, 0], of_answer),
            cell=cell,
            latlon=latlon,
            probability=probability,
            radii_km=radii,
            confidence=claims,
            localisability=judges.localisability(described),
            region_limits=judges.region_limits(),
            several=several,
            calibrated=judges.calibrated,
            evidence=described,
            place_evidence=place_evidence,
            place_mass=mass,
            features=sources.features,
            source_weights=weights,
            agreement=fused.agreement,
            contradictory=fused.contradictory,
            neighbour=scored.neighbour,
            similarity=scored.similarity,
            **nothing_known(len(cell)),
        )

    def _answer(
        self,
        sources: Sources,
        belief: Float32Array,
        cell: Int64Array,
        latlon: Float64Array,
        probability: Float32Array,
        constraint: ConstraintMask | None,
    ) -> tuple[Int64Array, Float64Array]:
        """Return the cell (N,) and the point (N, 2) of each answer."""
        if self.calibration.refinement is not None:
            classifier = self.heads.classify(sources.features)
            if constraint is not None:
                classifier = constraint.mask(classifier, sources.beliefs[0])
            refined = refine(
                self.calibration.refinement, classifier, sources.features,
                self.gallery, self.cells, constraint,
            )  # fmt: skip
            return refined.cell, refined.latlon
        if constraint is None:
            hedge = self._hedge
        else:
            hedge = Hedge.over(self.cells.centroids, self.heads.prior, constraint)
        best = hedge.best(belief)
        point, first = hedge.points[best], latlon[:, 0]
        named = (probability[:, 0] >= LOCALISED) | (haversine_km(point, first) <= CLAIM_KM["city"])
        return np.where(named, cell[:, 0], hedge.cell[best]), np.where(named[:, None], first, point)

    def _evidence(
        self,
        sources: Sources,
        belief: Float32Array,
        cell: Int64Array,
        answer: Float64Array,
        scored: Scored,
        photos: Float32Array,
    ) -> Float32Array:
        """Return the input (N, EVIDENCE) of the calibrated radii and claims."""
        distances = self.space.distances_km(answer)
        # the answer's own cell counts as distance 0: a large cell may have its centroid far away
        np.put_along_axis(distances, cell[:, None], 0.0, axis=1)
        order = np.argsort(distances, axis=1)
        spread = spread_km(belief, distances, [int(level) / 100 for level in LEVELS], order)
        near = [(belief * (distances <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        voters_km = haversine_km(answer[:, None], scored.candidates.latlon)
        voting = [(scored.share * (voters_km <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        mass = np.column_stack([*near, self._country_belief(belief, cell), *voting])
        weights = self.calibration.source_weights(sources.signal)
        prior_spread = spread_km(sources.beliefs[0], distances, (0.5, 0.8), order)
        spreads = np.column_stack([spread, prior_spread])
        known = support(scored, self.gallery.members, answer, *CLAIM_KM.values())
        return evidence_vectors(sources.signal, weights, mass, spreads, known, photos)

    @cached_property
    def _hedge(self) -> Hedge:
        return Hedge.over(self.cells.centroids, self.heads.prior, None)
