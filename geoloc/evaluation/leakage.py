"""Leakage: overlap between the photos of a benchmark and the training photos of a system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocells.neighbours import NearestPoints
from geoloc.errors import TableError
from geoloc.photos.columns import column, to_texts
from geoloc.photos.position import is_position
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import position_problems, read_table
from geoloc.photos.tabular.encoding import notice
from geoloc.types import BoolArray, Float64Array, StrArray

NEEDS = "the columns lat, lon and, optionally, author"

SAME_PLACE_KM = 1.0
"""A photo nearer than this to a training photo counts as taken at the same place."""

DUPLICATE_SIMILARITY = 0.9
"""Cosine of retrieval features above which two photos are near-duplicates. On the development
photos it finds the same pairs as a cosine of 0.93 of centred embeddings, the threshold of
`training.data.duplicates`."""


@dataclass(frozen=True, eq=False)
class TrainingPhotos:
    """The M photos that a system was trained on."""

    latlon: Float64Array
    """(M, 2) degrees."""
    author: StrArray
    """(M,) "" where unknown."""


@dataclass(frozen=True, eq=False)
class Leakage:
    """Overlap of each of N test photos with the training photos."""

    nearest_km: Float64Array
    """(N,) distance to the nearest training photo; infinite if there is none."""
    author: BoolArray | None
    """(N,) whether the author also took training photos; None if no authors are known."""
    duplicate: BoolArray | None
    """(N,) whether it is a near-duplicate of a training photo; None without similarities."""

    @property
    def place(self) -> BoolArray:
        """(N,) whether it was taken within SAME_PLACE_KM of a training photo."""
        return self.nearest_km < SAME_PLACE_KM

    @property
    def disjoint(self) -> BoolArray:
        """(N,) whether no overlap of author, scene or place was found."""
        disjoint = ~self.place
        for shared in (self.author, self.duplicate):
            if shared is not None:
                disjoint &= ~shared
        return disjoint


def read(path: Path) -> TrainingPhotos:
    """Read a table of training photos with the columns lat, lon and, optionally, author.

    Raises:
        TableError: the table is missing or has no coordinates.
    """
    raw = read_table(path, NEEDS)
    latlon = read_true_degrees(raw, path, NEEDS)
    good = is_position(latlon)
    if not good.any():
        raise TableError(f"{path}: no row has coordinates; it needs {NEEDS}")
    for line in position_problems(path, [f"row {row + 1}" for row in range(len(raw))], latlon):
        notice(line)
    return TrainingPhotos(latlon[good], to_texts(column(raw, "author"), len(raw))[good])


def find_leakage(
    training: TrainingPhotos,
    latlon: Float64Array,
    author: StrArray,
    similarity: npt.ArrayLike | None = None,
) -> Leakage:
    """Return the overlap of N test photos with training photos.

    Args:
        training: the training photos of the system.
        latlon: (N, 2) degrees.
        author: (N,) "" where unknown.
        similarity: (N,) cosine to the retrieval features of the most similar training photo.
    """
    authors_known = (author != "").any() and (training.author != "").any()
    return Leakage(
        nearest_km(training.latlon, latlon),
        is_shared(training.author, author) if authors_known else None,
        None if similarity is None else np.asarray(similarity) > DUPLICATE_SIMILARITY,
    )


def is_shared(training: StrArray, test: StrArray) -> BoolArray:
    """Return (N,) whether each test value is among the (M,) training values; False for ""."""
    found: BoolArray = np.isin(test.astype(str), training.astype(str)) & (test != "")
    return found


def nearest_km(training: Float64Array, test: Float64Array) -> Float64Array:
    """Return distances (N,) of (N, 2) coordinates to the nearest of (M, 2); infinite if M is 0."""
    if not len(training):
        return np.full(len(test), np.inf)
    return NearestPoints(training).query(test)[0][:, 0]
