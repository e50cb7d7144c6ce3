"""The geocell table: what a model's classes are, and which class a coordinate belongs to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geocells.columns import numbers, objects, read_parquet
from geocells.polygons import PolygonIndex, dissolve
from geocells.sphere import check_latlon, group_means
from geocells.types import (
    FixedStrArray,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int32Array,
    Int64Array,
)

_BOX = ("xmin", "ymin", "xmax", "ymax")


class BinaryWriter(Protocol):
    """A binary file that can be written to."""

    def write(self, data: bytes, /) -> int:
        """Append bytes; return their number."""
        ...


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Country > region > cell, as a hierarchical head needs it."""

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
    """Geocells in class order: row i is class i of every model trained on the table."""

    cell_id: FixedStrArray
    """(C,) unique, the same in every run that makes the same cell."""
    country: FixedStrArray
    """(C,) ISO 3166-1 alpha-2 codes; a cell never crosses a border."""
    region: FixedStrArray
    """(C,) name of the first-level region (admin-1) that most of the cell belongs to."""
    region_id: FixedStrArray
    """(C,) country and code of that region, unique in the world."""
    centroids: Float64Array
    """(C, 2) degrees: spherical mean of the cell's photos, or a point inside an empty cell."""
    polygon: GeometryArray
    """(C,) valid shapely polygons in lon/lat, without overlaps, split at the antimeridian."""
    count: Int64Array
    """(C,) number of photos the cell was made from."""

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"cell table: columns have different lengths {lengths}")
        if len(np.unique(self.cell_id)) != len(self.cell_id):
            raise ValueError("cell table: cell_id is not unique")

    def __len__(self) -> int:
        return len(self.cell_id)

    def locate(self, latlon: npt.ArrayLike) -> Int32Array:
        """Cell of each coordinate.

        Args:
            latlon: (N, 2) degrees.

        Returns:
            (N,) int32 row numbers: the cell whose polygon covers the coordinate, else (at sea) the
            cell whose outline is nearest on the sphere.
        """
        return self._index.locate(latlon)

    @cached_property
    def _index(self) -> PolygonIndex:
        return PolygonIndex(self.polygon)

    def take(self, rows: npt.ArrayLike) -> CellTable:
        """The table of some rows, in their order."""
        index = np.asarray(rows) if np.size(rows) else slice(0)  # an empty list is of floats
        return CellTable(*(getattr(self, field.name)[index] for field in fields(self)))

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The countries and regions above the cells."""
        countries, cell_country = np.unique(self.country, return_inverse=True)
        regions, first, cell_region = np.unique(
            self.region_id, return_index=True, return_inverse=True
        )
        return Hierarchy(countries, regions, cell_country[first], cell_region)

    def counted(self, latlon: npt.ArrayLike) -> CellTable:
        """The table with numbers and means of these photos, (N, 2) degrees, in `locate`'s cells."""
        points = check_latlon(latlon)
        cell = self.locate(points)
        count = np.bincount(cell, minlength=len(self))
        inside = shapely.get_coordinates(shapely.point_on_surface(self.polygon))[:, ::-1]
        mean = group_means(points, cell, len(self))
        centroids = np.where(count[:, None] > 0, mean, inside)
        return replace(self, centroids=centroids, count=count.astype(np.int64))

    def united(self, group: npt.NDArray[np.integer]) -> CellTable:
        """Fewer cells: those of equal `group` (C,) become one, named by the one with most photos.

        Counts are added; the centroid stays that of the naming cell until `counted` is called.
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
        """A GeoJSON FeatureCollection with one feature per cell (RFC 7946: lon, lat)."""
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
    def read(cls, path: str | os.PathLike[str]) -> CellTable:
        """Read what `write` wrote.

        Raises:
            ValueError: the file is missing, damaged or not a cell table.
        """
        try:
            table = read_parquet(path)
            return cls(
                cell_id=objects(table["cell_id"]).astype(np.str_),
                country=objects(table["country"]).astype(np.str_),
                region=objects(table["region"]).astype(np.str_),
                region_id=objects(table["region_id"]).astype(np.str_),
                centroids=np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=-1),
                polygon=shapely.from_wkb(objects(table["geometry"])),
                count=numbers(table["count"]),
            )
        except (OSError, KeyError, pa.ArrowException, shapely.errors.GEOSException) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{path}: not a readable geocell table ({reason}); build the cells again"
            ) from error


def geo_metadata(bounds: Sequence[float], geometry_types: Sequence[str]) -> dict[str, Any]:
    """The GeoParquet 1.1 file metadata for a WKB column `geometry` with boxes in a column `bbox`.

    Coordinates are OGC:CRS84 by default.

    Args:
        bounds: west, south, east, north of the whole file; left out where not finite.
        geometry_types: "Point", "Polygon", ...
    """
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": list(geometry_types),
        "covering": {"bbox": {side: ["bbox", side] for side in _BOX}},
    }
    if np.isfinite(bounds).all():
        geometry["bbox"] = list(bounds)
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
