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
from geoloc.io.atomic import WholeFile
from geoloc.output.svg_map import WORLD_PX, mercator, page, world
from geoloc.output.text import km
from geoloc.types import Float64Array

MOST_GAMES = 60
"""More would not be watched."""


def write_page(
    tournament: Tournament, standings: Sequence[Standing], path: str | os.PathLike[str]
) -> Path:
    """Write the page; the file appears whole or not at all. Photos are not in it.

    Raises:
        OSError: it cannot be written.
    """
    scored = score(tournament)
    matches = _duels if tournament.mode in ("duel", "pigeon") else _games
    truth = mercator(tournament.latlon)
    data = {
        "title": {"classic": "Classic games", "streak": "Country streaks"}.get(
            tournament.mode, f"Duels, rules {tournament.rules.name}"
        ),
        "about": headline(tournament),
        "world": world(),
        "players": [player.name for player in tournament.players],
        "places": [
            {"at": _rounded(xy), "name": name}
            for xy, name in zip(truth, _names(tournament), strict=True)
        ],
        "pins": [_pins(player.latlon, truth) for player in tournament.players],
        "matches": matches(tournament, scored),
        "standings": [
            [s.name, f"{s.rating:,.0f}", between(s.rating_interval), f"{s.points:,.0f}", median(s)]
            for s in standings
        ],
    }
    with WholeFile(path) as out:
        out.write_text(page("replay.html", **data))
        out.finish()
    return out.path


def _duels(tournament: Tournament, scored: Scored) -> list[dict[str, Any]]:
    """The first duels of every two players, round by round."""
    pairs = list(combinations(range(len(tournament.players)), 2))
    count = max(1, MOST_GAMES // len(pairs))
    return [
        _duel(tournament, scored, number, pair)
        for pair in pairs[:MOST_GAMES]
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
        said = [
            _said(scored, player, place)
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
                "said": said,
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
    """The first games, all players beside each other."""
    schedule = tournament.schedule[:MOST_GAMES]
    players = range(len(tournament.players))
    classic = tournament.mode == "classic"
    result = (totals if classic else streaks)(scored, schedule)
    matches = []
    for number, places in enumerate(schedule):
        gain = (scored.points if classic else scored.right.astype(np.int64))[:, places]
        # a streak is over after the first wrong country
        playing = np.ones_like(gain, bool)
        if not classic:
            playing[:, 1:] = np.cumprod(gain, axis=1)[:, :-1].astype(bool)
        value = np.cumsum(gain * playing, axis=1)
        rounds = []
        for column in np.flatnonzero(playing.any(axis=0)):
            on, place = playing[:, column].tolist(), int(places[column])
            rounds.append(
                {
                    "place": place,
                    "value": value[:, column].tolist(),
                    "said": [_said(scored, p, place) if on[p] else "" for p in players],
                    "before": [""] * len(on),
                    "playing": on,
                }
            )
        best = int(result[:, number].max())
        names = [tournament.players[p].name for p in players if result[p, number] == best]
        unit = "points" if classic else "in a row"
        matches.append(
            {
                "name": f"Game {number + 1}",
                "players": list(players),
                "rounds": rounds,
                "start": [0] * len(players),
                "full": 5000 * len(places) if classic else max(best, 1),
                "ending": f"{' and '.join(names)}, {best:,} {unit}",
            }
        )
    return matches


def _said(scored: Scored, player: int, place: int) -> str:
    """How far off a player was, and what that was worth."""
    distance = scored.distance_km[player, place]
    if math.isnan(distance):
        return "no pin"
    country = "" if scored.right[player, place] else ", wrong country"
    return f"{km(float(distance))}, {scored.points[player, place]:,} points{country}"


def _names(tournament: Tournament) -> list[str]:
    """Where the places are, in words."""
    named = describe(tournament.latlon).to_pylist()
    columns = ("town", "region", "country")
    return [", ".join(row[key] for key in columns if row[key]) or "at sea" for row in named]


def _pins(latlon: Float64Array, truth: Float64Array) -> list[list[float] | None]:
    """Where answers are drawn: on the turn of the world that is nearest to the truth."""
    at = mercator(np.nan_to_num(latlon))
    at[:, 0] -= np.round((at[:, 0] - truth[:, 0]) / WORLD_PX) * WORLD_PX
    pinned = ~np.isnan(latlon[:, 0])
    return [_rounded(xy) if there else None for xy, there in zip(at, pinned, strict=True)]


def _rounded(xy: Float64Array) -> list[float]:
    rounded: list[float] = np.round(xy, 3).tolist()
    return rounded
