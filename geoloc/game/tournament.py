"""A tournament: everybody is asked about the same places once, then plays everybody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.game.maps import GameMap, draw_games, draw_pool
from geoloc.game.modes import MODES, Scored
from geoloc.game.places import GameError
from geoloc.game.protocol import Answer, Player
from geoloc.game.rules import DuelRules
from geoloc.metrics import geoguessr_points, same_country
from geoloc.types import Float64Array, IndexArray, StrArray


@dataclass(frozen=True, eq=False)
class Answers:
    """What one player answered about N places."""

    name: str
    kind: str
    latlon: Float64Array
    """(N, 2) degrees; NaN without a pin."""
    seconds: Float64Array
    """(N,) NaN where nobody knows."""
    problem: StrArray
    """(N,) why there is no pin, or ""."""


@dataclass(frozen=True, eq=False)
class Tournament:
    """Everything that a result depends on, and nothing else: it can be scored again."""

    mode: str
    rules: DuelRules
    map_name: str
    max_error_km: float
    views: int
    seconds: float
    seed: int
    place: StrArray
    """(N,) names of the places that were shown."""
    latlon: Float64Array
    """(N, 2) degrees, where they are."""
    group: StrArray
    """(N,) places that are not independent of each other."""
    pool: IndexArray
    """(K,) the places as they were drawn from the map."""
    schedule: IndexArray
    """(G, R) places of each game, the same for every pair of players."""
    players: tuple[Answers, ...]
    """In the order of their names, so that the order they came in changes nothing."""


def hold(
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
    asked: Callable[[str, Answer], None] = lambda player, answer: None,
) -> Tournament:
    """Draw places and games, and ask every player about every place once.

    Args:
        game_map: where places are drawn from.
        players: who plays; each name once.
        mode: one of `MODES`.
        rules: of duels.
        views: how many photos of each place are shown.
        places: how many are drawn.
        games: how many each two players play.
        seconds: for each answer.
        seed: decides what is drawn, and nothing else does.
        asked: told of every answer, with the name of the player.

    Raises:
        GameError: the map has too few places for a game.
    """
    rng = np.random.default_rng(seed)
    drawn = draw_pool(game_map, places, rng)
    used, pool = np.unique(drawn, return_inverse=True)
    least = 5 if mode == "classic" else 2
    if len(used) < least:
        raise GameError(
            f"{game_map.name}: {len(used)} places were drawn, and a game needs {least}; draw more"
        )
    schedule = pool[draw_games(len(pool), games, min(MODES[mode].rounds, len(pool)), rng)]
    chosen = game_map.places.take(used)
    answered = []
    for player in sorted(players, key=lambda player: player.name):
        answers = []
        for answer in player.ask(chosen, seconds):
            answers.append(answer)
            asked(player.name, answer)
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
    """Distances, points and countries of all answers."""
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
