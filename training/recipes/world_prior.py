"""Geocells and prior for the recipe `learn`, from photo coordinates."""

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
"""Sides of the squares that keep one coordinate each, so that cells follow the number of places and
not of photos."""

TARGET_CELLS = 900
MIN_POINTS_PER_CELL = 8
"""Cells hold at most 1 / TARGET_CELLS of the points, but at least this many."""


def read_world(paths: Sequence[str | os.PathLike[str]]) -> tuple[Float64Array, list[str]]:
    """Read photo coordinates worldwide, thinned to one per author and square of WORLD_STEP_DEG.

    Args:
        paths: tables with the columns lat, lon in degrees, and optionally author; see
            `training.data.coordinates.read`.

    Returns:
        (N, 2) degrees, and one line for each kind of unusable rows.

    Raises:
        TableError: a file is not such a table.
    """
    tables = [coordinates.read(Path(path)) for path in paths]
    thinned = [_one_per_author_and_square(latlon, table) for latlon, table, _ in tables]
    problems = [line for _, _, lines in tables for line in lines]
    return np.concatenate([np.empty((0, 2)), *thinned]), problems


def _one_per_author_and_square(latlon: Float64Array, table: pa.Table) -> Float64Array:
    square = squares(latlon, WORLD_STEP_DEG)
    if "author" in table.column_names:
        author = np.unique(objects(table["author"]).astype(str), return_inverse=True)[1]
        square = np.column_stack([square, author])
    return latlon[np.unique(square, axis=0, return_index=True)[1]]


def squares(latlon: Float64Array, step_deg: float) -> Int64Array:
    """Return row and column (N, 2) of the square that contains each coordinate."""
    return np.floor(latlon / step_deg).astype(np.int64)


def cells_and_prior(photos: Float64Array, world: Float64Array) -> tuple[CellTable, Float32Array]:
    """Build geocells sized to the data, and the prior over them.

    Args:
        photos: (N, 2) degrees of the training photos.
        world: (M, 2) degrees of photos worldwide; M may be 0.

    Returns:
        C cells, and the (C,) prior: the density of `world`, or of `photos` if M is 0.
    """
    points = np.concatenate([_thin(photos, PHOTO_STEP_DEG), _thin(world, WORLD_STEP_DEG)])
    most = max(MIN_POINTS_PER_CELL, len(points) // TARGET_CELLS)
    cells = build_cells(points, CellConfig.of_size(most))
    density = world if len(world) else _thin(photos, PHOTO_STEP_DEG)
    return cells, density_prior(np.bincount(cells.locate(density), minlength=len(cells)))


def _thin(latlon: Float64Array, step_deg: float) -> Float64Array:
    """Return the first coordinate in each square."""
    return latlon[np.unique(squares(latlon, step_deg), axis=0, return_index=True)[1]]
