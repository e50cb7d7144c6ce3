"""Readers of border files, which build a hierarchy of administrative levels.

Supported layouts: geoBoundaries CGAZ (also its simplified TopoJSON editions), GADM and Natural
Earth. In any other file, columns are recognised by names such as `country` and `name`. A country
that the file does not give is looked up in the embedded borders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from geocells.borders.hierarchy import Boundaries, country_table, embedded_boundaries, hierarchy
from geocells.borders.topojson import read_topojson
from geocells.columns import objects, read_parquet
from geocells.polygon_index import PolygonIndex
from geocells.polygons import repair, split_antimeridian, without_overlaps
from geocells.types import Float64Array, GeometryArray, IndexArray, StrArray

# the first column that exists is used; c, n and i are those of CartoSVG's simplified CGAZ
_COUNTRY = ("shapeGroup", "GID_0", "iso_a2", "ISO_A2_EH", "adm0_a3", "country_code", "iso2", "iso3",
            "cc", "country", "c")  # fmt: skip
_NAME = ("shapeName", "NAME_3", "NAME_2", "NAME_1", "name_en", "NAME_EN", "name", "NAME", "COUNTRY",
         "n")  # fmt: skip
_CODE = ("shapeID", "GID_3", "GID_2", "GID_1", "GID_0", "iso_3166_2", "code", "id", "i")

_WORLD_COUNTRIES = 150
"""A file with so many countries is taken to cover the world."""

_Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class _Layer:
    """The units of one file and their attributes."""

    country: StrArray
    """(U,) ISO alpha-2."""
    name: StrArray
    code: StrArray
    polygons: GeometryArray

    @cached_property
    def inside(self) -> Float64Array:
        """(U, 2) degrees, a point inside each unit."""
        return _inside(self.polygons)

    def take(self, rows: npt.NDArray[Any]) -> _Layer:
        """Return a layer of the given units."""
        return _Layer(self.country[rows], self.name[rows], self.code[rows], self.polygons[rows])


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

    The last file gives the polygons, the others the parents: the parent of a unit is the coarser
    unit that contains a point inside it. A file of countries adds no level. Territories that are
    missing in a worldwide file are taken from the embedded borders. Where units overlap, the area
    goes to the smaller one.

    Raises:
        ValueError: a file is missing, unreadable or holds no polygons.
    """
    with ThreadPoolExecutor() as threads:
        layers = list(threads.map(_read_layer, paths))
        finest = _with_missing_territories(layers[-1])
        disjoint = threads.submit(without_overlaps, finest.polygons)
        names, codes = _ancestors(layers, finest)
        polygons = disjoint.result()
    kept = np.flatnonzero(~shapely.is_empty(polygons))
    return hierarchy(
        finest.country[kept],
        [column[kept] for column in names],
        [column[kept] for column in codes],
        polygons[kept],
    )


def _ancestors(layers: list[_Layer], finest: _Layer) -> tuple[list[StrArray], list[StrArray]]:
    """Return names and codes (U,) of the finest units and of their ancestors, one per level."""
    names: list[StrArray] = []
    codes: list[StrArray] = []
    for layer in layers:
        if _holds_countries(layer):
            continue
        if layer is layers[-1]:
            names.append(finest.name)
            codes.append(finest.code)
        else:
            row = PolygonIndex(layer.polygons).locate(finest.inside)
            names.append(layer.name[row])
            codes.append(layer.code[row])
    return names, codes


def _read_layer(path: Path) -> _Layer:
    properties, raw = _read_file(path)
    polygons = split_antimeridian(repair(raw))
    keep = np.flatnonzero(~shapely.is_empty(polygons))
    if not len(keep):
        raise ValueError(f"{path}: holds no polygons; choose a layer of areas")
    polygons = polygons[keep]
    rows = np.array([str(i) for i in keep], dtype=object)
    name = _column(properties, _NAME, keep)
    code = _column(properties, _CODE, keep)
    country = _iso_codes(_column(properties, _COUNTRY, keep), polygons)
    return _Layer(country, np.where(name == "", country, name), np.where(code == "", rows, code),
                  polygons)  # fmt: skip


def _inside(polygons: GeometryArray) -> Float64Array:
    lonlat: Float64Array = shapely.get_coordinates(shapely.point_on_surface(polygons))
    return lonlat[:, ::-1]


