"""The command `geoloc-train thumbnails`."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.bundles.calibrate import Elsewhere
from training.cli.console import progress_bars

app = App(name="thumbnails")


@app.default
def thumbnails(
    bundle: str, photos: list[Path], /, *, megabytes: float = 6.0, out: Elsewhere = None
) -> int:
    """Put small pictures of a bundle's own photos into it, for "similar photos" beside answers.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    photos
        Tables or folders of the photos that the bundle was made from, with the columns file, lat,
        lon, source, licence and author. Photos under CC0, CC BY, CC BY-SA or in the public domain
        are taken whose source on the web and author are named.
    megabytes
        Largest size of all pictures together; photos of many places come first.
    out
        Bundle to write. By default the bundle itself is replaced once the new one is complete.
    """
    from geoloc.errors import GeolocError
    from training.gallery.thumbnails import add_thumbnails

    progress = progress_bars()
    try:
        with progress:
            count, size = add_thumbnails(bundle, photos, megabytes, out, progress)
    except GeolocError as error:
        return fail("geoloc-train thumbnails", error)
    except OSError as error:
        return fail_writing("geoloc-train thumbnails", error, out or bundle)
    print(f"{count:,} pictures, {size / 1e6:.1f} MB")
    return SOME_FAILED if progress.problems else 0
