"""Maps: the sampling weights of places and the scale of the score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geocells.neighbours import NearestPoints
from geocells.places import OPEN_SEA_KM, towns
from geoloc.game.places import GameError, Places
from geoloc.metrics import WORLD_MAX_ERROR_KM
from geoloc.types import Float64Array, IndexArray

DRAWS = ("places", "country", "population")
"""Sampling of rounds: uniform over places, uniform over countries, or by population."""


@dataclass(frozen=True, eq=False)
class GameMap:
    """N places that rounds are drawn from."""

    name: str
    places: Places
    weight: Float64Array
    """(N,) probability that a round shows each place; sums to 1."""
    max_error_km: float = WORLD_MAX_ERROR_KM
    """`maxErrorDistance`, the scale of the score: the larger, the more points for the same error.
    GeoGuessr's own value for the world is not that of the bounds of its places."""


def make_map(name: str, places: Places, draw: str = "places") -> GameMap:
    """Return a world map.

    Args:
        name: of the map.
        places: N places.
        draw: one of `DRAWS`.

    Raises:
        GameError: no place has a positive weight.
    """
    weigh = {"places": _uniform, "country": _by_country, "population": _by_population}[draw]
    weight = weigh(places.latlon)
    if not weight.sum():
        raise GameError(f"{name}: all places have weight 0 when drawn by {draw}; use --draw places")
    called = name if draw == DRAWS[0] else f"{name} by {draw}"
    return GameMap(called, places, weight / weight.sum())


def read_map(path: Path, places: Places) -> GameMap:
    """Read a map file: JSON with maxErrorDistance in metres, and optionally name and places.

    Args:
        path: `{"name": "Alps", "maxErrorDistance": 800000, "places": ["a.jpg", "b.jpg"]}`; places
            have the names of the manifest. Without the list the map has all places.
        places: of the manifest.

    Raises:
        GameError: the file cannot be used, or names a place that the manifest does not have.
    """
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        max_error_km = float(text["maxErrorDistance"]) / 1000.0
        selected = [str(name) for name in text.get("places", places.name)]
        name = str(text.get("name", path.stem))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GameError(
            f"{path}: not a map ({type(error).__name__}: {error}); write JSON with"
            ' "maxErrorDistance" in metres and, optionally, "name" and "places"'
        ) from error
    if not 0.0 < max_error_km < np.inf:
        raise GameError(f"{path}: maxErrorDistance is {max_error_km * 1000:g} m; give more than 0")
    row_of = {name: row for row, name in enumerate(places.name)}
    unknown = [name for name in selected if name not in row_of]
    if unknown:
        raise GameError(
            f"{path}: place {unknown[0]!r} is not in the manifest; use the names of the manifest"
        )
    if not selected:
        raise GameError(f"{path}: the list of places is empty; leave it out to use all places")
    chosen = places.take(sorted({row_of[name] for name in selected}))
    return GameMap(name, chosen, np.full(len(chosen), 1 / len(chosen)), max_error_km)


def draw_pool(game_map: GameMap, count: int, rng: np.random.Generator) -> IndexArray:
    """Draw the places of a tournament by systematic sampling.

    The number of draws of each place is its expected value, rounded up or down, so that no place is
    drawn more often than necessary.

    Args:
        game_map: N places.
        count: the number of draws.
        rng: the random generator.

    Returns:
        (count,) rows of the places, shuffled.
    """
    order = rng.permutation(len(game_map.places))
    edge = np.cumsum(game_map.weight[order])
    at = (rng.random() + np.arange(count)) / count * edge[-1]
    return rng.permutation(order[np.minimum(np.searchsorted(edge, at), len(order) - 1)])


def draw_games(count: int, games: int, rounds: int, rng: np.random.Generator) -> IndexArray:
    """Draw games from a pool, without replacement within a game.

    The pool is shuffled repeatedly, and each shuffle is cut into games.

    Args:
        count: entries of the pool, at least `rounds`.
        games: the number of games.
        rounds: entries per game.
        rng: the random generator.

    Returns:
        (games, rounds) indices into the pool.
    """
    dealt = count // rounds
    decks = rng.permuted(np.tile(np.arange(count), (-(-games // dealt), 1)), axis=1)
    return decks[:, : dealt * rounds].reshape(-1, rounds)[:games]


def _uniform(latlon: Float64Array) -> Float64Array:
    return np.ones(len(latlon))


def _by_country(latlon: Float64Array) -> Float64Array:
    """Give every country the same weight, and every place of a country; open sea has weight 0."""
    country = embedded_boundaries().country.locate(latlon, max_km=OPEN_SEA_KM)
    _, row, count = np.unique(country, return_inverse=True, return_counts=True)
    return np.where(country < 0, 0.0, 1.0 / count[row])


def _by_population(latlon: Float64Array) -> Float64Array:
    """Weight places by the population of the towns they are nearest to; equal places share it."""
    spots, row, count = np.unique(latlon, axis=0, return_inverse=True, return_counts=True)
    gazetteer = towns()
    nearest = NearestPoints(spots).query(gazetteer.points.latlon)[1][:, 0]
    people = np.bincount(nearest, gazetteer.population, len(spots))
    return np.asarray((people / count)[row.ravel()], np.float64)
