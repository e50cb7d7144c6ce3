"""geoloc-train cells: draw geocells from coordinates, and look at them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import BAD_INPUT, fail, fail_writing
from geoloc.io.atomic import atomic_file, atomic_write_bytes, atomic_write_text

if TYPE_CHECKING:
    from geocells.partition.config import CellConfig
    from geocells.table import CellTable

app = App(name="cells", help="Draw geocells from photo coordinates, and look at them.")

PHOTOS_PER_WORKER = 50_000
"""With fewer, starting another process takes longer than it saves."""

Preset = Literal["pigeon", "pigeotto"]
Method = Literal["semantic", "rectangles", "h3", "s2", "kmeans"]


@app.default
def cells(
    coords: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    preset: Preset = "pigeon",
    min_count: int | None = None,
    max_count: int | None = None,
    clustering: Literal["optics", "hdbscan"] | None = None,
    method: Method = "semantic",
    boundaries: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    geojson: Path | None = None,
    workers: int | None = None,
) -> int:
    """Draw geocells that respect borders and hold similar numbers of photos.

    Parameters
    ----------
    coords
        CSV or Parquet table with the columns lat and lon in degrees.
    out
        The GeoParquet file to write.
    preset
        pigeon: 30 to 60 photos per cell; pigeotto: 1,000 to 2,000.
    min_count
        Fewest photos of a cell, instead of the preset's.
    max_count
        Most photos of a cell, instead of the preset's.
    clustering
        How dense units are split.
    method
        semantic, or a partition without borders to compare it with.
    boundaries
        Border files, coarse to fine (geoBoundaries, GADM, GeoPackage, GeoParquet, …), instead of
        the embedded borders; give the option once for each file.
    geojson
        Write the cells as GeoJSON too.
    workers
        Processes; by default one for each core, and fewer where there is little to do. The result
        is the same for any number.
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
    for line in problems:
        fail("geoloc-train cells", line)
    return BAD_INPUT if problems else 0


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
    """Numbers of a cell table, and a picture of it.

    Parameters
    ----------
    table
        What `geoloc-train cells` wrote.
    out
        A .png or a self-contained .html file to write; may be given twice.
    preset
        Whose minimum and maximum to count by.
    min_count
        Fewest photos of a cell, instead of the preset's.
    max_count
        Most photos of a cell, instead of the preset's.
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
    with Workers(workers or min(useful, os.cpu_count() or 1)) as processes:
        boundaries = load_boundaries(borders) if borders else embedded_boundaries()
        return build_cells(latlon, config, boundaries, processes), problems


def _print_report(table: CellTable, config: CellConfig) -> None:
    from geocells.partition.report import report as measure

    for name, value in measure(table, config.min_count, config.max_count).rows():
        print(f"{name}: {value}")


def _write_picture(table: CellTable, title: str, config: CellConfig, file: Path) -> None:
    from geocells.partition import report

    if file.suffix not in (".png", ".html"):
        raise ValueError(f"{file}: a picture is a .png or .html file; choose one of these")
    if file.suffix == ".png":
        atomic_write_bytes(file, report.draw(table))
        return
    numbers = report.report(table, config.min_count, config.max_count)
    atomic_write_text(file, report.page(table, title, numbers))
