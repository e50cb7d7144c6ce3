"""The command `geoloc bundle calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import progress_bars, with_quiet

if TYPE_CHECKING:
    from training.bundles.calibrate import Calibrated

Elsewhere = Annotated[Path | None, Parameter(name=["--out", "-o"])]
"""The option of commands that change a bundle in its place, unless it is given."""


@with_quiet
def calibrate(
    bundle: str, /, *, photos: Path, out: Elsewhere = None, cache: Path | None = None
) -> int:
    """Fit radii and claims of a bundle on geotagged photos: 200 for radii, 1,000 for claims.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    photos
        Folder of photos with GPS in their EXIF, or CSV or Parquet table with the columns file, lat
        and lon, and optionally group, collection, author and source. Best photos like those that
        the bundle will be asked about, of several collections.
    out
        Bundle to write. By default the bundle itself is replaced once the new one is complete.
    cache
        Folder for embeddings, reused by later runs. By default the user's cache folder.
    """
    from geoloc.errors import GeolocError
    from training.bundles.calibrate import calibrate_bundle

    progress = progress_bars()
    try:
        with progress:
            calibrated = calibrate_bundle(bundle, photos, out=out, cache=cache, report=progress)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out or bundle)
    _print(calibrated)
    return SOME_FAILED if progress.problems else 0


def _print(calibrated: Calibrated) -> None:
    """Print what the calibration rests on, and how well its radii held."""
    from training.bundles.calibrate import FOR_CLAIMS

    count, metrics = sum(calibrated.collections.values()), calibrated.metrics
    share = 100.0 * metrics["coverage"]["80"]
    named = ", ".join(list(calibrated.collections)[:3]) or "no collection named"
    print(
        f"calibrated on {count:,} photos of {len(calibrated.collections):,} collections ({named})"
    )
    print(
        f"held out in turn: the 80 % radius held for {share:.1f} % of them, with a median of"
        f" {metrics['median_radius_km']['80']:,.0f} km"
    )
    if not calibrated.claims:
        print(f"no claims: they take {FOR_CLAIMS:,} photos")
    print(f"bundle: {calibrated.bundle}")
