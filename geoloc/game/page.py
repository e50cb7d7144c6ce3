"""The animated replay: some games of a tournament in one HTML file that loads nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from geocells.places import describe
from geoloc.game.modes import Scored, duel_points, streaks, totals
from geoloc.game.report import between, headline, median
from geoloc.game.rules import ONE, play_rounds
from geoloc.game.standings import Standing
from geoloc.game.tournament import Tournament, score
from geoloc.io.atomic import atomic_write_text
from geoloc.output.html import render
from geoloc.output.map.base import base_map
from geoloc.output.text import km
from geoloc.types import BoolArray, Float64Array, IndexArray, Int64Array

MAX_GAMES = 60
"""Games on a page; more make it large, and are not watched."""

MAX_POINTS_PER_ROUND = 5000


def write_page(
    tournament: Tournament, standings: Sequence[Standing], path: str | os.PathLike[str]
) -> Path:
    """Write the replay page atomically and return its path. It contains no photos.

    Raises:
        OSError: the file cannot be written.
    """
    page = render("replay.html", "geoloc.game", data=_page_data(tournament, standings))
    return atomic_write_text(path, page)


def _page_data(tournament: Tournament, standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the data that replay.js reads."""
    scored = score(tournament)
    matches = _duels if tournament.mode in ("duel", "pigeon") else _games
    return {
        "title": {"classic": "Classic games", "streak": "Country streaks"}.get(
            tournament.mode, f"Duels, rules {tournament.rules.name}"
        ),
        "about": headline(tournament),
        "base": base_map(),
        "players": [player.name for player in tournament.players],
        "places": [
            {"at": at, "name": name}
            for at, name in zip(_rounded(tournament.latlon), _place_names(tournament), strict=True)
        ],
        "pins": [_pins(player.latlon) for player in tournament.players],
        "matches": matches(tournament, scored),
        "standings": [
            [s.name, f"{s.rating:,.0f}", between(s.rating_interval), f"{s.points:,.0f}", median(s)]
            for s in standings
        ],
    }


def _duels(tournament: Tournament, scored: Scored) -> list[dict[str, Any]]:
    """Return the first duels of each pair of players, round by round."""
    pairs = list(combinations(range(len(tournament.players)), 2))
    count = max(1, MAX_GAMES // len(pairs))
    return [
        _duel(tournament, scored, number, pair)
        for pair in pairs[:MAX_GAMES]
        for number in range(min(count, len(tournament.schedule)))
    ]


def _duel(
    tournament: Tournament, scored: Scored, number: int, pair: tuple[int, int]
) -> dict[str, Any]:
    places = tournament.schedule[number]
    names = [tournament.players[player].name for player in pair]
    rules = tournament.rules
    rounds = []
    for place, played in zip(
        places, play_rounds(duel_points(scored, places[None], *pair), rules), strict=False
    ):
        factors = [f"×{tenths / ONE:g}" for tenths in played.multiplier[0]]
        results = [
            _answer_text(scored, player, place)
            + (f", {heal:+,} healed" if heal else "")
            + (f", −{damage:,} at {factor}" if damage else "")
            for player, heal, damage, factor in zip(
                pair, played.healed[0], played.damage[0], factors[::-1], strict=True
            )
        ]
        rounds.append(
            {
                "place": int(place),
                "value": played.health[0].tolist(),
                "result": results,
                "before": [f"deals {factor}" for factor in factors],
                "playing": [True, True],
            }
        )
    left = rounds[-1]["value"]
    winner = "a draw" if left[0] == left[1] else f"{names[int(left[1] > left[0])]} wins"
    return {
        "name": f"{names[0]} – {names[1]}, duel {number + 1}",
        "players": pair,
        "rounds": rounds,
        "start": [rules.initial_health] * 2,
        "full": rules.initial_health,
        "ending": winner,
    }


def _games(tournament: Tournament, scored: Scored) -> list[dict[str, Any]]:
    """Return the first classic games or streaks, all players side by side."""
    schedule = tournament.schedule[:MAX_GAMES]
    classic = tournament.mode == "classic"
    result = (totals if classic else streaks)(scored, schedule)
    return [_game(tournament, scored, number, result[:, number]) for number in range(len(schedule))]


def _game(
    tournament: Tournament, scored: Scored, number: int, result: Int64Array
) -> dict[str, Any]:
    """Return one classic game or streak; `result` holds the final value of each player."""
    places = tournament.schedule[number]
    players = range(len(tournament.players))
    classic = tournament.mode == "classic"
    gain = (scored.points if classic else scored.right.astype(np.int64))[:, places]
    playing = np.ones_like(gain, bool)
    if not classic:  # a streak ends with the first wrong country
        playing[:, 1:] = np.cumprod(gain, axis=1)[:, :-1].astype(bool)
    best = int(result.max())
    winners = [tournament.players[p].name for p in players if result[p] == best]
    unit = "points" if classic else "in a row"
    return {
        "name": f"Game {number + 1}",
        "players": list(players),
        "rounds": _rounds(scored, places, np.cumsum(gain * playing, axis=1), playing),
        "start": [0] * len(players),
        "full": MAX_POINTS_PER_ROUND * len(places) if classic else max(best, 1),
        "ending": f"{' and '.join(winners)}, {best:,} {unit}",
    }


def _rounds(
    scored: Scored, places: IndexArray, value: Int64Array, playing: BoolArray
) -> list[dict[str, Any]]:
    """Return the rounds in which anybody plays; `value` and `playing` are (players, rounds)."""
    rounds = []
    for column in np.flatnonzero(playing.any(axis=0)):
        active, place = playing[:, column].tolist(), int(places[column])
        rounds.append(
            {
                "place": place,
                "value": value[:, column].tolist(),
                "result": [
                    _answer_text(scored, player, place) if plays else ""
                    for player, plays in enumerate(active)
                ],
                "before": [""] * len(active),
                "playing": active,
            }
        )
    return rounds


def _answer_text(scored: Scored, player: int, place: int) -> str:
    """Return the distance, the points and the wrong country of one answer, as text."""
    distance = scored.distance_km[player, place]
    if math.isnan(distance):
        return "no pin"
    country = "" if scored.right[player, place] else ", wrong country"
    return f"{km(float(distance))}, {scored.points[player, place]:,} points{country}"


def _place_names(tournament: Tournament) -> list[str]:
    """Return town, region and country of each place."""
    named = describe(tournament.latlon).to_pylist()
    columns = ("town", "region", "country")
    return [", ".join(row[key] for key in columns if row[key]) or "at sea" for row in named]


def _pins(latlon: Float64Array) -> list[list[float] | None]:
    """Return answers (N, 2) in degrees, None where there is none."""
    return [at if at[0] == at[0] else None for at in _rounded(latlon)]  # NaN is unequal to itself


def _rounded(latlon: Float64Array) -> list[list[float]]:
    rounded: list[list[float]] = np.round(latlon, 4).tolist()
    return rounded
