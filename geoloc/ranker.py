"""From embeddings to answers: belief over cells, the best cells, the best point, how far off.

Everything here is arrays over photos; `geoloc.locator` adds pixels before and words after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocells.sphere import FloatArray as Float64Array
from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.calibration import CLAIM_KM, LEVELS, Calibration, evidence, signals
from geoloc.encoder import FloatArray
from geoloc.guess import Confidence
from geoloc.heads import Heads, softmax
from geoloc.posterior import CellSpace, pool, spread_km
from geoloc.retrieval import Gallery, IntArray

NEIGHBOURS = 128
"""Known photos that vote."""

CANDIDATES = 40
"""Cells that are refined to a point (K = 40 in PIGEOTTO)."""

PULL = 10.0
"""How strongly similarity re-ranks the candidate cells: weight of the similarity beside the
logarithm of the expected utility."""


@dataclass(frozen=True, eq=False)
class Sources:
    """What speaks for each photo, before it is weighed."""

    features: FloatArray
    """(N, K) of the photos, for retrieval."""
    beliefs: tuple[FloatArray, FloatArray, FloatArray]
    """(N, C) of the prior, the classifier and the neighbours' votes."""
    signal: FloatArray
    """(N, SIGNALS)"""
    similarity: FloatArray
    """(N, k) of the nearest members, descending."""
    neighbour: IntArray
    """(N, k) member rows."""
    share: FloatArray
    """(N, k) of the votes that each neighbour has."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Answers for N photos: the first candidate is the answer, the others follow by belief."""

    belief: FloatArray
    """(N, C)"""
    cell: IntArray
    """(N, P) candidate cells."""
    latlon: Float64Array
    """(N, P, 2) degrees: the point inside each candidate cell."""
    radii_km: FloatArray
    """(N, len(LEVELS)) calibrated."""
    confidence: list[Confidence]
    """(N,) the finest claim."""
    evidence: FloatArray
    """(N, EVIDENCE) what radius and confidence are judged by."""
    sources: Sources


class Ranker:
    """The bundle's models working together."""

    def __init__(
        self, cells: CellTable, heads: Heads, gallery: Gallery, calibration: Calibration
    ) -> None:
        """All four speak of the same cell table."""
        self.cells, self.heads, self.gallery = cells, heads, gallery
        self.calibration = calibration
        self.space = CellSpace(cells.centroids)

    def sources(self, embeddings: FloatArray) -> Sources:
        """Ask prior, classifier and neighbours about embeddings (N, D)."""
        features = self.heads.features(embeddings)
        classifier = self.heads.classify(features)
        similarity, row = self.gallery.nearest(features, NEIGHBOURS)
        share = softmax(similarity * self.calibration.sharpness)
        votes = self.gallery.votes(share, row, len(self.cells))
        prior = np.broadcast_to(self.heads.prior, classifier.shape)
        signal = signals(classifier, votes, similarity)
        return Sources(features, (prior, classifier, votes), signal, similarity, row, share)

    def rank(self, embeddings: FloatArray) -> Ranking:
        """Answer embeddings (N, D)."""
        sources = self.sources(embeddings)
        weights = self.calibration.source_weights(sources.signal)
        belief = pool(sources.beliefs, weights)
        cell, latlon = self._points(sources.features, belief)
        distances = self.space.distances_km(latlon[:, 0])
        # belief in the cell of the answer is belief in the answer: large cells know few places
        np.put_along_axis(distances, cell[:, :1], 0.0, axis=1)
        spread = spread_km(belief, distances, [int(level) / 100 for level in LEVELS])
        near = [(belief * (distances <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        voters_km = haversine_km(latlon[:, :1], self.gallery.members.latlon[sources.neighbour])
        voting = [(sources.share * (voters_km <= km)).sum(axis=1) for km in CLAIM_KM.values()]
        mass = np.column_stack([*near, self._country_mass(belief, cell[:, 0]), *voting])
        judged = evidence(sources.signal, weights, mass, spread)
        radii, confidence = self.calibration.judge(judged)
        return Ranking(belief, cell, latlon, radii, confidence, judged, sources)

    def _points(self, features: FloatArray, belief: FloatArray) -> tuple[IntArray, Float64Array]:
        """Candidate cells (N, P), the answer first, and the point (N, P, 2) inside each.

        The cells of highest expected utility are searched for the most similar member (section 5
        of PIGEON, with utility in the place of probability), whose place is the point; a cell
        without members answers with its centroid.
        """
        utility = self.space.expected_utility(belief)
        n_candidates = min(CANDIDATES, utility.shape[1])
        best = np.argpartition(-utility, n_candidates - 1, axis=1)[:, :n_candidates]
        similarity, member = self.gallery.inside(features, best.astype(np.int64))
        score = np.log(np.take_along_axis(utility, best, axis=1) + 1e-12) + PULL * similarity
        rank = np.take_along_axis(belief, best, axis=1)
        np.put_along_axis(rank, score.argmax(axis=1)[:, None], np.inf, axis=1)
        order = np.argsort(-rank, axis=1, kind="stable")
        cell = np.take_along_axis(best, order, axis=1)
        member = np.take_along_axis(member, order, axis=1)
        known = self.gallery.members.latlon[np.maximum(member, 0)]
        return cell, np.where((member >= 0)[..., None], known, self.cells.centroids[cell])

    def _country_mass(self, belief: FloatArray, cell: IntArray) -> FloatArray:
        """Belief (N,) in the country of one cell (N,) each."""
        of_country = belief @ self._in_country
        return np.asarray(of_country[np.arange(len(cell)), self._country[cell]], np.float32)

    @cached_property
    def _country(self) -> npt.NDArray[np.intp]:
        """(C,) country number of each cell."""
        return np.unique(self.cells.country, return_inverse=True)[1]

    @cached_property
    def _in_country(self) -> FloatArray:
        """(C, number of countries) 1 where a cell lies in a country."""
        return np.eye(self._country.max() + 1, dtype=np.float32)[self._country]
