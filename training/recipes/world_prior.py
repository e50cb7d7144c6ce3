"""The partition a bundle is built on, and what is known of the world before any photo is seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from geocells.columns import objects
from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.table import CellTable
from geoloc.types import Float32Array, Float64Array, Int64Array
from training.data import coordinates
from training.heads.fit import density_prior

WORLD_STEP_DEG = 0.05
PHOTO_STEP_DEG = 0.005
"""Coordinates are thinned to one per square of this side, so that cells follow places and not the
zeal of single photographers."""

CELLS_WANTED = 900
FEWEST_PER_CELL = 8


def read_world(paths: Sequence[str | os.PathLike[str]]) -> tuple[Float64Array, list[str]]:
    """Photo coordinates of the world, one per author and square of 5 km.

    Args:
        paths: tables with the columns lat, lon in degrees, and perhaps author; see
            `training.data.coordinates.read`.

    Returns:
        (N, 2) degrees, and what was left out.

    Raises:
        TableError: a file is no such table.
    """
    read = [coordinates.read(Path(path)) for path in paths]
    thinned = [_one_per_author_and_square(latlon, table) for latlon, table, _ in read]
    problems = [line for _, _, lines in read for line in lines]
    return np.concatenate([np.empty((0, 2)), *thinned]), problems


def _one_per_author_and_square(latlon: Float64Array, table: pa.Table) -> Float64Array:
    square = squares(latlon, WORLD_STEP_DEG)
    if "author" in table.column_names:
        author = np.unique(objects(table["author"]).astype(str), return_inverse=True)[1]
        square = np.column_stack([square, author])
    return latlon[np.unique(square, axis=0, return_index=True)[1]]


def squares(latlon: Float64Array, step_deg: float) -> Int64Array:
    """Row and column (N, 2) of the square each coordinate lies in."""
    return np.floor(latlon / step_deg).astype(np.int64)


def build_earth(photos: Float64Array, world: Float64Array) -> tuple[CellTable, Float32Array]:
    """Geocells sized to the data, and the prior over them.

    Args:
        photos: (N, 2) degrees of the photos to learn from.
        world: (M, 2) of photos of the world in general, perhaps none.

    Returns:
        C cells, and the (C,) prior: the density of `world`, or of the photos without it.
    """
    points = np.concatenate([_thin(photos, PHOTO_STEP_DEG), _thin(world, WORLD_STEP_DEG)])
    most = max(FEWEST_PER_CELL, len(points) // CELLS_WANTED)
    cells = build_cells(points, CellConfig.of_size(most))
    known = world if len(world) else _thin(photos, PHOTO_STEP_DEG)
    return cells, density_prior(np.bincount(cells.locate(known), minlength=len(cells)))


def _thin(latlon: Float64Array, step_deg: float) -> Float64Array:
    return latlon[np.unique(squares(latlon, step_deg), axis=0, return_index=True)[1]]
