"""Standings of a tournament: ratings, points and their bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.game.maps import draw_games
from geoloc.game.modes import MODES, Scored, expected_streak, streaks, totals
from geoloc.game.ratings import bradley_terry, elo
from geoloc.game.tournament import Tournament, score
from geoloc.types import Float32Array, Float64Array, IndexArray

REPLICATES = 200
GAMES_PER_REPLICATE = 500
"""The width of the intervals depends on the number of places; more games would not narrow them."""

Interval = tuple[float, float]
"""95 % bootstrap interval."""


@dataclass(frozen=True)
class Standing:
    """One player's result."""

    name: str
    kind: str
    rating: float
    """Bradley-Terry, in Elo points; the mean of all players is 1500."""
    rating_interval: Interval
    elo: float
    """Elo, which players know from the game; it has the same uncertainty as `rating`."""
    won: int
    drawn: int
    lost: int
    points: float
    """Mean per place, 0..5000."""
    points_interval: Interval
    median_km: float
    """Infinite if at least half of the places have no pin."""
    country: float
    """Share of places with a pin in the right country."""
    no_pin: float
    """Share of places without a pin, which score 0 points."""
    seconds: float
    """Median per answer; NaN if it was not measured."""
    game: float | None
    """Mean total of classic games (0..25,000), mean length of streaks; None for duels."""
    longest: int | None
    """Longest streak; None in other modes."""
    expected: float | None
    """Expected streak p / (1 - p); None in other modes."""


def standings(tournament: Tournament) -> list[Standing]:
    """Return the standings of all players, sorted by rating, the highest first."""
    scored = score(tournament)
    results = _results(tournament, scored, tournament.schedule)
    rating = _rate(tournament, results)
    elo_rating = elo(results[..., :GAMES_PER_REPLICATE])
    replicates = _bootstrap(tournament, scored)
    points = scored.points[:, tournament.pool].mean(axis=1)
    rows = []
    for i, player in enumerate(tournament.players):
        others = np.delete(results[i], i, axis=0)
        seconds = player.seconds[~np.isnan(player.seconds)]
        distance = np.where(np.isnan(scored.distance_km[i]), np.inf, scored.distance_km[i])
        rows.append(
            Standing(
                name=player.name,
                kind=player.kind,
                rating=float(rating[i]),
                rating_interval=_interval(replicates.rating[:, i]),
                elo=float(elo_rating[i]),
                won=int((others == 1.0).sum()),
                drawn=int((others == 0.5).sum()),
                lost=int((others == 0.0).sum()),
                points=float(points[i]),
                points_interval=_interval(replicates.points[:, i]),
                median_km=float(np.median(distance[tournament.pool])),
                country=float(scored.right[i, tournament.pool].mean()),
                no_pin=float(np.isnan(scored.distance_km[i, tournament.pool]).mean()),
                seconds=float(np.median(seconds)) if len(seconds) else float("nan"),
                **_of_mode(tournament, scored, i),  # type: ignore[arg-type]
            )
        )
    return sorted(rows, key=lambda row: (-row.rating, row.name))


def _results(tournament: Tournament, scored: Scored, schedule: IndexArray) -> Float32Array:
    return MODES[tournament.mode].scores(scored, schedule, tournament.rules)


def _rate(tournament: Tournament, results: Float32Array) -> Float64Array:
    """Return Bradley-Terry ratings (..., P) from results (..., P, P, G).

    Mean results are weighted by the number of places, not of games: games reuse places, so their
    number is not evidence. It matters for a player who always wins, whose rating would grow with
    the number of games.
    """
    wins = results.mean(axis=-1, dtype=np.float64) * len(tournament.place)
    return bradley_terry(wins)


def _of_mode(tournament: Tournament, scored: Scored, player: int) -> dict[str, float | None]:
    """Return the fields that depend on the mode."""
    if tournament.mode == "classic":
        total = totals(scored, tournament.schedule)[player]
        return {"game": float(total.mean()), "longest": None, "expected": None}
    if tournament.mode == "streak":
        length = streaks(scored, tournament.schedule)[player]
        chance = scored.right[player, tournament.pool].mean()
        return {
            "game": float(length.mean()),
            "longest": int(length.max()),
            "expected": float(expected_streak(chance)),
        }
    return {"game": None, "longest": None, "expected": None}


@dataclass(frozen=True, eq=False)
class _Replicates:
    """Results of B tournaments at resampled places."""

    rating: Float64Array
    """(B, P)"""
    points: Float64Array
    """(B, P) mean per place."""


def _bootstrap(tournament: Tournament, scored: Scored) -> _Replicates:
    """Simulate tournaments at resampled places (cluster bootstrap, groups of places as clusters).

    Places are the independent units, and games reuse them. Resampling games instead would
    underestimate the variance: ten thousand duels at a hundred places are not ten thousand
    independent observations.
    """
    rng = np.random.default_rng([tournament.seed, 1])
    group = tournament.group[tournament.pool].astype(str)
    by_group = np.argsort(group, kind="stable")
    starts = np.unique(group[by_group], return_index=True)[1]
    groups = np.split(by_group, starts[1:])
    players, (games, rounds) = len(tournament.players), tournament.schedule.shape
    games = min(games, GAMES_PER_REPLICATE)
    results = np.empty((REPLICATES, players, players, games), np.float32)
    points = np.empty((REPLICATES, players))
    for again in range(REPLICATES):
        chosen = rng.integers(len(groups), size=len(groups))
        places = tournament.pool[np.concatenate([groups[number] for number in chosen])]
        drawn = draw_games(len(places), games, min(rounds, len(places)), rng)
        results[again] = _results(tournament, scored, places[drawn])
        points[again] = scored.points[:, places].mean(axis=1)
    return _Replicates(_rate(tournament, results), points)


def _interval(values: Float64Array) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return low, high
