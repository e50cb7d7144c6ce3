"""Photos of the same scene: pairs of similar pictures, found in blocks of bounded memory."""

from __future__ import annotations

import numpy as np

from geoloc.types import Float32Array, Float64Array, IndexArray

BLOCK = 2048


def most_similar(
    features: Float32Array, rows: IndexArray, sources: IndexArray
) -> tuple[IndexArray, Float64Array]:
    """Return the most similar source of each row, and the similarity.

    Args:
        features: (N, F) unit vectors.
        rows: (M,) photos to find a source for.
        sources: (S,) photos to choose from.

    Returns:
        (M,) rows of `features`, -1 without sources; and (M,) cosines.
    """
    found = np.full(len(rows), -1)
    similarity = np.full(len(rows), -1.0)
    if not len(sources):
        return found, similarity
    for start in range(0, len(rows), BLOCK):
        block = features[rows[start : start + BLOCK]]
        for first in range(0, len(sources), 8 * BLOCK):
            chosen = sources[first : first + 8 * BLOCK]
            cosine = block @ features[chosen].T
            best = cosine.argmax(axis=1)
            value = cosine[np.arange(len(block)), best]
            here = slice(start, start + len(block))
            better = value > similarity[here]
            found[here] = np.where(better, chosen[best], found[here])
            similarity[here] = np.where(better, value, similarity[here])
    return found, similarity


def mutual_pairs(
    features: Float32Array, one: IndexArray, other: IndexArray, least: float
) -> tuple[IndexArray, IndexArray]:
    """Return the pairs of photos of two cameras that are each other's most similar photo.

    Args:
        features: (N, F) unit vectors.
        one: (A,) photos of one camera.
        other: (B,) photos of the other.
        least: smallest similarity of a pair.

    Returns:
        (P,) rows of the first and (P,) rows of the second.
    """
    forth, similarity = most_similar(features, one, other)
    back, _ = most_similar(features, other, one)
    place = np.full(len(features), -1)
    place[other] = np.arange(len(other))
    returned = np.where(forth >= 0, back[place[forth]], -1)
    mutual = (similarity >= least) & (returned == one)
    return one[mutual], forth[mutual]
