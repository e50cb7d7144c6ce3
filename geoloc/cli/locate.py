"""The command `geoloc locate`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from geoloc.cli.console import BAD_INPUT, fail, table_console

if TYPE_CHECKING:
    from geoloc.errors import PhotoError
    from geoloc.geolocator import Geolocator
    from geoloc.guess import Guess

PROGRAM = "geoloc"

Photos = Annotated[list[str], Parameter(negative=())]
Top = Annotated[int, Parameter(name=["--top", "-k"], validator=validators.Number(gte=1, lte=40))]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def locate(
    photos: Photos,
    /,
    *,
    bundle: str | None = None,
    top: Top = 5,
    within: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    together: Flag = False,
    json: Flag = False,
    geojson: Flag = False,
    map: Annotated[Path | None, Parameter(name=["--map"])] = None,
    open: Flag = False,
) -> int:
    """Locate photos: coordinates, radius, confidence, and other candidates.

    Photos that cannot be read are reported on standard error, and the exit code is 2.

    Parameters
    ----------
    photos
        Photos: JPEG, PNG, WebP, HEIC, TIFF.
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path. The default is the world
        model if it is installed, else the starter.
    top
        Number of candidates per photo.
    within
        Constrain answers to a country ("Portugal", "pt"), a region ("Bavaria, Germany"), a circle
        ("48.86,2.35,50km"), a box ("south,west,north,east") or a polygon (a GeoJSON file or WKT).
    together
        Treat all photos as views of one place, and give one answer.
    json
        Print one JSON object per line instead of tables.
    geojson
        Print a GeoJSON FeatureCollection instead of tables.
    map
        Also write an HTML map of candidates and cells to this file; it works offline.
    open
        Open the map of --map in the browser.
    """
    from geoloc.bundle.installed import choose_default
    from geoloc.errors import GeolocError
    from geoloc.geolocator import Geolocator

    try:
        geolocator = Geolocator.from_bundle(bundle or choose_default())
        answers = (
            _locate_together(geolocator, photos, top, within)
            if together
            else geolocator.locate_many(photos, top, within)
        )
        guesses, failed = _print_answers(answers, tables=not (json or geojson), jsonl=json)
        if geojson:
            _print_geojson(guesses)
        if map is not None and guesses:
            _write_map(guesses, geolocator, map, show=open)
    except GeolocError as error:
        return fail(PROGRAM, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(PROGRAM, f"{error.filename or map}: {error.strerror}; choose another place")
    return BAD_INPUT if failed else 0


def _locate_together(
    geolocator: Geolocator, photos: Sequence[str], top: int, within: str | None
) -> Iterator[Guess | PhotoError]:
    """Yield the errors of unreadable photos, then one answer for all others."""
    from geoloc.encoders.pipeline import encode_all

    constraint = geolocator.restrict(within)
    encoded = encode_all(geolocator.encoder, photos)
    yield from encoded.errors
    if encoded.photos:
        yield geolocator.guess_together(encoded.embeddings, [encoded.photos], top, constraint)[0]


def _print_answers(
    answers: Iterable[Guess | PhotoError], *, tables: bool, jsonl: bool
) -> tuple[list[Guess], int]:
    """Print each answer as it comes; returns all answers and the number of failed photos."""
    from geoloc.errors import PhotoError
    from geoloc.output.formats import to_json
    from geoloc.output.text import render

    console = table_console()
    guesses, failed = [], 0
    for answer in answers:
        if isinstance(answer, PhotoError):
            fail(PROGRAM, answer)
            failed += 1
            continue
        guesses.append(answer)
        if tables:
            console.print(render(answer))
        elif jsonl:
            print(to_json(answer), flush=True)
    return guesses, failed


def _print_geojson(guesses: Sequence[Guess]) -> None:
    import json

    from geoloc.output.formats import to_geojson

    print(json.dumps(to_geojson(guesses), ensure_ascii=False))


def _write_map(guesses: Sequence[Guess], geolocator: Geolocator, path: Path, *, show: bool) -> None:
    from geoloc.output.map_page import write_map

    write_map(guesses, geolocator.cells, path)
    print(f"map: {path}", file=sys.stderr)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
