"""The commands `geoloc bundle add` and `geoloc bundle remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.bundles.calibrate import Elsewhere
from training.cli.console import progress_bars, require, with_quiet

Names = Annotated[list[str], Parameter(negative=())]


@with_quiet
def add(
    bundle: str, photos: list[Path], /, *, out: Elsewhere = None, cache: Path | None = None
) -> int:
    """Add geotagged photos, or a pack, to a bundle.

    Photos are known at once, without training. The first photos of a bundle are learned, which
    takes the extra `train` and some minutes: at least 20 photos of three places. The world
    knowledge of the bundle stays as it is.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    photos
        Folders of photos with GPS, tables with the columns file, lat and lon, or a folder that
        `geoloc-train gallery` wrote.
    out
        Bundle to write. By default the bundle itself is replaced once the new one is complete.
    cache
        Folder for embeddings, reused by later runs. By default the user's cache folder.
    """
    from geoloc.errors import GeolocError
    from training.bundles.galleries import add_pack, is_pack
    from training.bundles.own import add_photos

    progress = progress_bars()
    try:
        with progress:
            given = [path for path in photos if is_pack(path)]
            for path in given:
                name = add_pack(bundle, path, out)
                print(f"added the pack {name}")
            rest = [path for path in photos if path not in given]
            if rest:
                added, total = add_photos(bundle, rest, out, cache=cache, report=progress)
                print(f"added {added:,} photos; the bundle has {total:,} own photos")
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out or bundle)
    return SOME_FAILED if progress.problems else 0


@with_quiet
def remove(bundle: str, photos: Names, /, *, out: Elsewhere = None) -> int:
    """Remove added photos, or a pack, from a bundle.

    A photo is known by its content, or by its name if the file is gone. What the classifier learned
    from it stays until `geoloc-train learn --base` runs again.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    photos
        Photos, folders of photos, names of photos, or names of packs ("own" is all own photos).
    out
        Bundle to write. By default the bundle itself is replaced once the new one is complete.
    """
    from geoloc.errors import GeolocError
    from training.bundles.removal import remove_from

    try:
        require("faiss")
        gone, left = remove_from(bundle, photos, out)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out or bundle)
    print(f"removed {gone:,} photos; {left:,} of the bundle's own photos are left")
    return 0
