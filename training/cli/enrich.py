"""The command `geoloc-train enrich`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import BAD_INPUT, fail, fail_writing

app = App(name="enrich", help="Join on what is true where each photo was taken.")


@app.default
def enrich(photos: Path, /, *, out: Annotated[Path, Parameter(name=["--out", "-o"])]) -> int:
    """Add country, region, town, climate, height, people, traffic and month to a photo table.

    Nothing is downloaded: borders, towns and rasters come with the package. A table that was made
    from the same photos before is left as it is.

    Parameters
    ----------
    photos
        A photo table (Parquet) with the columns lat and lon in degrees.
    out
        The table to write.
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
    for line in problems:
        fail("geoloc-train enrich", line)
    return BAD_INPUT if problems else 0
