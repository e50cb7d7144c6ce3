"""The `geoloc` command: its subcommands, each loaded when it is used."""

from __future__ import annotations

import gc

from cyclopts import App

from geoloc import __version__
from geoloc.cli.console import run

app = App(
    name="geoloc",
    version=__version__,
    help="Where was this photo taken? Answers offline; photos stay on this machine.",
)

app.command(
    "geoloc.cli.locate:locate",
    help="Locate photos: coordinates, radius, confidence, and other candidates.",
    usage="Usage: geoloc locate [OPTIONS] PHOTOS...",
)
app.command(
    "geoloc.cli.batch:batch",
    help="Locate many photos into one file: folders, lists, tar shards, millions of photos.",
    usage="Usage: geoloc batch --out PATH [OPTIONS] PHOTOS...",
)
app.command(
    "geoloc.cli.trip:app",
    name="trip",
    help="Place a whole photo library by times, geotags, tracks and pictures together.",
)
app.command(
    "geoloc.cli.bundle:app",
    name="bundle",
    help="Manage bundles (models): list, get, build and verify them.",
)
app.command(
    "geoloc.cli.evaluate:evaluate",
    help="Score a bundle, or any other system, on photos with known locations.",
)
app.command(
    "geoloc.cli.evaluate:results",
    help="Write a page of published results, with your own beside them.",
    usage="Usage: geoloc results --out PATH [REPORTS...]",
)
app.command(
    "geoloc.cli.play:play",
    help="Play GeoGuessr offline: a tournament between systems, with ratings.",
)
app.command(
    "geoloc.cli.game:game",
    help="Make a set of photos for the game of the page, without those that its model knows.",
)
app.register_install_completion_command(
    help="Install tab completion for the shell in use (bash, zsh or fish)."
)


OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own number, 700, lets it look for garbage dozens of times among imported modules."""


def main() -> None:
    """Run the command line; the entry point of `geoloc`."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    run(app)


if __name__ == "__main__":
    main()
