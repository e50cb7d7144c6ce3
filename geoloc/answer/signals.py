"""Signals and evidence: the numbers that weights, radii and claims of a photo depend on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geoloc.types import Float32Array, Int64Array

SOURCES = 5
"""Sources of a belief: the world's photo density, and classifier and votes, each of them under the
prior of the training photos and under the prior of use."""

GALLERY = (2, 4)
"""Sources that are votes of the gallery."""

SIGNALS = 9
"""Number of signals of a photo, see `signals`."""

EVIDENCE = SIGNALS + SOURCES + 13
"""Length of the evidence vector of a question, see `evidence_vectors`."""


def signals(
    classifier: Float32Array,
    votes: Float32Array,
    similarity: Float32Array,
    background: Float32Array,
) -> Float32Array:
    """Return the signals that the weights of the sources depend on.

    Args:
        classifier: (N, C) belief of the geocell head.
        votes: (N, C) belief of the nearest clusters.
        similarity: (N, k) of the nearest clusters, descending.
        background: (N, 2) similarity to background photos; see
            `geoloc.retrieval.background.Background.similarity`.

    Returns:
        (N, SIGNALS) float32 of order 1: a constant, the similarity of the first and of the tenth
        cluster, the entropies of classifier and votes, the classifier's largest probability, the
        inner product of classifier and votes, and the similarities to the background.
    """
    tenth = min(9, similarity.shape[1] - 1)
    columns = [
        np.ones(len(classifier)),
        5.0 * similarity[:, 0],
        5.0 * similarity[:, tenth],
        _entropy(classifier),
        _entropy(votes),
        3.0 * classifier.max(axis=1),
        3.0 * (classifier * votes).sum(axis=1),
        5.0 * background,
    ]
    return np.column_stack(columns).astype(np.float32)


def _entropy(belief: Float32Array) -> Float32Array:
    return np.asarray(-(belief * np.log(belief + 1e-9)).sum(axis=1), np.float32)


def evidence_vectors(
    signal: Float32Array,
    weights: Float32Array,
    mass: Float32Array,
    spread_km: Float32Array,
    known: Float32Array,
    photos: Float32Array,
) -> Float32Array:
    """Return the evidence vectors, the input of the calibrated radii, claims and probabilities.

    Args:
        signal: (N, SIGNALS).
        weights: (N, SOURCES) of the sources.
        mass: (N, 5) belief within the two distances of CLAIM_KM around the answer, belief in its
            country, and votes of the nearest clusters within the two distances.
        spread_km: (N, 5) radii around the answer that contain 50, 80 and 95 % of the belief, and
            50 and 80 % of the prior inside the constraint.
        known: (N, 2) see `geoloc.answer.places.support`.
        photos: (N,) informative photos of the question, 1 for a single photo.

    Returns:
        (N, EVIDENCE) float32 of order 1, with masses as logits, and spreads and number of photos as
        logarithms.
    """
    share = np.clip(mass, 0.0, 1.0)
    logits = np.log(share + 1e-3) - np.log1p(1e-3 - share)
    return np.column_stack(
        [signal, weights, logits, np.log(spread_km + 1.0), known, np.log(photos)]
    ).astype(np.float32)


class CountryBelief:
    """The belief in the country of a cell."""

    def __init__(self, country: npt.NDArray[np.str_]) -> None:
        """Take the country (C,) of each cell."""
        self._number = np.unique(country, return_inverse=True)[1]
        self._member = np.eye(self._number.max() + 1, dtype=np.float32)[self._number]

    def __call__(self, belief: Float32Array, cell: Int64Array) -> Float32Array:
        """Return the belief (N,) of (N, C) in the country of the given cell (N,) of each photo."""
        of_country = belief @ self._member
        return np.asarray(of_country[np.arange(len(cell)), self._number[cell]], np.float32)
