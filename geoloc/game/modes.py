"""Modes of play: who wins each game, computed for all games between all players at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.game.rules import DuelRules, simulate_duels
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int64Array

_DUELS_AT_ONCE = 200_000


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of P players at N places."""

    distance_km: Float64Array
    """(P, N); NaN without a pin."""
    points: Int64Array
    """(P, N) 0..5000; 0 without a pin."""
    right: BoolArray
    """(P, N) whether the pin is in the right country."""


@dataclass(frozen=True)
class Mode:
    """One mode of play and its defaults."""

    scores: Callable[[Scored, IndexArray, DuelRules], Float32Array]
    """Returns (P, P, G) results of game G for the row's player against the column's: 1, 0.5 or
    0."""
    rounds: int
    """Maximum per game."""
    games: int = 1000
    rules: str = "ranked-2026"
    views: int = 1


def totals(scored: Scored, schedule: IndexArray) -> Int64Array:
    """Return points (P, G) of classic games; five rounds give at most 25,000."""
    summed: Int64Array = scored.points[:, schedule].sum(axis=-1)
    return summed


def streaks(scored: Scored, schedule: IndexArray) -> Int64Array:
    """Return the number (P, G) of correct countries before the first wrong one."""
    right = scored.right[:, schedule]
    ended = ~right
    length = np.where(ended.any(axis=-1), ended.argmax(axis=-1), schedule.shape[1])
    return np.asarray(length, np.int64)


def expected_streak(right: npt.ArrayLike) -> Float64Array:
    """Return the mean streak p / (1 - p) for a probability p of the right country per round."""
    chance = np.asarray(right, np.float64)
    with np.errstate(divide="ignore"):
        return chance / (1.0 - chance)


def duel_points(scored: Scored, schedule: IndexArray, first: int, second: int) -> Int64Array:
    """Return the points (G, R, 2) of two players in the rounds of G games."""
    return np.stack([scored.points[first][schedule], scored.points[second][schedule]], axis=-1)


def _classic(scored: Scored, schedule: IndexArray, rules: DuelRules) -> Float32Array:
    return _compared(totals(scored, schedule))


def _streak(scored: Scored, schedule: IndexArray, rules: DuelRules) -> Float32Array:
    return _compared(streaks(scored, schedule))


def _duel(scored: Scored, schedule: IndexArray, rules: DuelRules) -> Float32Array:
    players, games = len(scored.points), len(schedule)
    scores = np.full((players, players, games), 0.5, np.float32)
    pairs = np.argwhere(np.triu(np.ones((players, players), bool), 1))
    at_once = max(1, _DUELS_AT_ONCE // games)
    for start in range(0, len(pairs), at_once):
        some = pairs[start : start + at_once]
        points = [duel_points(scored, schedule, first, second) for first, second in some]
        won = simulate_duels(np.concatenate(points), rules).score.reshape(len(some), games)
        scores[some[:, 0], some[:, 1]] = won
        scores[some[:, 1], some[:, 0]] = 1.0 - won
    return scores


def _compared(value: Int64Array) -> Float32Array:
    """Return results (P, P, G) of games that the higher value (P, G) wins."""
    return np.asarray((np.sign(value[:, None] - value[None]) + 1) / 2, np.float32)


MODES = {
    "classic": Mode(_classic, rounds=5),
    "streak": Mode(_streak, rounds=100),
    "duel": Mode(_duel, rounds=30),
    "pigeon": Mode(_duel, rounds=30, games=458, rules="legacy", views=4),
}
"""By name. "pigeon" is the protocol of PIGEON's live matches (Haas et al. 2024): 458 duels, four
headings, the rules of 2023."""
