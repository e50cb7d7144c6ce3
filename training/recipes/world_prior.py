"""Geocells and priors for the recipe `learn`, from the photos and the world's photo density."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import shapely

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.bundle import directory as bundles
from geoloc.metrics import country_and_region
from geoloc.photos.columns import column, to_texts
from geoloc.types import Float32Array, Float64Array, Int64Array
from training.data import coordinates
from training.heads.linear import density_prior

PriorName = Literal["collection", "world"]
"""Where the photos come from that a bundle will be asked about: from places like those of its own
photos, or from the whole world."""

WORLD_STEP_DEG = 0.05
PHOTO_STEP_DEG = 0.005
"""Sides of the squares that keep one coordinate each, so that cells follow the number of places and
not of photos."""

TARGET_CELLS = 900
MIN_POINTS_PER_CELL = 8
"""Cells hold at most 1 / TARGET_CELLS of the points, but at least this many."""

WORLD_POINTS = 3_000
"""Coordinates drawn from the starter bundle if no coordinates are given."""

_SIMPLIFY_DEG = 0.02

FEW_COUNTRIES = 3
NEAR_KM = 1_000.0
NEAR_SHARE = 0.9
"""A library is asked about itself if its photos are from fewer countries than this, or if this
share of them lies within NEAR_KM of one of them."""

_CENTRES = 500

ELSEWHERE_SHARE = 0.1
"""Probability that a photo asked of a collection follows the world's photo density instead."""


@dataclass(frozen=True, eq=False)
class Priors:
    """Two distributions over C cells; both are greater than 0 everywhere and sum to 1."""

    name: PriorName
    """Which of the two the bundle is made for."""
    world: Float32Array
    """(C,) photo density of the world."""
    use: Float32Array
    """(C,) density of the photos that the bundle will be asked about."""


def read_world(paths: Sequence[str | os.PathLike[str]]) -> tuple[Float64Array, list[str]]:
    """Read photo coordinates worldwide, thinned to one per author and square of WORLD_STEP_DEG.

    Args:
        paths: tables with the columns lat, lon in degrees, and optionally author; see
            `training.data.coordinates.read`. Without tables WORLD_POINTS are drawn from the cells
            and prior of the starter bundle.

    Returns:
        (N, 2) degrees, and one line for each kind of unusable rows.

    Raises:
        TableError: a file is not such a table.
    """
    if not paths:
        starter = bundles.load("starter")
        return draw_points(starter.cells, starter.ranker.heads.prior, WORLD_POINTS), []
    tables = [coordinates.read(Path(path)) for path in paths]
    thinned = [_one_per_author_and_square(latlon, table) for latlon, table, _ in tables]
    problems = [line for _, _, lines in tables for line in lines]
    return np.concatenate(thinned), problems


def draw_points(cells: CellTable, prior: Float32Array, count: int, seed: int = 0) -> Float64Array:
    """Draw points (count, 2) in degrees: a cell by its prior, then uniformly in the cell."""
    rng = np.random.default_rng(seed)
    outlines = shapely.simplify(cells.polygon, _SIMPLIFY_DEG)
    triangles, cell = shapely.get_parts(
        shapely.constrained_delaunay_triangles(outlines), return_index=True
    )
    corners = shapely.get_coordinates(triangles).reshape(-1, 4, 2)[:, :3]
    area = shapely.area(triangles) * np.cos(np.radians(corners[:, :, 1].mean(axis=1)))
    mass = np.cumsum(prior[cell] * area / np.bincount(cell, area)[cell])
    chosen = np.searchsorted(mass, mass[-1] * (np.arange(count) + 0.5) / count)
    weights = rng.dirichlet((1.0, 1.0, 1.0), count)
    lonlat = np.einsum("nk,nkx->nx", weights, corners[chosen])
    return np.asarray(lonlat[:, ::-1], np.float64)


def _one_per_author_and_square(latlon: Float64Array, table: pa.Table) -> Float64Array:
    square = squares(latlon, WORLD_STEP_DEG)
    authors = column(table, "author")
    if authors is not None:
        author = np.unique(to_texts(authors, len(table)).astype(str), return_inverse=True)[1]
        square = np.column_stack([square, author])
    return latlon[np.unique(square, axis=0, return_index=True)[1]]


def squares(latlon: Float64Array, step_deg: float) -> Int64Array:
    """Return row and column (N, 2) of the square that contains each coordinate."""
    return np.floor(latlon / step_deg).astype(np.int64)


def cells_of(photos: Float64Array, world: Float64Array) -> CellTable:
    """Build geocells that cover the world and are sized to the data.

    Args:
        photos: (N, 2) degrees of the training photos.
        world: (M, 2) degrees of photos worldwide.
    """
    points = np.concatenate([_thin(photos, PHOTO_STEP_DEG), _thin(world, WORLD_STEP_DEG)])
    most = max(MIN_POINTS_PER_CELL, len(points) // TARGET_CELLS)
    return build_cells(points, CellConfig.of_size(most))


def priors_over(
    cells: CellTable, photos: Float64Array, world: Float64Array, name: PriorName | None = None
) -> Priors:
    """Return the priors over C cells.

    Args:
        cells: geocells, see `cells_of`.
        photos: (N, 2) degrees of the training photos.
        world: (M, 2) degrees of photos worldwide.
        name: the prior of use; by default the one that the spread of the photos suggests, see
            `suggested_prior`.
    """
    name = name or suggested_prior(photos)
    density = density_prior(np.bincount(cells.locate(world), minlength=len(cells)))
    if name == "world":
        return Priors(name, density, density)
    return Priors(name, density, collection_prior(cells, photos, density))


def collection_prior(cells: CellTable, photos: Float64Array, density: Float32Array) -> Float32Array:
    """Return the prior of use (C,) of places like those of photos (N, 2), over the world's (C,)."""
    places = _thin(photos, PHOTO_STEP_DEG)
    own = np.bincount(cells.locate(places), minlength=len(cells)) / len(places)
    mixed = (1.0 - ELSEWHERE_SHARE) * own + ELSEWHERE_SHARE * density
    return np.asarray(mixed, np.float32)


def suggested_prior(photos: Float64Array) -> PriorName:
    """Return the prior of use that the spread of photos (N, 2) suggests.

    It is the collection if the photos are from fewer than FEW_COUNTRIES countries, or if NEAR_SHARE
    of them lie within NEAR_KM of one of them, and the world otherwise.
    """
    if len(np.unique(country_and_region(photos)[:, 0])) < FEW_COUNTRIES:
        return "collection"
    centres = photos[np.linspace(0, len(photos) - 1, min(len(photos), _CENTRES)).astype(int)]
    near = max(float((haversine_km(centre, photos) <= NEAR_KM).mean()) for centre in centres)
    return "collection" if near >= NEAR_SHARE else "world"


def _thin(latlon: Float64Array, step_deg: float) -> Float64Array:
    """Return the first coordinate in each square."""
    return latlon[np.unique(squares(latlon, step_deg), axis=0, return_index=True)[1]]
