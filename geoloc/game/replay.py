"""Replays: a tournament as one JSON file, which can be scored again."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from geoloc import __version__
from geoloc.game.modes import MODES
from geoloc.game.places import GameError
from geoloc.game.rules import DuelRules
from geoloc.game.standings import Standing
from geoloc.game.tournament import Answers, Tournament
from geoloc.io.atomic import atomic_write_text

SCHEMA_VERSION = 1


def write(tournament: Tournament, standings: list[Standing], path: str | os.PathLike[str]) -> Path:
    """Write a replay; an older file of that name stays until the new one is complete.

    The file contains places and answers, but no photos, and of the players only names and kinds, no
    commands or addresses.

    Raises:
        OSError: it cannot be written.
    """
    record = {
        "format": "geoloc-replay",
        "schema_version": SCHEMA_VERSION,
        "made_with": f"planet-geoloc {__version__}",
        "mode": tournament.mode,
        "rules": dataclasses.asdict(tournament.rules),
        "map": {"name": tournament.map_name, "maxErrorDistance": tournament.max_error_km * 1000},
        "views": tournament.views,
        "seconds": tournament.seconds,
        "seed": tournament.seed,
        "places": [
            {"name": str(name), "lat": lat, "lon": lon, "group": str(group)}
            for name, (lat, lon), group in zip(
                tournament.place, tournament.latlon.tolist(), tournament.group, strict=True
            )
        ],
        "pool": tournament.pool.tolist(),
        "games": tournament.schedule.tolist(),
        "players": [_player(player) for player in tournament.players],
        "standings": [_finite(dataclasses.asdict(standing)) for standing in standings],
    }
    return atomic_write_text(path, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> Tournament:
    """Read a replay. Its standings are ignored: they are computed again.

    Raises:
        GameError: the file is not a replay, has another version, or is inconsistent.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != "geoloc-replay":
            raise ValueError("it is another kind of file")
        version = record["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unusable(path, error) from error
    if version != SCHEMA_VERSION:
        raise GameError(
            f"{path}: replay of version {version}, this program reads {SCHEMA_VERSION}; install"
            " the version of planet-geoloc that wrote it"
        )
    try:
        return _tournament(record)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _unusable(path, error) from error


def _tournament(record: dict[str, Any]) -> Tournament:
    places = record["places"]
    rules = {**record["rules"], "healing_rounds": tuple(record["rules"]["healing_rounds"])}
    tournament = Tournament(
        mode=str(record["mode"]),
        rules=DuelRules(**rules),
        map_name=str(record["map"]["name"]),
        max_error_km=float(record["map"]["maxErrorDistance"]) / 1000,
        views=int(record["views"]),
        seconds=float(record["seconds"]),
        seed=int(record["seed"]),
        place=np.array([str(place["name"]) for place in places], dtype=object),
        latlon=np.array([(place["lat"], place["lon"]) for place in places], np.float64),
        group=np.array([str(place["group"]) for place in places], dtype=object),
        pool=np.array(record["pool"], np.intp),
        schedule=np.array(record["games"], np.intp),
        players=tuple(
            Answers(
                str(player["name"]),
                str(player["kind"]),
                np.array([pin or (math.nan, math.nan) for pin in player["pins"]], np.float64),
                np.array([math.nan if s is None else s for s in player["seconds"]], np.float64),
                np.array([str(problem) for problem in player["problems"]], dtype=object),
            )
            for player in record["players"]
        ),
    )
    _check(tournament)
    return tournament


def _check(tournament: Tournament) -> None:
    count = len(tournament.place)
    if tournament.mode not in MODES:
        raise ValueError(f"mode {tournament.mode!r}")
    rows = np.concatenate([tournament.pool, tournament.schedule.ravel()])
    if tournament.schedule.ndim != 2 or not ((rows >= 0) & (rows < count)).all():
        raise ValueError("pool or games name a place that is not in the list of places")
    latlon = [tournament.latlon, *(player.latlon for player in tournament.players)]
    if any(pins.shape != (count, 2) or (np.abs(pins) > [90, 180]).any() for pins in latlon):
        raise ValueError("a place or pin is missing or out of range")
    if any(len(p.seconds) != count or len(p.problem) != count for p in tournament.players):
        raise ValueError("a player does not have one answer per place")


def _player(player: Answers) -> dict[str, Any]:
    return {
        "name": player.name,
        "kind": player.kind,
        "pins": [None if math.isnan(lat) else [lat, lon] for lat, lon in player.latlon.tolist()],
        "seconds": [None if math.isnan(taken) else taken for taken in player.seconds.tolist()],
        "problems": player.problem.tolist(),
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON does not have, by None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _unusable(path: Path, error: Exception) -> GameError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return GameError(f"{path}: not a replay ({reason}); make one with geoloc play … -o {path}")
