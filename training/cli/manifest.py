"""The commands `geoloc-train manifest` and `geoloc-train enrich`."""

from __future__ import annotations

import time
from pathlib import Path

from cyclopts import App

from geoloc.cli.console import fail, fail_writing
from training.cli.console import Out, print_problems

manifest_app = App(name="manifest")
enrich_app = App(name="enrich")


@manifest_app.default
def manifest(source: Path, /, *, out: Out, images: Path | None = None) -> int:
    """Write the photo table of a collection, with one row for each usable photo.

    Parameters
    ----------
    source
        Folder of photos with GPS in their EXIF, folder of tar shards (img2dataset, WebDataset), or
        CSV, TSV or Parquet table: MP-16, OSV-5M, YFCC100M, or any with coordinates.
    out
        Parquet table to write. Its file names are relative to its folder.
    images
        Folder of the photos or tar shards, if the table does not contain their paths.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.sources import read

        table, folder, problems = read(source, images)
        photo_table.write(photo_table.relative_to(table, folder, out.parent), out)
    except GeolocError as error:
        return fail("geoloc-train manifest", error)
    except OSError as error:
        return fail_writing("geoloc-train manifest", error, out)
    print(f"{out}: {len(table):,} photos")
    return print_problems("geoloc-train manifest", problems)


@enrich_app.default
def enrich(photos: Path, /, *, out: Out) -> int:
    """Add attributes of the places to a photo table.

    Adds country, region, town, climate, elevation, population density, driving side and month.
    Nothing is downloaded: borders, towns and rasters are part of the package. An output that was
    made from the same table is left unchanged.

    Parameters
    ----------
    photos
        Photo table (Parquet) with the columns lat and lon in degrees.
    out
        Table to write.
    """
    from geoloc.errors import GeolocError

    problems: list[str] = []
    try:
        import pyarrow.parquet as pq

        from training.data.enrich import enrich_file

        started = time.perf_counter()
        enrich_file(photos, out, problems.append)
        count = pq.read_metadata(out).num_rows
    except GeolocError as error:
        return fail("geoloc-train enrich", error)
    except OSError as error:
        return fail_writing("geoloc-train enrich", error, out)
    print(f"{out}: {count:,} photos after {time.perf_counter() - started:.1f} s")
    return print_problems("geoloc-train enrich", problems)
