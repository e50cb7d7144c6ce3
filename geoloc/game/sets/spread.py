"""Choice of photos for a game: spread over the world, and over collections."""

from __future__ import annotations

import numpy as np

from geocells.sphere import haversine_km
from geoloc.types import Float64Array, StrArray

APART_KM = 1.0
"""Photos of a set are at least so far from each other: nearer ones may show the same place."""

FAR_SHARE = 0.5
"""Photos are drawn at random among those that are at least this share as far from the chosen ones
as the farthest. That one alone would often be an island, or a wrong position."""


class Spread:
    """Draws photos one after the other, each far from those that are kept.

    Each is of a collection of which the fewest photos are kept.
    """

    def __init__(self, latlon: Float64Array, collection: StrArray, seed: int) -> None:
        """Take N photos.

        Args:
            latlon: (N, 2) degrees.
            collection: (N,) name of the collection of each photo.
            seed: of the draw.
        """
        self._latlon, self._rng = latlon, np.random.default_rng(seed)
        names, self._collection = np.unique(collection.astype(str), return_inverse=True)
        self._kept_of = np.zeros(len(names), np.intp)
        self._left = np.ones(len(latlon), bool)
        self._away_km = np.full(len(latlon), np.inf)

    def draw(self) -> int | None:
        """Return the row of a photo that was not drawn before.

        None if there is none, or every other one is nearer than APART_KM to one that is kept.
        """
        able = self._left & (self._away_km >= APART_KM)
        if not able.any():
            return None
        kept = self._kept_of[self._collection]
        able &= kept == kept[able].min()
        able &= self._away_km >= FAR_SHARE * self._away_km[able].max()
        row = int(self._rng.choice(np.flatnonzero(able)))
        self._left[row] = False
        return row

    def keep(self, row: int) -> None:
        """Keep a photo that was drawn: later ones are far from it."""
        self._kept_of[self._collection[row]] += 1
        away_km = haversine_km(self._latlon, self._latlon[row])
        self._away_km = np.minimum(self._away_km, away_km)
