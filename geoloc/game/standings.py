"""Who is how strong, and how sure that is."""

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
"""More games would not make the intervals narrower: how many places there are does."""

Interval = tuple[float, float]
"""95 %, by the bootstrap."""


@dataclass(frozen=True)
class Standing:
    """One player's result."""

    name: str
    kind: str
    rating: float
    """Bradley-Terry, in Elo points; the mean of all players is 1500."""
    rating_interval: Interval
    elo: float
    elo_interval: Interval
    won: int
    drawn: int
    lost: int
    points: float
    """Mean per place, 0..5000."""
    points_interval: Interval
    median_km: float
    """Infinite if most places have no pin."""
    country: float
    """Share of places whose country is right."""
    no_pin: float
    """Share of places without an answer; they count as 0 points."""
    seconds: float
    """Median per answer; NaN where nobody knows."""
    game: float | None
    """Classic: mean total, 0..25,000. Streak: mean length. None in duels."""
    longest: int | None
    """Streak only."""
    expected: float | None
    """Streak only: p / (1 - p)."""


def standings(tournament: Tournament) -> list[Standing]:
    """Results of all players, the strongest first."""
    scored = score(tournament)
    results = _results(tournament, scored, tournament.schedule)
    ratings = _rate(tournament, results)
    resampled = _bootstrap(tournament, scored)
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
                rating=float(ratings[0][i]),
                rating_interval=_interval(resampled.rating[:, i]),
                elo=float(ratings[1][i]),
                elo_interval=_interval(resampled.elo[:, i]),
                won=int((others == 1.0).sum()),
                drawn=int((others == 0.5).sum()),
                lost=int((others == 0.0).sum()),
                points=float(points[i]),
                points_interval=_interval(resampled.points[:, i]),
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


def _rate(tournament: Tournament, results: Float32Array) -> tuple[Float64Array, Float64Array]:
    """Bradley-Terry and Elo (..., P) from results (..., P, P, G).

    The evidence is as much as there are places, however many games reuse them: of a player who
    always wins, it says how far ahead he may be.
    """
    wins = results.mean(axis=-1, dtype=np.float64) * len(tournament.place)
    return bradley_terry(wins), elo(results[..., :GAMES_PER_REPLICATE])


def _of_mode(tournament: Tournament, scored: Scored, player: int) -> dict[str, float | None]:
    """What only some modes have."""
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
    """Results of B tournaments at places drawn anew from those of this one."""

    rating: Float64Array
    """(B, P)"""
    elo: Float64Array
    points: Float64Array


def _bootstrap(tournament: Tournament, scored: Scored) -> _Replicates:
    """Play again at resampled places.

    Places are what is sampled, and games reuse them: drawing games anew would make ten thousand
    duels at a hundred places look a hundred times surer than they are. Places of one group are
    drawn together.
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
    return _Replicates(*_rate(tournament, results), points)


def _interval(values: Float64Array) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return low, high
