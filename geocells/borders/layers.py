"""Readers of border files: the area layers of a file, with names, codes and countries of units.

Formats: GeoParquet (WKB and GeoArrow encodings), TopoJSON, and everything that geopandas reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from geocells.borders.hierarchy import country_names, country_table, embedded_boundaries
from geocells.borders.topojson import read_topojson
from geocells.columns import objects, read_parquet
from geocells.polygons import repair, split_antimeridian
from geocells.types import Float64Array, GeometryArray, StrArray

# the first column with a value is used; c, n and i are those of CartoSVG's simplified CGAZ
_COUNTRY = ("shapeGroup", "GID_0", "iso_a2", "ISO_A2_EH", "adm0_a3", "country_code", "iso2", "iso3",
            "cc", "country", "c")  # fmt: skip
_NAME = ("shapeName", "NAME_5", "NAME_4", "NAME_3", "NAME_2", "NAME_1", "name_en", "NAME_EN",
         "name", "NAME", "COUNTRY", "n")  # fmt: skip
_CODE = ("shapeID", "GID_5", "GID_4", "GID_3", "GID_2", "GID_1", "GID_0", "iso_3166_2", "code",
         "id", "i")  # fmt: skip
_AREAS = "Polygon|Surface|GeometryCollection|Unknown"
"""Geometry types of layers that may hold areas."""

_GADM_LEVELS = range(1, 6)

_Columns = dict[str, list[Any]]
_Table = tuple[_Columns, GeometryArray]


@dataclass(frozen=True, eq=False)
class Layer:
    """U units of one layer and their attributes."""

    country: StrArray
    """(U,) ISO alpha-2."""
    names: StrArray
    """(U, L) names on L levels below the country, coarse to fine."""
    codes: StrArray
    """(U, L)."""
    polygons: GeometryArray
    """(U,) valid, split at the antimeridian, not empty."""

    def __len__(self) -> int:
        return len(self.country)

    @cached_property
    def inside(self) -> Float64Array:
        """(U, 2) degrees, a point inside each unit."""
        return _inside(self.polygons)

    def take(self, rows: npt.NDArray[Any]) -> Layer:
        """Return a layer of the given units."""
        return Layer(self.country[rows], self.names[rows], self.codes[rows], self.polygons[rows])

    def deepened(self, levels: int) -> Layer:
        """Return a layer with at least so many levels: a unit keeps its name on the lower ones."""
        names, codes = self.names, self.codes
        if not names.shape[1]:
            names, codes = country_names(self.country)[:, None], self.country[:, None]
        column = np.minimum(np.arange(levels), names.shape[1] - 1)
        return Layer(self.country, names[:, column], codes[:, column], self.polygons)

    def append(self, other: Layer) -> Layer:
        """Return the units of both layers, which have the same levels."""
        return Layer(
            np.append(self.country, other.country),
            np.concatenate([self.names, other.names]),
            np.concatenate([self.codes, other.codes]),
            np.append(self.polygons, other.polygons),
        )


def read_layers(path: Path) -> list[Layer]:
    """Return the area layers of a border file, coarse to fine: by the mean area of their units.

    Raises:
        ValueError: the file is missing, unreadable or holds no polygons.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such border file; check the path")
    layers = [layer for table in _tables(path) if len(layer := _layer(*table))]
    if not layers:
        raise ValueError(f"{path}: holds no polygons; give a file of areas")
    return sorted(layers, key=lambda layer: -float(shapely.area(layer.polygons).mean()))


