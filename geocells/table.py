"""The geocell table: the classes of a model, with polygons and the cell of any coordinate."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geocells.columns import numbers, objects, read_parquet
from geocells.polygon_index import PolygonIndex
from geocells.polygons import dissolve
from geocells.sphere import check_latlon, group_means
from geocells.types import (
    FixedStrArray,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int32Array,
    Int64Array,
)

_COLUMNS = ("cell_id", "country", "region", "region_id", "lat", "lon", "count")
_BOX = ("xmin", "ymin", "xmax", "ymax")


class BinaryWriter(Protocol):
    """A binary file that can be written to."""

    def write(self, data: bytes, /) -> int:
        """Append bytes; return their number."""
        ...


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Countries, regions and cells, as a hierarchical classification head needs them."""

    countries: FixedStrArray
    """(K,) ISO codes, sorted."""
    regions: FixedStrArray
    """(R,) region ids, sorted."""
    country_of_region: IndexArray
    """(R,) row in `countries`."""
    region_of_cell: IndexArray
    """(C,) row in `regions`."""

    @property
    def country_of_cell(self) -> IndexArray:
        """(C,) row in `countries`."""
        return self.country_of_region[self.region_of_cell]


@dataclass(frozen=True, eq=False)
class CellTable:
    """Geocells in class order: row i is class i of a model that was trained on the table."""

    cell_id: FixedStrArray
    """(C,) unique ids; every run that builds the same cell gives it the same id."""
    country: FixedStrArray
    """(C,) ISO 3166-1 alpha-2 codes; a cell never crosses a border between countries."""
    region: FixedStrArray
    """(C,) names of the first-level regions (admin-1) that most of the cells belong to."""
    region_id: FixedStrArray
    """(C,) country and code of these regions, unique in the world."""
    centroids: Float64Array
    """(C, 2) degrees: spherical mean of the photos, or a point inside the cell if it is empty."""
    polygon: GeometryArray
    """(C,) valid lon/lat polygons without overlaps, split at the antimeridian."""
    count: Int64Array
    """(C,) number of photos that the cell was built from."""

    def __post_init__(self) -> None:
        deferred = callable(vars(self)["polygon"])
        names = [field.name for field in fields(self) if not (deferred and field.name == "polygon")]
        lengths = {name: len(getattr(self, name)) for name in names}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"cell table: columns have different lengths {lengths}")
        if len(set(self.cell_id.tolist())) != len(self.cell_id):  # `np.unique` imports numpy.ma
            raise ValueError("cell table: cell_id is not unique")

    def __len__(self) -> int:
        return len(self.cell_id)

    def locate(self, latlon: npt.ArrayLike) -> Int32Array:
        """Return the cell of each coordinate.

        Args:
            latlon: (N, 2) degrees.

        Returns:
            (N,) int32 row numbers: the cell whose polygon covers the coordinate; at sea, the cell
            with the nearest outline on the sphere.

        Raises:
            ValueError: a coordinate is not finite or out of range.
        """
        return self._index.locate(latlon)

    @cached_property
    def _index(self) -> PolygonIndex:
        return PolygonIndex(self.polygon)

    def take(self, rows: npt.ArrayLike) -> CellTable:
        """Return a table of the given rows in the given order."""
        index = (
            np.asarray(rows) if np.size(rows) else slice(0)
        )  # numpy reads an empty list as floats
        return CellTable(*(getattr(self, field.name)[index] for field in fields(self)))

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """Countries and regions that the cells belong to."""
        countries, cell_country = np.unique(self.country, return_inverse=True)
        regions, first, cell_region = np.unique(
            self.region_id, return_index=True, return_inverse=True
        )
        return Hierarchy(countries, regions, cell_country[first], cell_region)

    def recount(self, latlon: npt.ArrayLike) -> CellTable:
        """Return the table with the counts and centroids of other photos.

        Args:
            latlon: (N, 2) degrees of the photos; `locate` gives the cell of each.
        """
        points = check_latlon(latlon)
        cell = self.locate(points)
        count = np.bincount(cell, minlength=len(self))
        inside = shapely.get_coordinates(shapely.point_on_surface(self.polygon))[:, ::-1]
        mean = group_means(points, cell, len(self))
        centroids = np.where(count[:, None] > 0, mean, inside)
        return replace(self, centroids=centroids, count=count.astype(np.int64))

    def merge(self, group: npt.NDArray[np.integer]) -> CellTable:
        """Return a table in which all cells of a group are one.

        Id, country, region and centroid are those of the cell of the group with most photos; counts
        are added. Call `recount` to compute the centroids anew.

        Args:
            group: (C,) group of each cell.
        """
        order = np.lexsort((np.arange(len(self)), -self.count, group))
        head = np.sort(order[np.unique(group[order], return_index=True)[1]])
        rank = np.empty(len(self), np.intp)
        rank[group[head]] = np.arange(len(head))
        merged = rank[group]
        return replace(
            self.take(head),
            polygon=dissolve(self.polygon, merged, len(head)),
            count=np.bincount(merged, self.count, len(head)).astype(np.int64),
        )

    def to_geojson(self) -> dict[str, Any]:
        """Return a GeoJSON FeatureCollection with one feature per cell (RFC 7946: lon, lat)."""
        features = [
            {
                "type": "Feature",
                "id": str(self.cell_id[i]),
                "properties": {
                    "country": str(self.country[i]),
                    "region": str(self.region[i]),
                    "region_id": str(self.region_id[i]),
                    "count": int(self.count[i]),
                    "lat": float(self.centroids[i, 0]),
                    "lon": float(self.centroids[i, 1]),
                },
                "geometry": json.loads(shape),
            }
            for i, shape in enumerate(shapely.to_geojson(self.polygon))
        ]
        return {"type": "FeatureCollection", "features": features}

    def write(self, file: str | os.PathLike[str] | BinaryWriter) -> None:
        """Write GeoParquet 1.1: polygons as WKB, with their bounding boxes.

        Args:
            file: a path or a file open for writing. The write is not atomic.

        Raises:
            OSError: the file cannot be written.
        """
        bounds = shapely.bounds(self.polygon)
        columns = {
            "cell_id": pa.array(self.cell_id.tolist(), pa.string()),
            "country": pa.array(self.country.tolist(), pa.string()),
            "region": pa.array(self.region.tolist(), pa.string()),
            "region_id": pa.array(self.region_id.tolist(), pa.string()),
            "lat": pa.array(self.centroids[:, 0]),
            "lon": pa.array(self.centroids[:, 1]),
            "count": pa.array(self.count),
            "geometry": pa.array(shapely.to_wkb(self.polygon), pa.binary()),
            "bbox": pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], list(_BOX)),
        }
        overall = [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
        geo = geo_metadata(overall, ["MultiPolygon", "Polygon"])
        table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
        pq.write_table(table, file, compression="zstd", compression_level=9)

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, defer: bool = False) -> CellTable:
        """Read a table that `write` wrote.

        Args:
            path: of the file.
            defer: read the polygons, most of the file, when they are first needed.

        Raises:
            ValueError: the file is missing, damaged or not a cell table.
        """
        polygon: Any = partial(_read_polygons, path)
        try:
            table = read_parquet(path, [*_COLUMNS])
            return cls(
                cell_id=objects(table["cell_id"]).astype(np.str_),
                country=objects(table["country"]).astype(np.str_),
                region=objects(table["region"]).astype(np.str_),
                region_id=objects(table["region_id"]).astype(np.str_),
                centroids=np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=-1),
                polygon=polygon if defer else polygon(),
                count=numbers(table["count"]),
            )
        except (OSError, KeyError, pa.ArrowException, shapely.errors.GEOSException) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{path}: not a readable geocell table ({reason}); build the cells again"
            ) from error


