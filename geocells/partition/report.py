"""Statistics of a partition, maps of the world and of Europe, and an HTML page of both."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geocells.borders.hierarchy import outline
from geocells.polygons import area_km2
from geocells.table import CellTable
from geocells.types import Float64Array

if TYPE_CHECKING:
    from jinja2 import Template

_EUROPE = (-24.0, 34.0, 44.0, 66.0)
_WORLD = (-180.0, -58.0, 180.0, 80.0)
_FINEST_DEG = 0.02
"""Resolution of drawn polygons; the pixels of the picture are no smaller."""

_PERCENTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class CellReport:
    """Statistics of a partition."""

    cells: int
    empty: int
    countries: int
    photos: int
    count: tuple[float, ...]
    """Percentiles 0, 5, 50, 95 and 100 of the photos per cell, without empty cells."""
    area_km2: tuple[float, ...]
    """The same percentiles of the areas of these cells."""
    below: int
    """Cells with at least one photo and fewer than `min_count`."""
    above_share: float
    """Share of photos that are in cells with more than `max_count` photos."""

    def rows(self) -> list[tuple[str, str]]:
        """Return the statistics as (name, value) pairs for a table."""
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


def measure(cells: CellTable, min_count: int, max_count: int) -> CellReport:
    """Return the statistics of a partition."""
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


def draw_maps(cells: CellTable) -> bytes:
    """Return a PNG of the world and of Europe, each cell coloured by its photos per km²."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    density = cells.count / np.maximum(area_km2(cells.polygon), 1e-9)
    log_density = np.where(cells.count > 0, np.log10(np.maximum(density, 1e-6)), np.nan)
    finite = log_density[np.isfinite(log_density)]
    low, high = np.percentile(finite, (2, 98)) if len(finite) else (0.0, 1.0)
    figure, axes = pyplot.subplots(
        2, 1, figsize=(12, 13.5), height_ratios=(1, 1.9), layout="compressed", dpi=110
    )
    for axis, window in zip(axes, (_WORLD, _EUROPE), strict=True):
        _draw_window(axis, cells, log_density, window, (float(low), float(high)))
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
    log_density: Float64Array,
    window: tuple[float, float, float, float],
    limits: tuple[float, float],
) -> None:
    from matplotlib.collections import PolyCollection

    west, south, east, north = window
    rows = np.flatnonzero(shapely.intersects(cells.polygon, shapely.box(*window)))
    rows = rows[np.argsort(-shapely.area(cells.polygon[rows]), kind="stable")]  # small cells on top
    step = max(_FINEST_DEG, (east - west) / 3000)
    shapes = shapely.simplify(cells.polygon[rows], step / 2)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings = [shapely.get_coordinates(part.exterior) for part in parts]
    faces = PolyCollection(
        rings, array=np.ma.masked_invalid(log_density[rows[owner]]), cmap="viridis"
    )
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


def render_page(cells: CellTable, title: str, report: CellReport) -> str:
    """Return an HTML page with the statistics and the maps; it loads no other file."""
    return _template("report.html").render(
        title=title, rows=report.rows(), picture=base64.b64encode(draw_maps(cells)).decode()
    )


def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("geocells.partition")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
