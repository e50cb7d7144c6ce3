"""The command `geoloc locate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from geoloc.cli.console import (
    Flag,
    LastCode,
    Photos,
    Quiet,
    UsageError,
    exit_code,
    fail,
    fail_writing,
    notice,
    prepare_page,
    table_console,
)
from geoloc.cli.evidence import NOTHING_ASKED, EvidenceFlags
from geoloc.io import machine

if TYPE_CHECKING:
    from geoloc.cli.inputs import Input
    from geoloc.errors import PhotoError
    from geoloc.geolocator import Geolocator
    from geoloc.guess import Guess

    Answer = tuple[str, Guess | PhotoError]
    """The name of an input and its answer."""

PROGRAM = "geoloc"

Top = Annotated[int, Parameter(name=["--top", "-k"], validator=validators.Number(gte=1, lte=40))]


def locate(
    photos: Photos,
    /,
    *,
    bundle: str | None = None,
    top: Top = 5,
    within: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    together: Flag = False,
    evidence: EvidenceFlags = NOTHING_ASKED,
    json: Flag = False,
    geojson: Flag = False,
    map: Annotated[Path | None, Parameter(name=["--map"])] = None,
    open: Flag = False,
    quiet: Quiet = False,
) -> int:
    """Locate photos: coordinates, radius, confidence, and other candidates.

    The probability beside a place is the calibrated probability that the photo was taken within
    25 km of it. Radii are measured from the best guess: the first place if its probability is at
    least 15 %, otherwise the point with the smallest expected loss.

    Photos that cannot be read are reported on standard error. Exit codes: 0 if all photos were
    located, 1 if some failed, 2 if nothing could be done.

    Parameters
    ----------
    photos
        Photos (JPEG, PNG, WebP, HEIC, TIFF), folders, glob patterns, or "-" for a photo from
        standard input. Lists and tar shards are for `geoloc batch`.
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path. The default is the world
        model if it is installed, else the starter.
    top
        Number of candidates per photo.
    within
        Constrain answers to a country ("Portugal", "pt"), several ("Southern Europe"), a region
        ("Bavaria, Germany"), a town and its surroundings ("Paris, France"), a circle
        ("48.86,2.35,50km"), a box ("south,west,north,east") or a polygon (a GeoJSON file or WKT);
        and to places with a property: "left-hand traffic", "near water", "above 2,000 m", "a
        language written in Cyrillic", "Africa; above 2,000 m".
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
    machine.limit_blas()
    from geoloc.bundle.installed import choose_default
    from geoloc.cli.inputs import find_inputs, load
    from geoloc.errors import GeolocError
    from geoloc.geolocator import Geolocator

    try:
        _check(json, geojson, map, open)
        asked = evidence.options()
        geolocator = Geolocator.from_bundle(bundle or choose_default(quiet=quiet))
        witnesses = asked.witnesses(geolocator.cells, partial(fail, PROGRAM))
        geolocator = geolocator.with_witnesses(witnesses)
        geolocator.load = load
        answer = _locate_together if together else _locate_each
        answers = answer(geolocator, list(find_inputs(photos)), top, within)
        guesses, errors = _print_answers(answers, tables=not (json or geojson), jsonl=json)
        if geojson:
            _print_geojson(guesses, errors)
        if map is not None and guesses:
            _write_map(guesses, geolocator, map)
            notice(f"map: {map}", quiet=quiet)
            if open:
                _open(map)
    except GeolocError as error:
        return fail(PROGRAM, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail_writing(PROGRAM, error, map or "standard output")
    return LastCode(exit_code(len(guesses), len(errors)))


def _check(json: bool, geojson: bool, page: Path | None, show: bool) -> None:
    """Check the options before any photo is read; raises UsageError or OSError."""
    if json and geojson:
        raise UsageError("--json and --geojson exclude each other; give one of them")
    if show and page is None:
        raise UsageError("--open shows the map of --map; add  --map answer.html")
    prepare_page("--map", page)


def _locate_each(
    geolocator: Geolocator, inputs: Sequence[Input], top: int, within: str | None
) -> Iterator[Answer]:
    """Yield an answer for each input, in order."""
    answers = geolocator.locate_many(inputs, top, within)  # type: ignore[arg-type]  # read by `load`
    for each, answer in zip(inputs, answers, strict=True):
        yield each.name, answer


def _locate_together(
    geolocator: Geolocator, inputs: Sequence[Input], top: int, within: str | None
) -> Iterator[Answer]:
    """Yield the errors of unreadable photos, then one answer for all others."""
    from geoloc.encoders.pipeline import encode_all
    from geoloc.errors import PhotoError

    constraint = geolocator.restrict(within)
    encoded = encode_all(geolocator.encoder, inputs, load=geolocator.read)
    for each, result in zip(inputs, encoded.results, strict=True):
        if isinstance(result, PhotoError):
            yield each.name, result
    if encoded.photos:
        (guess,) = geolocator.guess_together(encoded.embeddings, [encoded.photos], top, constraint)
        yield guess.photo, guess


def _print_answers(
    answers: Iterable[Answer], *, tables: bool, jsonl: bool
) -> tuple[list[Guess], list[tuple[str, str]]]:
    """Print each answer as it comes; returns all answers, and names and errors of failed photos."""
    from geoloc.errors import PhotoError
    from geoloc.output.formats import error_to_json, to_json
    from geoloc.output.text import render

    console = table_console()
    guesses, errors = [], []
    for name, answer in answers:
        if isinstance(answer, PhotoError):
            fail(PROGRAM, answer)
            errors.append((name, str(answer)))
            if jsonl:
                print(error_to_json(name, str(answer)), flush=True)
            continue
        guesses.append(answer)
        if tables:
            console.print(render(answer))
        elif jsonl:
            print(to_json(answer), flush=True)
    return guesses, errors


def _print_geojson(guesses: Sequence[Guess], errors: Sequence[tuple[str, str]]) -> None:
    import json

    from geoloc.output.formats import to_geojson

    print(json.dumps(to_geojson(guesses, errors), ensure_ascii=False, allow_nan=False))


def _write_map(guesses: Sequence[Guess], geolocator: Geolocator, path: Path) -> None:
    from geoloc.output.map_page import write_map
    from geoloc.output.similar import with_thumbnails

    shown = [with_thumbnails(geolocator.bundle.thumbnails, guess) for guess in guesses]
    write_map(shown, geolocator.cells, path)


def _open(page: Path) -> None:
    import webbrowser

    webbrowser.open(page.resolve().as_uri())
