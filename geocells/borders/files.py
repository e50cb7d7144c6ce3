"""From border files to a hierarchy of administrative levels.

Supported layouts: geoBoundaries CGAZ (also its simplified TopoJSON editions), GADM and Natural
Earth. In any other file, columns are recognised by names such as `country` and `name`. A country
that the file does not give is looked up in the embedded borders.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path

import numpy as np
import shapely

from geocells.borders.hierarchy import Boundaries, embedded_boundaries, hierarchy
from geocells.borders.layers import Layer, read_layers
from geocells.polygon_index import PolygonIndex
from geocells.polygons import without_overlaps

_WORLD_COUNTRIES = 150
"""A file with so many countries is taken to cover the world."""


def load_boundaries(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "natural-earth",
) -> Boundaries:
    """Return a hierarchy of administrative borders.

    Args:
        source: "natural-earth" for the embedded countries, regions and districts; or one border
            file or several, coarse to fine. Formats: GeoParquet, TopoJSON, GeoPackage, shapefile,
            GeoJSON. Layouts: see `geocells.borders.files`.

    Returns:
        Levels with valid polygons that are split at the antimeridian.

    Raises:
        ValueError: a file is missing, unreadable or holds no polygons.
    """
    if source == "natural-earth":
        return embedded_boundaries()
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    return read_borders([Path(path) for path in paths])


def read_borders(paths: list[Path]) -> Boundaries:
    """Read border files, coarse to fine, into one hierarchy with countries at the top.

    A file with several area layers gives them all, coarse to fine. The last layer gives the
    polygons; the parent of a unit is the coarser unit that contains a point inside it. A coarser
    unit without finer ones keeps its polygon, and its name and code on the finer levels. A layer of
    countries adds no level. Territories that are missing in a worldwide file are taken from the
    embedded borders. Where units overlap, the area goes to the smaller one.

    Raises:
        ValueError: a file is missing, unreadable or holds no polygons.
    """
    with ThreadPoolExecutor() as threads:
        layers = [layer for read in threads.map(read_layers, paths) for layer in read]
    first, *finer = map(_below_countries, layers)
    units = _with_missing_territories(reduce(_refined, finer, first))
    polygons = without_overlaps(units.polygons)
    kept = np.flatnonzero(~shapely.is_empty(polygons))
    return hierarchy(
        units.country[kept], [*units.names[kept].T], [*units.codes[kept].T], polygons[kept]
    )


def _below_countries(layer: Layer) -> Layer:
    """Return a layer without levels if its units are countries; disputed areas add a few units."""
    if len(layer) < 1.3 * len(set(layer.country)):
        none = layer.names[:, :0]
        return Layer(layer.country, none, none, layer.polygons)
    return layer


def _refined(coarse: Layer, fine: Layer) -> Layer:
    """Return the fine units with the levels of the coarse units above them.

    Coarse units without fine ones stay.
    """
    parent = PolygonIndex(coarse.polygons).locate(fine.inside)
    names = np.concatenate([coarse.names[parent], fine.names[:, -1:]], axis=1)
    codes = np.concatenate([coarse.codes[parent], fine.codes[:, -1:]], axis=1)
    units = Layer(fine.country, names, codes, fine.polygons)
    childless = coarse.take(np.setdiff1d(np.arange(len(coarse)), parent))
    covered = PolygonIndex(fine.polygons).covering(childless.inside) >= 0
    return units.append(childless.take(~covered).deepened(names.shape[1]))


def _with_missing_territories(layer: Layer) -> Layer:
    """Add territories that are missing in a worldwide file (CGAZ lacks about fifty)."""
    present = set(layer.country)
    if len(present) < _WORLD_COUNTRIES:
        return layer
    embedded = embedded_boundaries()
    units = embedded.finest
    country = embedded.country.codes[
        embedded.ancestors(np.arange(len(units), dtype=np.int32))[:, 0]
    ]
    names, codes = units.names[:, None], units.codes[:, None]
    world = Layer(country, names, codes, units.polygons)
    missing = world.take(np.flatnonzero(~np.isin(country, list(present))))
    covered = PolygonIndex(layer.polygons).covering(missing.inside) >= 0
    return layer.append(missing.take(~covered).deepened(layer.names.shape[1]))
