"""The base map of a page in one file: the world, detailed tiles where its photos are, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.output.map.names import names_in
from geoloc.output.map.outlines import STEPS, TILE, TILE_STEPS, WORLD_PX, mercator, tile, world

MAX_TILES = 60
"""Detailed tiles of a page, about 2 MB at most."""

TILES_ACROSS = int(WORLD_PX / TILE)

Tile = tuple[int, int]
"""Column and row."""


def base_map(tiles: Iterable[Tile] = ()) -> dict[str, Any]:
    """Return what light_map.js draws below everything else.

    A page without tiles has 0.3 MB of it; a tile adds 5 to 60 KB.

    Args:
        tiles: parts of the world with detailed borders, the most important ones first.
    """
    detailed = [tile(*at) for at in dict.fromkeys(tiles)][:MAX_TILES]
    return {
        "size": WORLD_PX,
        "steps": STEPS,
        "tileSteps": TILE_STEPS,
        "world": world(),
        "tiles": detailed,
        "names": names_in([each["box"] for each in detailed]),  # type: ignore[misc]
    }


def tiles_of(latlon: npt.ArrayLike) -> Counter[Tile]:
    """Return how many of the places (N, 2) lie in each tile."""
    xy = mercator(np.asarray(latlon, np.float64).reshape(-1, 2))
    at = np.minimum(xy // TILE, TILES_ACROSS - 1).astype(int)
    return Counter((int(column), int(row)) for column, row in at)


def most_used(tiles: Counter[Tile]) -> list[Tile]:
    """Return the tiles with most places, at most MAX_TILES."""
    return [at for at, _ in tiles.most_common(MAX_TILES)]


def tiles_around(lat: float, lon: float) -> list[Tile]:
    """Return the tile of a place and those beside it."""
    ((column, row),) = tiles_of([lat, lon])
    return [
        ((column + right) % TILES_ACROSS, row + down)
        for right, down in sorted(
            ((right, down) for right in (-1, 0, 1) for down in (-1, 0, 1)),
            key=lambda step: abs(step[0]) + abs(step[1]),
        )
        if 0 <= row + down < TILES_ACROSS
    ]
