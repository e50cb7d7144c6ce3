"""What test photos share with the photos that a system learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocells.neighbours import NearestPoints
from geoloc.errors import TableError
from geoloc.photos.columns import column, on_earth, read_degrees, to_texts
from geoloc.photos.tables import read_table
from geoloc.types import BoolArray, Float64Array, StrArray

WANTED = "the columns lat, lon and perhaps author"

KNOWN_PLACE_KM = 1.0
"""A photo nearer than this to a training photo shows a place that the model knows."""

DUPLICATE_SIMILARITY = 0.9
"""Of retrieval features, above which two photos show one scene from one spot. On the development
photos it finds what a cosine of 0.93 of centred embeddings finds (`training.data.duplicates`)."""


@dataclass(frozen=True, eq=False)
class Known:
    """The photos that a system learned from."""

    latlon: Float64Array
    """(M, 2) degrees."""
    author: StrArray
    """(M,) "" where it is not known."""


@dataclass(frozen=True, eq=False)
class Leaks:
    """What each of N test photos shares with the known ones."""

    nearest_km: Float64Array
    """(N,) distance to the nearest known photo; infinite if there is none."""
    author: BoolArray | None
    """(N,) taken by someone who has known photos too; None where no authors are known."""
    duplicate: BoolArray | None
    """(N,) near-duplicate of a known photo; None where nobody looked."""

    @property
    def place(self) -> BoolArray:
        """(N,) at a place that is known."""
        return self.nearest_km < KNOWN_PLACE_KM

    @property
    def disjoint(self) -> BoolArray:
        """(N,) shares neither author nor scene nor place, as far as that is known."""
        apart = ~self.place
        for shared in (self.author, self.duplicate):
            if shared is not None:
                apart &= ~shared
        return apart


def read(path: Path) -> Known:
    """Read a table of training photos: lat, lon, and perhaps author.

    Raises:
        TableError: it is missing, or has no coordinates.
    """
    raw = read_table(path, WANTED)
    latlon = read_degrees(raw, path, WANTED)
    good = on_earth(latlon)
    if not good.any():
        raise TableError(f"{path}: no row has coordinates; it needs {WANTED}")
    return Known(latlon[good], to_texts(column(raw, "author"), len(raw))[good])


def leaks(
    known: Known, latlon: Float64Array, author: StrArray, similarity: npt.ArrayLike | None = None
) -> Leaks:
    """Look at N test photos.

    Args:
        known: what the system learned from.
        latlon: (N, 2) degrees.
        author: (N,) "" where it is not known.
        similarity: (N,) of each photo's features and those of the most similar known photo.
    """
    told = (author != "").any() and (known.author != "").any()
    return Leaks(
        nearest_km(known.latlon, latlon),
        shared(known.author, author) if told else None,
        None if similarity is None else np.asarray(similarity) > DUPLICATE_SIMILARITY,
    )


def shared(known: StrArray, asked: StrArray) -> BoolArray:
    """Whether each of (N,) values, if there is one, is among (M,) known ones."""
    found: BoolArray = np.isin(asked.astype(str), known.astype(str)) & (asked != "")
    return found


def nearest_km(known: Float64Array, asked: Float64Array) -> Float64Array:
    """Distance of each of (N, 2) coordinates to the nearest of (M, 2); infinite if M is 0."""
    if not len(known):
        return np.full(len(asked), np.inf)
    return NearestPoints(known).query(asked)[0][:, 0]
