"""Rules of the game: choice of photos, rounds, points and streaks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from demo.page.game.photos import LocatedPhoto
from geocells.sphere import haversine_km
from geoloc.answer.explain import describe
from geoloc.guess import Guess, Place
from geoloc.metrics import GEOGUESSR_SCALE_KM

ROUNDS = 5
STREAK_ROUNDS = 50
MAX_POINTS = 5000

APART_KM = 50.0
"""Photos of a game are taken so far from each other, as long as there are such photos."""
DRAWN = 500
"""Photos of a large set that are drawn for one game."""

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

    @property
    def places(self) -> tuple[Place, Place, Place]:
        """Names of the guess of the player, of that of the bundle, and of the true place."""
        truth = (self.photo.lat, self.photo.lon)
        player, bundle, taken = describe(np.array([self.player, self.bundle, truth]))
        return player, bundle, taken

    @property
    def right(self) -> tuple[bool, bool]:
        """Whether the player and the bundle guess the right country."""
        player, bundle, taken = self.places
        return player.country_code == taken.country_code, bundle.country_code == taken.country_code


@dataclass(frozen=True)
class Game:
    """The photos of a game and its finished rounds."""

    photos: tuple[LocatedPhoto, ...]
    """In the order of the rounds; more than rounds, because some may not be fair."""
    rounds: tuple[Round, ...] = ()
    most_rounds: int = ROUNDS
    is_streak: bool = False
    """Whether the game asks for countries, until the player's first wrong one."""
    number: int = 0
    answer: Guess | None = None
    """Of the bundle for the photo of the current round."""

    @property
    def photo(self) -> LocatedPhoto | None:
        """The photo of the current round; None at the end."""
        lost = self.is_streak and self.rounds and not self.rounds[-1].right[0]
        done = len(self.rounds)
        return None if lost or done >= self.length else self.photos[done]

    @property
    def length(self) -> int:
        """The number of rounds, if none is lost."""
        return min(self.most_rounds, len(self.photos))

    @property
    def totals(self) -> tuple[int, int]:
        """The total points of the player and of the bundle, or the lengths of their streaks."""
        if self.is_streak:
            return _streak(self.rounds, 0), _streak(self.rounds, 1)
        scores = [finished.points for finished in self.rounds]
        return sum(score[0] for score in scores), sum(score[1] for score in scores)

    def with_guesses(self, player: LatLon, bundle: LatLon) -> Game:
        """Return the game after the current round; unchanged at the end."""
        if self.photo is None:
            return self
        finished = Round(self.photo, player, bundle)
        return replace(self, rounds=(*self.rounds, finished), answer=None)

    def without_photo(self) -> Game:
        """Return the game with the next photo in place of the current one."""
        done = len(self.rounds)
        return replace(self, photos=(*self.photos[:done], *self.photos[done + 1 :]))


def new_game(photos: Sequence[LocatedPhoto], seed: int, is_streak: bool = False) -> Game:
    """Return a game of at most ROUNDS or STREAK_ROUNDS photos; the same seed gives the same game.

    Args:
        photos: to choose from.
        seed: the number of the game.
        is_streak: whether it asks for countries.
    """
    drawn = np.random.default_rng(seed).permutation(len(photos))[:DRAWN].tolist()
    latlon = np.array([(photo.lat, photo.lon) for photo in photos]).reshape(-1, 2)
    first: list[int] = []
    later: list[int] = []
    for index in drawn:
        far = not first or haversine_km(latlon[first], latlon[index]).min() >= APART_KM
        (first if far else later).append(index)
    chosen = tuple(photos[index] for index in (*first, *later))
    return Game(chosen, (), STREAK_ROUNDS if is_streak else ROUNDS, is_streak, seed)


def points(distance_km: float) -> int:
    """Return the GeoScore of a guess: 5000 exp(-d / 1492.7 km) (PIGEON, section 6.1)."""
    return round(MAX_POINTS * math.exp(-distance_km / GEOGUESSR_SCALE_KM))


def _streak(rounds: Sequence[Round], who: int) -> int:
    """Return the number of right countries before the first wrong one."""
    right = [finished.right[who] for finished in rounds]
    return right.index(False) if False in right else len(right)
