"""Maps: which places are drawn how often, and how strict the scoring is."""

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
"""How rounds are drawn: every place alike, every country alike, or as people are spread."""


@dataclass(frozen=True, eq=False)
class GameMap:
    """N places to draw rounds from."""

    name: str
    places: Places
    weight: Float64Array
    """(N,) chance that a round shows each place; sums to 1."""
    max_error_km: float = WORLD_MAX_ERROR_KM
    """`maxErrorDistance`: the larger, the milder. It is a property of the map, not of the places
    that happen to be in it: GeoGuessr's own value is far from what their bounds would give."""


def make_map(name: str, places: Places, draw: str = "places") -> GameMap:
    """A map of the world that draws in one of the ways in `DRAWS`."""
    weigh = {"places": _alike, "country": _by_country, "population": _by_population}[draw]
    weight = weigh(places.latlon)
    if not weight.sum():
        raise GameError(f"{name}: nobody lives near any of its places; draw places alike")
    called = name if draw == DRAWS[0] else f"{name} by {draw}"
    return GameMap(called, places, weight / weight.sum())


def read_map(path: Path, places: Places) -> GameMap:
    """Read a map file: JSON with maxErrorDistance in metres, and perhaps name and places.

    Args:
        path: `{"name": "Alps", "maxErrorDistance": 800000, "places": ["a.jpg", "b.jpg"]}`; places
            are named as in the manifest, and all of them if the list is missing.
        places: of the manifest.

    Raises:
        GameError: it is no such file, or names a place that the manifest does not have.
    """
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        max_error_km = float(text["maxErrorDistance"]) / 1000.0
        wanted = [str(name) for name in text.get("places", places.name)]
        name = str(text.get("name", path.stem))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GameError(
            f"{path}: not a map ({type(error).__name__}: {error}); it needs JSON with"
            ' "maxErrorDistance" in metres, and may have "name" and "places"'
        ) from error
    if not 0.0 < max_error_km < np.inf:
        raise GameError(f"{path}: maxErrorDistance is {max_error_km * 1000:g} m; give more than 0")
    row_of = {name: row for row, name in enumerate(places.name)}
    unknown = [name for name in wanted if name not in row_of]
    if unknown or not wanted:
        what = f"place {unknown[0]!r} is" if unknown else "no place is"
        raise GameError(f"{path}: {what} in the manifest; name places as it does")
    chosen = places.take(sorted({row_of[name] for name in wanted}))
    return GameMap(name, chosen, np.full(len(chosen), 1 / len(chosen)), max_error_km)


def draw_pool(game_map: GameMap, count: int, rng: np.random.Generator) -> IndexArray:
    """Draw the places of a tournament, which players are asked about.

    Systematic sampling: a place is drawn as often as its weight asks for, rounded up or down; none
    is drawn twice that does not have to be.

    Args:
        game_map: N places.
        count: how many to draw.
        rng: the source of chance.

    Returns:
        (count,) rows of the places, shuffled.
    """
    order = rng.permutation(len(game_map.places))
    edge = np.cumsum(game_map.weight[order])
    at = (rng.random() + np.arange(count)) / count * edge[-1]
    return rng.permutation(order[np.minimum(np.searchsorted(edge, at), len(order) - 1)])


def draw_games(count: int, games: int, rounds: int, rng: np.random.Generator) -> IndexArray:
    """Draw games from a pool: shuffle it again and again, and deal rounds from the top.

    Args:
        count: entries of the pool, at least `rounds`.
        games: how many games.
        rounds: of each game.
        rng: the source of chance.

    Returns:
        (games, rounds) entries, none twice in a game.
    """
    dealt = count // rounds
    decks = rng.permuted(np.tile(np.arange(count), (-(-games // dealt), 1)), axis=1)
    return decks[:, : dealt * rounds].reshape(-1, rounds)[:games]


def _alike(latlon: Float64Array) -> Float64Array:
    return np.ones(len(latlon))


def _by_country(latlon: Float64Array) -> Float64Array:
    """Every country alike, and every place in it; the open sea is no country."""
    country = embedded_boundaries().country.locate(latlon, max_km=OPEN_SEA_KM)
    _, row, count = np.unique(country, return_inverse=True, return_counts=True)
    return np.where(country < 0, 0.0, 1.0 / count[row])


def _by_population(latlon: Float64Array) -> Float64Array:
    """The people of all towns to whom each place is the nearest; equal places share them."""
    spots, row, count = np.unique(latlon, axis=0, return_inverse=True, return_counts=True)
    known = towns()
    nearest = NearestPoints(spots).query(known.points.latlon)[1][:, 0]
    people = np.bincount(nearest, known.population, len(spots))
    return np.asarray((people / count)[row.ravel()], np.float64)
