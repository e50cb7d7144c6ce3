"""The command `geoloc game`: makes a set of photos for the game of the page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from geoloc.cli.console import SOME_FAILED, Quiet, fail, fail_writing, notice


def game(
    photos: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    count: Annotated[
        int, Parameter(name=["--photos"], validator=validators.Number(gte=1, lte=10_000))
    ] = 60,
    answers: Path | None = None,
    bundle: str | None = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    quiet: Quiet = False,
) -> int:
    """Make a set of photos for the game of the page: `geoloc-demo --game SET`.

    Photos are chosen from all over the world and from as many collections as there are. Copies are
    small and have no metadata; a table beside them, game.csv, has places, authors and licences.
    Photos that cannot be used are left out, with a line for each: those that the model was made
    from, those that show what another one or an example of the page does, and small ones. The exit
    code is 0 if the set is complete, 1 if it has fewer photos, and 2 if it has none.

    Parameters
    ----------
    photos
        A folder of photos with GPS in their EXIF; or a CSV or Parquet table of photos with the
        columns file, lat, lon, and optionally collection or group, author, licence and source.
    out
        Folder to write, a new or an empty one.
    count
        Number of photos.
    answers
        Table of answers that the model of the page gives in the game instead of its own: answers
        of models that never saw the photos that they answer, as `geoloc-train learn --held-out`
        writes them (columns file, lat, lon). Photos that the model knows are fair then.
    bundle
        Model of the game, by name or path. The default is the world model if it is installed, else
        the starter.
    seed
        Seed of the choice.
    """
    from geoloc.errors import GeolocError
    from geoloc.game.sets.photo_set import too_few, write_set
    from geoloc.game.sets.pool import read_pool
    from geoloc.geolocator import Geolocator

    try:
        pool, problems = read_pool(photos, answers)
        for line in problems:
            fail("geoloc", line)
        geolocator = Geolocator.from_bundle(bundle)
        if geolocator.bundle.copies is None and answers is None:
            notice(
                f"geoloc: {geolocator.name} cannot tell which photos it was made from; give none"
                " of those, or --answers",
                quiet=quiet,
            )
        made = write_set(
            pool, out, geolocator, count=count, seen=_examples(), seed=seed,
            problem=lambda line: notice(f"geoloc: {line}", quiet=quiet),
        )  # fmt: skip
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out)
    print(
        f"{made.photos:,} photos of {made.countries:,} countries and {made.collections:,}"
        f" collections in {out}; {made.left_out:,} left out"
    )
    if missing := too_few(made, count):
        fail("geoloc", missing)
        return SOME_FAILED
    return 0


def _examples() -> list[Path]:
    """Return the example photos of the page, which its players know; none without the page."""
    found = find_spec("demo")
    places = [] if found is None else found.submodule_search_locations or []
    return sorted(photo for place in places for photo in Path(place).glob("examples/*.jpg"))
