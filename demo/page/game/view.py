"""HTML and map pins of the game. Pure functions."""

from __future__ import annotations

from typing import Any

from demo.page.game.rounds import MAX_POINTS, Game, LatLon, Round
from demo.page.rendering import render
from geoloc.output import text

MARGIN = 0.15
"""Of the window around all pins after a round, on each side."""
LEAST_DEG = 0.5


def open_map() -> dict[str, Any]:
    """Return the map of a new round; the scripts add the player's pin."""
    return {"open": True, "pins": []}


def closed_map(finished: Round) -> dict[str, Any]:
    """Return the map after a round: both guesses, the true place, and lines between them."""
    truth = finished.photo.lat, finished.photo.lon
    guesses = {"yours": finished.player, "other": finished.bundle}
    near = {kind: (at[0], _near(truth[1], at[1])) for kind, at in guesses.items()}
    return {
        "open": False,
        "window": _window([truth, *near.values()]),
        "pins": [
            _pin(finished.bundle, "other", "the model's guess", "M"),
            _pin(truth, "truth", "taken here"),
            _pin(finished.player, "yours", "your guess"),
        ],
        "lines": [
            {"kind": kind, "at": [[at[1], at[0]], [truth[1], truth[0]]]}
            for kind, at in near.items()
        ],
    }


def _near(lon: float, other: float) -> float:
    """Return another longitude within 180 degrees of one, beyond ±180 if need be."""
    return lon + (other - lon + 180.0) % 360.0 - 180.0


def _window(points: list[LatLon]) -> list[float]:
    """Return south, west, north and east around points, with a margin."""
    sides = list(zip(*points, strict=True))
    (south, north), (west, east) = ((min(side), max(side)) for side in sides)
    margin = max(LEAST_DEG, MARGIN * max(north - south, east - west))
    return [max(south - margin, -80.0), west - margin, min(north + margin, 84.0), east + margin]


def _pin(at: LatLon, kind: str, title: str, label: str = "") -> dict[str, Any]:
    return {"lat": at[0], "lon": at[1], "kind": kind, "title": title, "label": label}


def photo(uri: str) -> str:
    """Return the photo of the round.

    Args:
        uri: its data URI.
    """
    return render("photo.html", uri=uri, alt="Where was this photo taken?", boxes=())


def task(game: Game, problem: str = "") -> str:
    """Return the instruction for the current round.

    Args:
        game: the current game.
        problem: what the player has to do before the guess can be submitted.
    """
    number, rounds = len(game.rounds) + 1, len(game.photos)
    return render("game/task.html", number=number, rounds=rounds, problem=problem)


def result(game: Game) -> str:
    """Return the result of the last round, and of the game after the last one."""
    finished = game.rounds[-1]
    (player_km, bundle_km), (player, bundle) = finished.distances_km, finished.points
    title = f"{player:,} points for you, {bundle:,} for the model"
    if game.photo is None:
        player, bundle = game.totals
        winner = "A draw"
        if player != bundle:
            winner = "You win" if player > bundle else "The model wins"
        title = f"{winner}: {player:,} to {bundle:,}"
    return render(
        "game/result.html",
        title=title,
        player_distance=text.km(player_km),
        bundle_distance=text.km(bundle_km),
    )


def scores(game: Game) -> str:
    """Return the table of all finished rounds."""
    rounds = [
        [
            {"points": f"{points:,}", "distance": text.km(km)}
            for points, km in zip(finished.points, finished.distances_km, strict=True)
        ]
        for finished in game.rounds
    ]
    totals = [f"{total:,}" for total in game.totals]
    return render("game/scores.html", max_points=f"{MAX_POINTS:,}", rounds=rounds, totals=totals)
