"""HTML and map pins of the game. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from demo.page.game.rounds import MAX_POINTS, Game, LatLon, Round
from demo.page.rendering import render
from geoloc.output import similar, text

MARGIN = 0.15
"""Of the window around all pins after a round, on each side."""
LEAST_DEG = 0.5


def open_map() -> dict[str, Any]:
    """Return the map of a new round; the scripts add the player's pin."""
    return {"open": True, "pins": []}


def closed_map(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the map of finished rounds: guesses, true places, and lines between them.

    Args:
        rounds: one, or all of a game, whose pins have their numbers.
    """
    points: list[LatLon] = []
    pins: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for number, finished in enumerate(rounds, start=1):
        truth = finished.photo.lat, finished.photo.lon
        guesses = {"yours": finished.player, "other": finished.bundle}
        near = {kind: (at[0], _near(truth[1], at[1])) for kind, at in guesses.items()}
        player, bundle, taken = finished.places
        which, label = ("", "M") if len(rounds) == 1 else (f"round {number}: ", str(number))
        points += [truth, *near.values()]
        pins += [
            _pin(finished.bundle, "other", f"{which}the model's guess, {bundle}", label),
            _pin(truth, "truth", f"{which}taken here, {taken}", label.strip("M")),
            _pin(finished.player, "yours", f"{which}your guess, {player}", label.strip("M")),
        ]
        lines += [
            {"kind": kind, "at": [[at[1], at[0]], [truth[1], truth[0]]]}
            for kind, at in near.items()
        ]
    return {"open": False, "window": _window(points), "pins": pins, "lines": lines, "apart": True}


def _near(lon: float, other: float) -> float:
    """Return another longitude within 180 degrees of one, beyond ±180 if need be."""
    return lon + (other - lon + 180.0) % 360.0 - 180.0


def _window(points: list[LatLon]) -> list[float]:
    """Return south, west, north and east around points, with a margin."""
    sides = list(zip(*points, strict=True))
    (south, north), (west, east) = ((min(side), max(side)) for side in sides)
    margin = max(LEAST_DEG, MARGIN * max(north - south, east - west))
    half = min((east - west) / 2.0 + margin, 180.0)  # else a part of the world is shown twice
    middle = (west + east) / 2.0
    return [max(south - margin, -80.0), middle - half, min(north + margin, 84.0), middle + half]


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
    return render(
        "game/task.html",
        number=len(game.rounds) + 1,
        rounds=game.length,
        is_streak=game.is_streak,
        problem=problem,
    )


def result(game: Game, index: int = -1) -> str:
    """Return the result of a round, and that of the game after its last round.

    Args:
        game: with finished rounds.
        index: of the round; by default the last one.
    """
    finished = game.rounds[index]
    located = finished.photo
    player_km, bundle_km = finished.distances_km
    player, bundle, taken = finished.places
    title = _round_title(game, finished)
    if index == -1 and game.photo is None:
        title = _game_title(game)
    return render(
        "game/result.html",
        title=title,
        taken=str(taken),
        player=str(player),
        bundle=str(bundle),
        player_distance=text.km(player_km),
        bundle_distance=text.km(bundle_km),
        credit=similar.credit(located.author, located.licence, located.source),
        source=located.source if similar.is_link(located.source) else "",
    )


def _round_title(game: Game, finished: Round) -> str:
    if not game.is_streak:
        player, bundle = finished.points
        return f"{player:,} points for you, {bundle:,} for the model"
    words = ["right" if right else "wrong" for right in finished.right]
    return f"The country: you are {words[0]}, the model is {words[1]}"


def _game_title(game: Game) -> str:
    player, bundle = game.totals
    if player == bundle:
        winner = "A draw"
    else:
        winner = "You win" if player > bundle else "The model wins"
    kind = " countries in a row" if game.is_streak else ""
    return f"{winner}: {player:,} to {bundle:,}{kind}"


def share_text(game: Game) -> str:
    """Return a finished game in words that can be sent to others."""
    player, bundle = game.totals
    if game.is_streak:
        return (
            f"Where was this photo taken? Country streak {game.number}: I got {player} in a row,"
            f" the model {bundle}."
        )
    rounds = " · ".join(f"{finished.points[0]:,}" for finished in game.rounds)
    return (
        f"Where was this photo taken? Game {game.number}: I got {player:,} of"
        f" {game.length * MAX_POINTS:,} points, the model {bundle:,}. My rounds: {rounds}"
    )


def scores(game: Game) -> str:
    """Return the table of all finished rounds; at the end with buttons that show them again."""
    rounds = [
        {
            "taken": str(finished.places[2]),
            "cells": [
                {"score": score, "distance": text.km(km)}
                for score, km in zip(_scores(game, finished), finished.distances_km, strict=True)
            ],
        }
        for finished in game.rounds
    ]
    ended = bool(game.rounds) and game.photo is None
    return render(
        "game/scores.html",
        max_points=f"{MAX_POINTS:,}",
        rounds=rounds,
        totals=[f"{total:,}" for total in game.totals],
        is_streak=game.is_streak,
        share=share_text(game) if ended else "",
    )


def _scores(game: Game, finished: Round) -> list[str]:
    """Return the cells of the player and of the model."""
    if game.is_streak:
        return ["right" if right else "wrong" for right in finished.right]
    return [f"{points:,}" for points in finished.points]
