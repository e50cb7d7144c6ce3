"""Rules of the game: choice of photos, rounds and points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from demo.page.game.photos import LocatedPhoto
from geocells.sphere import haversine_km
from geoloc.metrics import GEOGUESSR_SCALE_KM

ROUNDS = 5
MAX_POINTS = 5000

LatLon = tuple[float, float]


@dataclass(frozen=True)
class Round:
    """A finished round: the photo and both guesses."""

    photo: LocatedPhoto
    player: LatLon
    bundle: LatLon

    @property
    def distances_km(self) -> tuple[float, float]:
        """The errors of the player and of the bundle."""
        truth = (self.photo.lat, self.photo.lon)
        player, bundle = haversine_km([self.player, self.bundle], truth)
        return float(player), float(bundle)

    @property
    def points(self) -> tuple[int, int]:
        """The points of the player and of the bundle."""
        player, bundle = map(points, self.distances_km)
        return player, bundle


@dataclass(frozen=True)
class Game:
    """The photos of a game and its finished rounds."""

    photos: tuple[LocatedPhoto, ...]
    rounds: tuple[Round, ...] = ()

    @property
    def photo(self) -> LocatedPhoto | None:
        """The photo of the current round; None at the end."""
        return self.photos[len(self.rounds)] if len(self.rounds) < len(self.photos) else None

    @property
    def totals(self) -> tuple[int, int]:
        """The total points of the player and of the bundle."""
        scores = [finished.points for finished in self.rounds]
        return sum(score[0] for score in scores), sum(score[1] for score in scores)

    def with_guesses(self, player: LatLon, bundle: LatLon) -> Game:
        """Return the game after the current round; unchanged at the end."""
        if self.photo is None:
            return self
        return replace(self, rounds=(*self.rounds, Round(self.photo, player, bundle)))


def new_game(photos: Sequence[LocatedPhoto], seed: int) -> Game:
    """Return a game of at most ROUNDS photos; the same seed gives the same game."""
    order = np.random.default_rng(seed).permutation(len(photos))[:ROUNDS]
    return Game(tuple(photos[index] for index in order))


def points(distance_km: float) -> int:
    """Return the GeoScore of a guess: 5000 exp(-d / 1492.7 km) (PIGEON, section 6.1)."""
    return round(MAX_POINTS * math.exp(-distance_km / GEOGUESSR_SCALE_KM))
