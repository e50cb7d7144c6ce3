"""The command `geoloc-train planet`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail_writing

app = App(name="planet", help="Draw a synthetic planet of photos, to try everything with.")


@app.default
def planet(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    locations: int = 2000,
    views: int = 4,
    size: int = 112,
    seed: int = 0,
) -> int:
    """Draw photos of real places from what is true there, with splits that share no author.

    Parameters
    ----------
    out
        Folder for tar shards and photos.parquet.
    locations
        Number of places.
    views
        Photos of each place, evenly around the compass.
    size
        Side of the photos in pixels.
    seed
        Another seed, another planet.
    """
    try:
        from training.synthetic.planet import write_planet

        started = time.perf_counter()
        table = write_planet(out, locations, views, size, seed)
    except OSError as error:
        return fail_writing("geoloc-train planet", error, out)
    seconds = time.perf_counter() - started
    print(f"{table}: {locations * views:,} photos of {locations:,} places after {seconds:.1f} s")
    return 0