def _layer(properties: _Columns, raw: GeometryArray) -> Layer:
    polygons = split_antimeridian(repair(raw))
    kept = np.flatnonzero(~shapely.is_empty(polygons))
    polygons = polygons[kept]
    country = _iso_codes(_first_filled(properties, _COUNTRY, len(raw))[kept], polygons)
    levels = [n for n in _GADM_LEVELS if {f"GID_{n}", f"NAME_{n}"} <= properties.keys()]
    if (
        len(levels) > 1
    ):  # GADM gives the names of all levels; an empty one is that of the level above
        depths = [range(n, 0, -1) for n in levels]
        names = [[f"NAME_{n}" for n in depth] for depth in depths]
        codes = [[f"GID_{n}" for n in depth] for depth in depths]
    else:
        names, codes = [[*_NAME]], [[*_CODE]]
    name, code = (
        np.stack([_first_filled(properties, column, len(raw))[kept] for column in columns], axis=1)
        for columns in (names, codes)
    )
    rows = np.array([str(row) for row in kept], dtype=object)[:, None]
    return Layer(
        country,
        np.where(name == "", country[:, None], name),
        np.where(code == "", rows, code),
        polygons,
    )


def _inside(polygons: GeometryArray) -> Float64Array:
    lonlat: Float64Array = shapely.get_coordinates(shapely.point_on_surface(polygons))
    return lonlat[:, ::-1]


def _tables(path: Path) -> list[_Table]:
    """Return attribute columns and geometries of each layer of a file."""
    if ".topojson" in path.name or ".topo.json" in path.name:
        return [
            ({key: [row.get(key) for row in rows] for key in {key for row in rows for key in row}},
             polygons)
            for rows, polygons in read_topojson(path)
        ]  # fmt: skip
    if path.suffix == ".parquet":
        return [_read_geoparquet(path)]
    return _read_with_geopandas(path)


def _read_geoparquet(path: Path) -> _Table:
    try:
        table = read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a readable border file ({reason})") from error
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    geometry = geo.get("primary_column", "geometry")
    if geometry not in table.column_names:
        raise ValueError(f"{path}: has no geometry column; expected GeoParquet")
    column = geo.get("columns", {}).get(geometry, {})
    if not _in_degrees(column) or column.get("encoding", "WKB") != "WKB":
        return _read_with_geopandas(path)[0]
    attributes = table.drop_columns([geometry]).to_pydict()
    return attributes, shapely.from_wkb(objects(table[geometry]))


def _in_degrees(column: dict[str, Any]) -> bool:
    """Return whether a GeoParquet column is in lon/lat degrees, the default of the format."""
    crs = column.get("crs") or {}
    return not crs or str(crs.get("id", {}).get("code")) in ("CRS84", "4326")


def _read_with_geopandas(path: Path) -> list[_Table]:
    try:
        import geopandas
    except ImportError as error:
        raise ValueError(
            f"{path}: {path.suffix} needs geopandas; run  pip install 'planet-geoloc[train]'"
        ) from error
    try:
        if path.suffix == ".parquet":
            frames = [geopandas.read_parquet(path)]
        else:
            listed = geopandas.list_layers(path)
            areas = listed["geometry_type"].astype(str).str.contains(_AREAS)
            frames = [geopandas.read_file(path, layer=name) for name in listed["name"][areas]]
        frames = [frame if frame.crs is None else frame.to_crs("OGC:CRS84") for frame in frames]
    except Exception as error:  # pyogrio and pyproj raise many kinds
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a readable border file ({reason})") from error
    return [_columns(frame) for frame in frames]


def _columns(frame: Any) -> _Table:  # noqa: ANN401
    """Return attribute columns, None for missing values, and geometries of a GeoDataFrame."""
    attributes = frame.drop(columns=frame.geometry.name).astype(object)
    filled = attributes.where(attributes.notna(), None)
    return filled.to_dict("list"), frame.geometry.to_numpy()


def _first_filled(table: _Columns, candidates: list[str] | tuple[str, ...], rows: int) -> StrArray:
    """Return the first value that each row has in the candidate columns, as text; else ""."""
    found = np.full(rows, "", dtype=object)
    for name in candidates:
        if name in table:
            values = np.array([*(_text(value) for value in table[name]), None], dtype=object)[:-1]
            found = np.where(found == "", values, found)
    return found


def _text(value: Any) -> str:  # noqa: ANN401
    text = "" if value is None else str(value).strip()
    return "" if text in ("nan", "-99", "-1") else text


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
