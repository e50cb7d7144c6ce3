"""The command line: `geoloc locate`, `geoloc batch`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter, validators

from geoloc import __version__
from geoloc.cli.console import BAD_INPUT, fail, run

if TYPE_CHECKING:
    from geoloc.errors import PhotoError
    from geoloc.geolocator import Geolocator
    from geoloc.guess import Guess

app = App(
    name="geoloc",
    version=__version__,
    help="Where was this photo taken? Answers offline; photos stay on this machine.",
)

app.command("geoloc.cli.batch:app", name="batch", help="Answer a folder, a list, or millions.")
app.command("geoloc.cli.bundle:app", name="bundle")
app.command(
    "geoloc.cli.play:play",
    name="play",
    help="Let systems play GeoGuessr against each other, offline.",
)
app.command(
    "geoloc.cli.evaluate:evaluate",
    help="Score a bundle, or any other system, on photos whose places are known.",
)
app.command(
    "geoloc.cli.evaluate:results",
    help="Write a page of the published numbers of other systems, with ours beside them.",
)

Photos = Annotated[list[str], Parameter(negative=(), help="Photos: JPEG, PNG, WebP, HEIC, TIFF.")]
Top = Annotated[int, Parameter(name=["--top", "-k"], validator=validators.Number(gte=1, lte=40))]


@app.command
def locate(
    photos: Photos,
    /,
    *,
    bundle: str | None = None,
    top: Top = 5,
    within: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    together: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    geojson: Annotated[bool, Parameter(negative=())] = False,
    map: Annotated[Path | None, Parameter(name=["--map"])] = None,
    open: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Say where photos were taken, how sure that is, and what else is possible.

    Parameters
    ----------
    photos
        Photos: JPEG, PNG, WebP, HEIC, TIFF.
    bundle
        Model: a name that `geoloc bundle list` knows, or a path. By default the world model where
        it is installed, else the starter.
    top
        How many places to show for each photo.
    within
        What you know already: a country ("Portugal", "pt"), a region ("Bavaria, Germany"), a circle
        ("48.86,2.35,50km"), a box ("south,west,north,east") or a polygon (a GeoJSON file or WKT).
    together
        All photos show one place: one answer for all of them.
    json
        Print one JSON object per line instead of tables.
    geojson
        Print a GeoJSON FeatureCollection instead of tables.
    map
        Also write an offline map with pins and cells to this HTML file.
    open
        Open that map in the browser.
    """
    from geoloc.bundle.choice import choose
    from geoloc.errors import GeolocError
    from geoloc.geolocator import Geolocator

    try:
        geolocator = Geolocator.from_bundle(bundle or choose())
        answers = (
            _one_answer(geolocator, photos, top, within)
            if together
            else geolocator.locate_many(photos, top, within)
        )
        kept, failed = _show(answers, quiet=json or geojson, as_json=json)
        if geojson:
            import json as writer

            from geoloc.output.formats import to_geojson

            print(writer.dumps(to_geojson(kept), ensure_ascii=False))
        if map is not None and kept:
            from geoloc.output.map_page import write_map

            write_map(kept, geolocator.cells, map)
            _say(f"map: {map}")
            if open:
                import webbrowser

                webbrowser.open(map.resolve().as_uri())
    except GeolocError as error:
        return fail("geoloc", error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail("geoloc", f"{error.filename or map}: {error.strerror}; choose another place")
    return BAD_INPUT if failed else 0


def _one_answer(
    geolocator: Geolocator, photos: Sequence[str], top: int, within: str | None
) -> Iterator[Guess | PhotoError]:
    """One answer for all photos that can be read, after the errors of the others."""
    from geoloc.encoders.pipeline import encode_all

    constraint = geolocator.restrict(within)
    encoded = encode_all(geolocator.encoder, photos)
    yield from encoded.errors
    if encoded.photos:
        yield geolocator.guess_together(encoded.embeddings, [encoded.photos], top, constraint)[0]


def _show(
    answers: Iterable[Guess | PhotoError], *, quiet: bool, as_json: bool
) -> tuple[list[Guess], int]:
    """Print each answer as it comes; returns the answers and how many photos failed."""
    from geoloc.errors import PhotoError
    from geoloc.output.formats import to_json

    show = None if quiet else _printer()
    kept, failed = [], 0
    for answer in answers:
        if isinstance(answer, PhotoError):
            fail("geoloc", answer)
            failed += 1
            continue
        kept.append(answer)
        if show:
            show(answer)
        elif as_json:
            print(to_json(answer), flush=True)
    return kept, failed


def _printer() -> Any:  # noqa: ANN401
    """A function that prints a guess as a table."""
    from rich.console import Console

    from geoloc.output.text import render

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    return lambda guess: console.print(render(guess))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    """Entry point of the `geoloc` command."""
    run(app)


if __name__ == "__main__":
    main()
