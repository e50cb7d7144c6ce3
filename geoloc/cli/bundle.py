"""`geoloc bundle`: models on this machine, fetched, built and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing

if TYPE_CHECKING:
    from geoloc.bundle.download import Tell

BUILDERS = "geoloc.bundles"
"""Entry points of packages that can build a bundle, by the bundle's name."""

app = App(name="bundle", help="Models on this machine: list, fetch, build and check them.")
build = App(name="build", help="Build a bundle from published weights.")
app.command(build)
for _builder in entry_points(group=BUILDERS):
    build.command(_builder.value, name=_builder.name)


@app.command(name="list")
def show() -> int:
    """List the bundles that --bundle knows by name; the first is used where none is given."""
    from rich.console import Console
    from rich.table import Table

    from geoloc.bundle import directory, installed
    from geoloc.errors import GeolocError

    table = Table("name", "encoder", "photos or points", box=None, pad_edge=False)
    table.add_column("licences", overflow="fold")
    table.add_column("MB", justify="right")
    failed = 0
    for name in sorted(directory.names(), key=lambda name: name != installed.best()):
        path = directory.find(name)
        try:
            table.add_row(name, *_told(path))
        except GeolocError as error:
            failed = fail("geoloc", error)
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    return failed


def _told(path: Path) -> list[str]:
    """Encoder, size of the gallery, licences and megabytes of a bundle."""
    import pyarrow.parquet as pq

    from geoloc.bundle import directory

    manifest = directory.verify(path)
    try:
        encoder = "{model} ({kind})".format(**manifest["encoder"])
        licences = list(manifest["licences"])
    except (KeyError, TypeError) as error:
        raise directory.damaged(path / "bundle.json", f"{type(error).__name__}: {error}") from error
    more = f" and {len(licences) - 2} more" if len(licences) > 2 else ""
    size = sum(file.stat().st_size for file in path.iterdir())
    members = pq.read_metadata(path / "members.parquet").num_rows
    return [
        encoder,
        f"{members:,}",
        "; ".join(licences[:2]) + more,
        f"{size / 1e6:,.0f}",
    ]


@app.command
def get(
    source: str, /, *, name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None
) -> int:
    """Install a bundle: "geoclip" (the world model), or one that somebody published.

    Parameters
    ----------
    source
        geoclip, https://…/NAME/ with the files of a bundle below it, or hf:OWNER/NAME.
    name
        What to call it; by default the last part of the address.
    """
    from geoloc.bundle import directory, installed
    from geoloc.bundle.download import HUB, fetch
    from geoloc.errors import GeolocError

    called = name or source.removeprefix(HUB).rstrip("/").rpartition("/")[2]
    try:
        target = installed.target(called)
        for builder in entry_points(group=BUILDERS, name=source):
            if (target / "bundle.json").is_file():
                directory.verify(target)
                print(f"{called} is installed already: geoloc locate PHOTO --bundle {called}")
                return 0
            return int(builder.load()(out=target) or 0)
        with _bar() as tell:
            fetch(source, target, tell)
        directory.load(target)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, called)
    print(f"installed: geoloc locate PHOTO --bundle {called}")
    return 0


@app.command
def verify(bundle: str, /) -> int:
    """Check every file of a bundle (a name or a path) against its checksum."""
    from geoloc.bundle import directory as bundles
    from geoloc.errors import GeolocError

    try:
        path = bundles.find(bundle)
        checked = bundles.verify(path)["sha256"]
    except GeolocError as error:
        return fail("geoloc", error)
    print(f"{path}: {len(checked)} files are as they were made")
    return 0


@contextmanager
def _bar() -> Iterator[Tell]:
    """Shows on standard error what has come."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    console = Console(stderr=True)
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda came, expected: progress.update(task, advance=came)
