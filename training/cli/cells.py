"""The commands `geoloc-train cells` and `geoloc-train cells report`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing
from geoloc.io import machine
from geoloc.io.atomic import atomic_file, atomic_write_bytes, atomic_write_text
from training.cli.console import Out, print_problems

if TYPE_CHECKING:
    from geocells.partition.config import CellConfig
    from geocells.table import CellTable

app = App(name="cells")

PHOTOS_PER_WORKER = 50_000
"""Photos for which another process saves more time than it takes to start."""

Preset = Literal["pigeon", "pigeotto"]
Method = Literal["semantic", "rectangles", "h3", "s2", "kmeans"]


@app.default
def cells(
    coords: Path,
    /,
    *,
    out: Out,
    preset: Preset = "pigeon",
    min_count: int | None = None,
    max_count: int | None = None,
    clustering: Literal["optics", "hdbscan"] | None = None,
    method: Method = "semantic",
    boundaries: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    geojson: Path | None = None,
    workers: int | None = None,
) -> int:
    """Build geocells that follow borders and contain similar numbers of photos.

    Parameters
    ----------
    coords
        CSV or Parquet table with the columns lat and lon in degrees.
    out
        GeoParquet file to write.
    preset
        Cell size: pigeon has 30 to 60 photos per cell, pigeotto 1,000 to 2,000.
    min_count
        Minimum number of photos per cell; by default the preset's.
    max_count
        Maximum number of photos per cell; by default the preset's.
    clustering
        Clustering that splits dense administrative units; by default the preset's.
    method
        Partition: semantic cells, or one without borders for comparison.
    boundaries
        Border file (geoBoundaries, GADM, GeoPackage, GeoParquet, …) to use instead of the embedded
        borders. Repeat the option for several levels, from coarse to fine.
    geojson
        GeoJSON file to write too.
    workers
        Number of processes; by default up to one per core, depending on the number of photos. It
        does not change the result.
    """
    import json

    from geoloc.errors import GeolocError

    try:
        started = time.perf_counter()
        config = _config(preset, min_count, max_count, clustering)
        table, problems = _build(coords, config, method, boundaries, workers)
        with atomic_file(out) as file:
            table.write(file)
        if geojson:
            atomic_write_text(geojson, json.dumps(table.to_geojson()))
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train cells", error)
    except OSError as error:
        return fail_writing("geoloc-train cells", error, out)
    _print_report(table, config)
    print(f"{out}: written after {time.perf_counter() - started:.1f} s")
    return print_problems("geoloc-train cells", problems)


@app.command
def report(
    table: Path,
    /,
    *,
    out: Annotated[tuple[Path, ...], Parameter(name=["--out", "-o"], negative=())] = (),
    preset: Preset = "pigeon",
    min_count: int | None = None,
    max_count: int | None = None,
) -> int:
    """Print statistics of a cell table, and draw it.

    Parameters
    ----------
    table
        Cell table from `geoloc-train cells`.
    out
        Picture to write: a .png or a self-contained .html file. Repeat the option for both.
    preset
        Preset whose minimum and maximum the statistics refer to.
    min_count
        Minimum number of photos per cell; by default the preset's.
    max_count
        Maximum number of photos per cell; by default the preset's.
    """
    from geocells.table import CellTable
    from geoloc.errors import GeolocError

    try:
        config = _config(preset, min_count, max_count, None)
        cells = CellTable.read(table)
        _print_report(cells, config)
        for file in out:
            _write_picture(cells, table.stem, config, file)
            print(f"{file}: written")
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train cells report", error)
    except OSError as error:
        return fail("geoloc-train cells report", f"{error.filename}: {error.strerror or error}")
    return 0


def _config(
    preset: Preset,
    min_count: int | None,
    max_count: int | None,
    clustering: Literal["optics", "hdbscan"] | None,
) -> CellConfig:
    from dataclasses import replace

    from geocells.partition.config import PRESETS

    chosen = PRESETS[preset]
    return replace(
        chosen,
        min_count=chosen.min_count if min_count is None else min_count,
        max_count=chosen.max_count if max_count is None else max_count,
        clustering=clustering or chosen.clustering,
    )


def _build(
    coords: Path, config: CellConfig, method: Method, borders: tuple[Path, ...], workers: int | None
) -> tuple[CellTable, list[str]]:
    from geocells.borders.files import load_boundaries
    from geocells.borders.hierarchy import embedded_boundaries
    from geocells.partition.alternatives import METHODS
    from geocells.partition.build import build_cells
    from geocells.partition.workers import Workers
    from training.data import coordinates

    latlon, _, problems = coordinates.read(coords)
    if method != "semantic":
        return METHODS[method](latlon, config), problems
    useful = 1 + len(latlon) // PHOTOS_PER_WORKER
    with Workers(workers or min(useful, machine.cores())) as processes:
        boundaries = load_boundaries(borders) if borders else embedded_boundaries()
        return build_cells(latlon, config, boundaries, processes), problems


def _print_report(table: CellTable, config: CellConfig) -> None:
    from geocells.partition.report import measure

    for name, value in measure(table, config.min_count, config.max_count).rows():
        print(f"{name}: {value}")


def _write_picture(table: CellTable, title: str, config: CellConfig, file: Path) -> None:
    from geocells.partition import report

    if file.suffix not in (".png", ".html"):
        raise ValueError(f"{file}: unknown picture format; choose a .png or .html file")
    if file.suffix == ".png":
        atomic_write_bytes(file, report.draw_maps(table))
        return
    numbers = report.measure(table, config.min_count, config.max_count)
    atomic_write_text(file, report.render_page(table, title, numbers))
