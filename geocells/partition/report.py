"""What a partition looks like: numbers, and a picture of the world and of Europe."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import outline
from geocells.sphere import EARTH_RADIUS_KM
from geocells.table import CellTable
from geocells.types import Float64Array

_EUROPE = (-24.0, 34.0, 44.0, 66.0)
_WORLD = (-180.0, -58.0, 180.0, 80.0)
_FINEST_DEG = 0.02
"""Polygons are drawn this fine; the picture has no finer pixels."""

_PERCENTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class CellReport:
    """Numbers of one partition; areas are of land."""

    cells: int
    empty: int
    countries: int
    photos: int
    count: tuple[float, ...]
    """Photos per cell that has any, at the percentiles 0, 5, 50, 95, 100."""
    area_km2: tuple[float, ...]
    """Likewise."""
    below: int
    """Cells with fewer photos than `min_count`, but some."""
    above_share: float
    """Share of photos in cells with more than `max_count`."""

    def rows(self) -> list[tuple[str, str]]:
        """Lines of a table."""
        ends = "smallest / 5 % / median / 95 % / largest"
        return [
            ("cells", f"{self.cells:,}, of these {self.empty:,} without photos"),
            ("countries", f"{self.countries:,}"),
            ("photos", f"{self.photos:,}"),
            (f"photos per cell: {ends}", " / ".join(f"{n:,.0f}" for n in self.count)),
            (f"km²: {ends}", " / ".join(f"{a:,.0f}" for a in self.area_km2)),
            ("cells below the minimum (no neighbour in their country)", f"{self.below:,}"),
            ("photos in cells above the maximum", f"{self.above_share:.1%}"),
        ]


def report(cells: CellTable, min_count: int, max_count: int) -> CellReport:
    """Measure a partition."""
    full = cells.count > 0
    count = cells.count[full]
    area = area_km2(cells.polygon)
    return CellReport(
        cells=len(cells),
        empty=int((~full).sum()),
        countries=len(np.unique(cells.country)),
        photos=int(count.sum()),
        count=tuple(np.percentile(count, _PERCENTILES)) if len(count) else (0.0,) * 5,
        area_km2=tuple(np.percentile(area[full], _PERCENTILES)) if len(count) else (0.0,) * 5,
        below=int((count < min_count).sum()),
        above_share=float(count[count > max_count].sum() / max(1, count.sum())),
    )


def area_km2(polygons: Any) -> Float64Array:  # noqa: ANN401
    """Areas (N,) on the sphere, of outlines in short steps: Lambert's projection keeps areas."""
    short = shapely.segmentize(polygons, 1.0)
    flat = shapely.transform(
        short, lambda xy: np.stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))], axis=1)
    )
    area: Float64Array = shapely.area(flat) * EARTH_RADIUS_KM**2
    return area


def draw(cells: CellTable) -> bytes:
    """A PNG: the world, and Europe enlarged, each cell coloured by photos per km² of land."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    density = cells.count / np.maximum(area_km2(cells.polygon), 1e-9)
    shown = np.where(cells.count > 0, np.log10(np.maximum(density, 1e-6)), np.nan)
    known = shown[np.isfinite(shown)]
    low, high = np.percentile(known, (2, 98)) if len(known) else (0.0, 1.0)
    figure, axes = pyplot.subplots(
        2, 1, figsize=(12, 13.5), height_ratios=(1, 1.9), layout="compressed", dpi=110
    )
    for axis, window in zip(axes, (_WORLD, _EUROPE), strict=True):
        _draw_window(axis, cells, shown, window, (float(low), float(high)))
    axes[0].set_title(f"{len(cells):,} geocells", loc="left")
    bar = figure.colorbar(
        pyplot.cm.ScalarMappable(pyplot.Normalize(low, high), "viridis"),
        ax=axes, orientation="horizontal", fraction=0.025, pad=0.01,
    )  # fmt: skip
    bar.set_label("photos per km² of land, powers of ten; grey: none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    return buffer.getvalue()


def _draw_window(
    axis: Any,  # noqa: ANN401
    cells: CellTable,
    shown: Float64Array,
    window: tuple[float, float, float, float],
    limits: tuple[float, float],
) -> None:
    from matplotlib.collections import PolyCollection

    west, south, east, north = window
    rows = np.flatnonzero(shapely.intersects(cells.polygon, shapely.box(*window)))
    rows = rows[np.argsort(-shapely.area(cells.polygon[rows]), kind="stable")]  # enclaves on top
    step = max(_FINEST_DEG, (east - west) / 3000)
    shapes = shapely.simplify(cells.polygon[rows], step / 2)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings = [shapely.get_coordinates(part.exterior) for part in parts]
    faces = PolyCollection(rings, array=np.ma.masked_invalid(shown[rows[owner]]), cmap="viridis")
    faces.set_clim(*limits)
    faces.get_cmap().set_bad("#dddddd")
    faces.set(edgecolor="white", linewidth=0.15 if east - west > 90 else 0.35)
    axis.add_collection(faces)
    borders = shapely.get_parts(shapely.boundary(outline()))
    borders = borders[shapely.intersects(borders, shapely.box(*window))]
    for line in shapely.get_parts(borders):
        axis.plot(*shapely.get_coordinates(line).T, color="black", linewidth=0.35)
    axis.set(xlim=(west, east), ylim=(south, north), facecolor="#f4f7fa", xticks=[], yticks=[])
    axis.set_aspect(1.0 / np.cos(np.radians(0.0 if east - west > 90 else (south + north) / 2)))


def page(cells: CellTable, title: str, numbers: CellReport) -> str:
    """One HTML page with the numbers and the picture inside it."""
    picture = base64.b64encode(draw(cells)).decode()
    lines = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in numbers.rows()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(title)}</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
        "padding:0 1rem}th{text-align:left;font-weight:normal;padding-right:2rem}"
        "img{width:100%}</style>"
        f"<h1>{html.escape(title)}</h1><table>{lines}</table>"
        '<img alt="World map and map of Europe of the geocells, coloured by photos per km²"'
        f' src="data:image/png;base64,{picture}"></html>'
    )
