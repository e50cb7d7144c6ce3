"""The partition a bundle is built on, and what is known of the world before any photo is seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.build import CellConfig, build_cells
from geocells.columns import numbers, objects, read_parquet
from geocells.sphere import check_latlon
from geocells.table import CellTable
from geoloc.encoder import FloatArray
from training.fit_heads import density_prior
from training.manifest import ManifestError

LatLon = npt.NDArray[np.float64]

WORLD_STEP_DEG = 0.05
PHOTO_STEP_DEG = 0.005
"""Coordinates are thinned to one per square of this side, so that cells follow places and not the
zeal of single photographers."""

CELLS_WANTED = 900
FEWEST_PER_CELL = 8


def read_coordinates(paths: Sequence[str | os.PathLike[str]]) -> LatLon:
    """Photo coordinates of the world, one per author and square of 5 km.

    Args:
        paths: Parquet files with the columns lat, lon in degrees, and perhaps author.

    Returns:
        (N, 2) degrees.

    Raises:
        ManifestError: a file is no such table.
    """
    return np.concatenate([np.empty((0, 2)), *(_read(Path(path)) for path in paths)])


def _read(path: Path) -> LatLon:
    try:
        table = read_parquet(path)
        latlon = np.stack([numbers(table[name]).astype(float) for name in ("lat", "lon")], axis=1)
        check_latlon(latlon, str(path))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(
            f"{path}: no table of coordinates ({reason}); it needs the columns lat,lon in degrees"
        ) from error
    square = squares(latlon, WORLD_STEP_DEG)
    if "author" in table.column_names:
        author = np.unique(objects(table["author"]).astype(str), return_inverse=True)[1]
        square = np.column_stack([square, author])
    return latlon[np.unique(square, axis=0, return_index=True)[1]]


def squares(latlon: LatLon, step_deg: float) -> npt.NDArray[np.int64]:
    """Row and column (N, 2) of the square each coordinate lies in."""
    return np.floor(latlon / step_deg).astype(np.int64)


def build_earth(photos: LatLon, world: LatLon) -> tuple[CellTable, FloatArray]:
    """Geocells sized to the data, and the prior over them.

    Args:
        photos: (N, 2) degrees of the photos to learn from.
        world: (M, 2) of photos of the world in general, perhaps none.

    Returns:
        C cells, and the (C,) prior: the density of `world`, or of the photos without it.
    """
    points = np.concatenate([_thin(photos, PHOTO_STEP_DEG), _thin(world, WORLD_STEP_DEG)])
    most = max(FEWEST_PER_CELL, len(points) // CELLS_WANTED)
    cells = build_cells(points, CellConfig(min_count=max(1, most // 4), max_count=most))
    known = world if len(world) else _thin(photos, PHOTO_STEP_DEG)
    return cells, density_prior(np.bincount(cells.locate(known), minlength=len(cells)))


def _thin(latlon: LatLon, step_deg: float) -> LatLon:
    return latlon[np.unique(squares(latlon, step_deg), axis=0, return_index=True)[1]]