def _read_polygons(path: str | os.PathLike[str]) -> GeometryArray:
    polygons: GeometryArray = shapely.from_wkb(
        objects(read_parquet(path, ["geometry"])["geometry"])
    )
    return polygons


class _WhenNeeded:
    """The polygons of a table: given, or a function that reads them when they are first needed."""

    def __get__(self, table: CellTable | None, _: type) -> GeometryArray | _WhenNeeded:
        if table is None:
            return self
        value = vars(table)["polygon"]
        if callable(value):
            value = vars(table)["polygon"] = value()
        found: GeometryArray = value
        return found

    def __set__(self, table: CellTable, value: object) -> None:
        vars(table)["polygon"] = value


CellTable.polygon = _WhenNeeded()  # type: ignore[assignment]


def geo_metadata(bounds: Sequence[float], geometry_types: Sequence[str]) -> dict[str, Any]:
    """Return GeoParquet 1.1 metadata of a file with a WKB column `geometry` and boxes in `bbox`.

    The coordinate system is the default of the format, OGC:CRS84 (longitude, latitude).

    Args:
        bounds: west, south, east and north of all geometries; left out if one is not finite.
        geometry_types: for example ["Polygon", "MultiPolygon"].
    """
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": list(geometry_types),
        "covering": {"bbox": {side: ["bbox", side] for side in _BOX}},
    }
    if np.isfinite(bounds).all():
        geometry["bbox"] = list(bounds)
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
