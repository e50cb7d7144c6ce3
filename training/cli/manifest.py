"""The commands `geoloc-train manifest` and `geoloc-train enrich`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing
from training.cli.console import Out, print_problems

manifest_app = App(name="manifest")
enrich_app = App(name="enrich")


@manifest_app.default
def manifest(
    source: str,
    /,
    *,
    out: Out,
    images: str | None = None,
    others: Annotated[tuple[Path, ...], Parameter(name="--with", negative=())] = (),
    licence: str = "",
    allow: Annotated[
        tuple[Literal["nc", "nd", "unknown"], ...], Parameter(negative=(), show_default=False)
    ] = (),
) -> int:
    """Write the photo table of a collection, with one row for each usable photo.

    Author and licence of every photo are kept. Photos whose licence forbids commercial use or
    derived works, or is not known, are left out and counted. OSV-5M, MP-16, YFCC100M, Mapillary,
    Global Streetscapes, iNaturalist, Google Landmarks and Wikimedia Commons are recognised by their
    columns.

    Parameters
    ----------
    source
        Folder of photos with GPS in their EXIF; folder of tar shards (img2dataset, WebDataset) or
        of Parquet files with photos (Hugging Face); one such file; or a table: CSV, TSV, JSON or
        Parquet. A path, or an address such as s3://bucket/shards/.
    out
        Parquet table to write. Its file names are relative to its folder. Photos inside Parquet
        files are copied to tar shards in the folder OUT.shards.
    images
        Folder of the photos or tar shards, if the table does not contain their paths.
    others
        Further table of the collection, such as observations.csv of iNaturalist or the attribution
        table of Google Landmarks; its columns are added. May be repeated.
    licence
        Licence of photos that have none in the tables.
    allow
        Use photos although their licence forbids commercial use (nc) or derived works (nd), or is
        not known (unknown). May be repeated.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.sources import Source, read

        unpacked = out.with_name(f"{out.name}.shards")
        table, folder, problems = read(Source(source, images, others, licence, allow, unpacked))
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
