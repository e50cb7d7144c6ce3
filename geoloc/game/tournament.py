"""Tournaments: every player answers the same places once, then games are drawn among these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.game.maps import GameMap, draw_games, draw_pool
from geoloc.game.modes import MODES, Scored
from geoloc.game.places import GameError
from geoloc.game.protocol import Answer, Player
from geoloc.game.rules import DuelRules
from geoloc.io.progress import NullReporter, Reporter
from geoloc.metrics import geoguessr_points, same_country
from geoloc.types import Float64Array, IndexArray, StrArray


@dataclass(frozen=True, eq=False)
class Answers:
    """One player's answers for N places."""

    name: str
    kind: str
    latlon: Float64Array
    """(N, 2) degrees; NaN without a pin."""
    seconds: Float64Array
    """(N,) NaN where it was not measured."""
    problem: StrArray
    """(N,) why there is no pin; "" if there is one."""


@dataclass(frozen=True, eq=False)
class Tournament:
    """All inputs of the standings, so that a tournament can be scored again."""

    mode: str
    rules: DuelRules
    map_name: str
    max_error_km: float
    views: int
    seconds: float
    seed: int
    place: StrArray
    """(N,) names of the places."""
    latlon: Float64Array
    """(N, 2) degrees, the true locations."""
    group: StrArray
    """(N,) places with the same group are not statistically independent."""
    pool: IndexArray
    """(K,) places as drawn from the map, possibly with repetitions."""
    schedule: IndexArray
    """(G, R) places of each game, the same for every pair of players."""
    players: tuple[Answers, ...]
    """Sorted by name, so that results do not depend on the order of the players."""


def run_tournament(
    game_map: GameMap,
    players: Sequence[Player],
    *,
    mode: str,
    rules: DuelRules,
    views: int,
    places: int,
    games: int,
    seconds: float,
    seed: int,
    report: Reporter | None = None,
) -> Tournament:
    """Draw places and games, and ask every player about every place once.

    Args:
        game_map: the map to draw places from.
        players: with unique names.
        mode: one of `MODES`.
        rules: of duels.
        views: photos shown of each place.
        places: places to draw.
        games: games per pair of players.
        seconds: time limit per answer.
        seed: of the random generator; the draw depends on nothing else.
        report: receives a stage for each player, with a step for each place.

    Raises:
        GameError: the map has too few places for a game.
    """
    report = report or NullReporter()
    rng = np.random.default_rng(seed)
    drawn = draw_pool(game_map, places, rng)
    used, pool = np.unique(drawn, return_inverse=True)
    least = 5 if mode == "classic" else 2
    if len(used) < least:
        raise GameError(
            f"{game_map.name}: {len(used)} different places were drawn, and a game needs {least};"
            " use a map with more places, or draw more of them with --rounds"
        )
    schedule = pool[draw_games(len(pool), games, min(MODES[mode].rounds, len(pool)), rng)]
    chosen = game_map.places.take(used)
    answered = []
    for player in sorted(players, key=lambda player: player.name):
        report.stage(player.name, len(chosen))
        answers = []
        for answer in player.ask(chosen, seconds):
            answers.append(answer)
            report.advance()
        answered.append(_collect(player, answers))
    return Tournament(
        mode, rules, game_map.name, game_map.max_error_km, views, seconds, seed,
        chosen.name, chosen.latlon, chosen.group, pool, schedule, tuple(answered),
    )  # fmt: skip


def _collect(player: Player, answers: Sequence[Answer]) -> Answers:
    return Answers(
        player.name,
        player.kind,
        np.array([(answer.lat, answer.lon) for answer in answers]),
        np.array([answer.seconds for answer in answers]),
        np.array([answer.problem for answer in answers], dtype=object),
    )


def score(tournament: Tournament) -> Scored:
    """Return the distances, points and country matches of all answers."""
    latlon = np.stack([player.latlon for player in tournament.players])
    truth = np.broadcast_to(tournament.latlon, latlon.shape)
    pinned = ~np.isnan(latlon[..., 0])
    distance = np.full(pinned.shape, np.nan)
    points = np.zeros(pinned.shape, np.int64)
    right = np.zeros(pinned.shape, bool)
    if pinned.any():
        distance[pinned] = haversine_km(latlon[pinned], truth[pinned])
        points[pinned] = geoguessr_points(distance[pinned], tournament.max_error_km)
        right[pinned] = same_country(latlon[pinned], truth[pinned])
    return Scored(distance, points, right)