def _read_file(path: Path) -> tuple[_Columns, GeometryArray]:
    """Return the attribute columns and the geometries of a file."""
    if not path.is_file():
        raise ValueError(f"{path}: no such border file; check the path")
    if ".topojson" in path.name or ".topo.json" in path.name:
        properties, polygons = read_topojson(path)
        keys = sorted({key for row in properties for key in row})
        return {key: [row.get(key) for row in properties] for key in keys}, polygons
    if path.suffix == ".parquet":
        try:
            table = read_parquet(path)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path}: not a readable border file ({reason})") from error
        geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
        geometry = geo.get("primary_column", "geometry")
        if geometry not in table.column_names:
            raise ValueError(f"{path}: has no geometry column; expected GeoParquet")
        if not _in_degrees(geo.get("columns", {}).get(geometry, {})):
            return _read_with_geopandas(path)
        attributes = table.drop_columns([geometry]).to_pydict()
        return attributes, shapely.from_wkb(objects(table[geometry]))
    return _read_with_geopandas(path)


def _in_degrees(column: dict[str, Any]) -> bool:
    """Return whether a GeoParquet column is in lon/lat degrees, the default of the format."""
    crs = column.get("crs") or {}
    return not crs or str(crs.get("id", {}).get("code")) in ("CRS84", "4326")


def _read_with_geopandas(path: Path) -> tuple[_Columns, GeometryArray]:
    try:
        import geopandas
    except ImportError as error:
        raise ValueError(
            f"{path}: {path.suffix} needs geopandas; run  pip install 'planet-geoloc[train]'"
        ) from error
    try:
        read = geopandas.read_parquet if path.suffix == ".parquet" else geopandas.read_file
        frame = read(path)
        if frame.crs is not None:
            frame = frame.to_crs("OGC:CRS84")
    except Exception as error:  # pyogrio and pyproj raise many kinds
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a readable border file ({reason})") from error
    attributes = frame.drop(columns=frame.geometry.name).astype(str)
    return attributes.to_dict("list"), frame.geometry.to_numpy()


def _holds_countries(layer: _Layer) -> bool:
    """Return whether units are countries; disputed areas add a few units to them."""
    return len(layer.country) < 1.3 * len(set(layer.country))


def _column(table: _Columns, candidates: tuple[str, ...], keep: IndexArray) -> StrArray:
    """Return the first column that exists as strings; "" for missing values and columns."""
    for name in candidates:
        if name in table:
            values = [_text(value) for value in table[name]]
            return np.array([*values, None], dtype=object)[keep]
    return np.full(len(keep), "", dtype=object)


def _text(value: Any) -> str:  # noqa: ANN401
    text = "" if value is None else str(value).strip()
    return "" if text in ("nan", "None", "-99", "-1") else text


def _iso_codes(values: StrArray, polygons: GeometryArray) -> StrArray:
    """Return ISO alpha-2 codes of alpha-2 codes, alpha-3 codes or English names.

    Other values are replaced by the embedded country at that place: the -99 of Natural Earth, and
    the numbers from 101 that CGAZ gives to disputed areas.
    """
    code_of = {key: code for code, (iso3, name, _) in country_table().items() for key in
             (code, iso3, name)} | {"XKO": "XK", "KOS": "XK", "PSX": "PS", "SDS": "SS", "ZNC": "CY",
             "SAH": "EH"}  # fmt: skip
    codes = np.array([*(code_of.get(value, "") for value in values), None], dtype=object)[:-1]
    unknown = np.flatnonzero(codes == "")
    if len(unknown):
        country = embedded_boundaries().country
        codes[unknown] = country.codes[country.locate(_inside(polygons[unknown]))]
    return codes


def _with_missing_territories(layer: _Layer) -> _Layer:
    """Add territories that are missing in a worldwide file (CGAZ lacks about fifty)."""
    present = set(layer.country)
    if len(present) < _WORLD_COUNTRIES:
        return layer
    embedded = embedded_boundaries()
    units = embedded.finest
    country = embedded.country.codes[
        embedded.ancestors(np.arange(len(units), dtype=np.int32))[:, 0]
    ]
    covered = PolygonIndex(layer.polygons).covering(_inside(units.polygons)) >= 0
    extra = np.flatnonzero(~covered & ~np.isin(country, list(present)))
    return _Layer(
        np.append(layer.country, country[extra]),
        np.append(layer.name, units.names[extra]),
        np.append(layer.code, units.codes[extra]),
        np.append(layer.polygons, units.polygons[extra]),
    )
