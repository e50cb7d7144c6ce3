"""Five rounds, you against the bundle: which photos, and how many points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from demo.page.game.photos import LocatedPhoto
from geocells.sphere import haversine_km
from geoloc.metrics import GEOGUESSR_SCALE_KM

ROUNDS = 5
MOST_POINTS = 5000

LatLon = tuple[float, float]


@dataclass(frozen=True)
class Round:
    """A round that is over."""

    photo: LocatedPhoto
    yours: LatLon
    bundle: LatLon

    @property
    def distances_km(self) -> tuple[float, float]:
        """How far off you were, and the bundle."""
        truth = (self.photo.lat, self.photo.lon)
        yours, bundle = haversine_km([self.yours, self.bundle], truth)
        return float(yours), float(bundle)

    @property
    def points(self) -> tuple[int, int]:
        """Yours, and the bundle's."""
        yours, bundle = map(points, self.distances_km)
        return yours, bundle


@dataclass(frozen=True)
class Game:
    """The photos of a game, and the rounds that are over."""

    photos: tuple[LocatedPhoto, ...]
    rounds: tuple[Round, ...] = ()

    @property
    def photo(self) -> LocatedPhoto | None:
        """What is to be guessed; None at the end."""
        return self.photos[len(self.rounds)] if len(self.rounds) < len(self.photos) else None

    @property
    def total(self) -> tuple[int, int]:
        """Your points, and the bundle's."""
        scores = [over.points for over in self.rounds]
        return sum(score[0] for score in scores), sum(score[1] for score in scores)

    def guessed(self, yours: LatLon, bundle: LatLon) -> Game:
        """The game after the round that is being played."""
        if self.photo is None:
            return self
        return replace(self, rounds=(*self.rounds, Round(self.photo, yours, bundle)))


def start(photos: Sequence[LocatedPhoto], seed: int) -> Game:
    """A game of at most ROUNDS photos; the same seed gives the same game."""
    order = np.random.default_rng(seed).permutation(len(photos))[:ROUNDS]
    return Game(tuple(photos[index] for index in order))


def points(distance_km: float) -> int:
    """GeoScore of a guess: 5000 exp(-d / 1492.7 km) (PIGEON, section 6.1)."""
    return round(MOST_POINTS * math.exp(-distance_km / GEOGUESSR_SCALE_KM))
