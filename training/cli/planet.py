"""The command `geoloc-train planet`."""

from __future__ import annotations

import time

from cyclopts import App

from geoloc.cli.console import fail_writing
from training.cli.console import Out

app = App(name="planet")


@app.default
def planet(
    *,
    out: Out,
    locations: int = 2000,
    views: int = 4,
    size: int = 112,
    seed: int = 0,
) -> int:
    """Draw a synthetic planet of photos for tests and rehearsals.

    Places and their attributes are real, the photos are drawn from these attributes. The table has
    splits that share no author.

    Parameters
    ----------
    out
        Folder for the tar shards and photos.parquet.
    locations
        Number of places.
    views
        Photos of each place, in directions evenly around the compass.
    size
        Side of the photos in pixels.
    seed
        Seed of places and photos.
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
