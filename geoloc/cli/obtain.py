"""`geoloc bundle get`, `pack` and `unpack`: models from the catalogue, an address or a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geoloc.cli.console import Quiet, UsageError, fail, fail_writing, table_console

if TYPE_CHECKING:
    from geoloc.bundle.catalogue import Entry
    from geoloc.bundle.transfer import Progress

INSTALLERS = "geoloc.catalogue"
"""Group of entry points that build the bundle of a catalogue entry."""

Name = Annotated[str | None, Parameter(name=["--name", "-n"])]


def get(
    source: str,
    /,
    *,
    name: Name = None,
    photos: Path | None = None,
    files: Path | None = None,
    accept_licence: str | None = None,
    quiet: Quiet = False,
) -> int:
    """Install a bundle: an open model of the catalogue, or a published bundle.

    Parameters
    ----------
    source
        Name in the catalogue (see `geoloc bundle list --available`), such as geoclip; the address
        of a folder with the files of a bundle (https://…/NAME/); or hf:OWNER/NAME for one on the
        Hugging Face Hub.
    name
        Name to install it under. The default is the name in the catalogue, or the last part of the
        address.
    photos
        Geotagged photos, a folder or table: an encoder of the catalogue knows these places then,
        and a world model is calibrated on them.
    files
        Folder with files of the catalogue entry that were fetched before; the others are fetched.
    accept_licence
        Name of the licence that you accept, where a model has terms of its own.
    """
    from geoloc.bundle import directory, installed
    from geoloc.bundle.catalogue import catalogue
    from geoloc.bundle.download import fetch
    from geoloc.bundle.hub import HUB
    from geoloc.errors import GeolocError

    called = name or source.removeprefix(HUB).rstrip("/").rpartition("/")[2]
    try:
        target = installed.target(called)
        entry = catalogue().get(source)
        if entry is None:
            if photos or files or accept_licence:
                raise UsageError(
                    f"{source}: --photos, --files and --accept-licence are for models of the"
                    " catalogue; see  geoloc bundle list --available"
                )
            with download_bar(hidden=quiet) as progress:
                fetch(source, target, progress)
            directory.load(target)
        elif (target / directory.MANIFEST).is_file():
            directory.verify(target)
            if not quiet:
                print(f"{called} is installed already: geoloc locate PHOTO --bundle {called}")
            return 0
        else:
            _build(entry, target, photos, files, accept_licence, quiet=quiet)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, called)
    if not quiet:
        print(f"installed: geoloc locate PHOTO --bundle {called}")
    return 0


def _build(
    entry: Entry,
    target: Path,
    photos: Path | None,
    files: Path | None,
    accepted: str | None,
    *,
    quiet: bool,
) -> None:
    """Fetch the files of a catalogue entry and build its bundle.

    Raises:
        GeolocError: see `Entry.fetch` and the installer.
    """
    from geoloc.bundle import installed
    from geoloc.bundle.catalogue import licence_lines
    from geoloc.bundle.download import unfinished
    from geoloc.bundle.origins import compare_and_record
    from geoloc.encoders.cache import default_cache
    from geoloc.errors import BundleError
    from geoloc.io.progress import ProgressBars

    entry.check_buildable(with_photos=photos is not None)
    if missing := installed.missing_for_world():
        raise BundleError(
            f"{entry.name}: {missing[0]} is not installed; run  {installed.world_command()}"
        )
    installers = list(entry_points(group=INSTALLERS))
    if not installers:
        raise BundleError(
            "this installation cannot build models of the catalogue; install planet-geoloc again"
        )
    if not quiet or not entry.commercial:
        for line in licence_lines(entry):
            print(line, file=sys.stderr)
    entry.check_licence(accepted)
    with unfinished(target) as partial:
        with download_bar(hidden=quiet) as progress:
            paths, origins = entry.fetch(partial, files, progress)
        for line in compare_and_record(origins):
            print(f"geoloc: {line}", file=sys.stderr)
        if not quiet:
            for origin in origins:
                print(f"fetched {origin}", file=sys.stderr)
        report = ProgressBars(log_stages=True, quiet=quiet)
        with report:
            installers[0].load()(
                entry, paths, target, cache=default_cache(), photos=photos, report=report
            )


def available() -> int:
    """Print the catalogue of open models, with sizes and licences."""
    from rich.table import Table

    from geoloc.bundle.catalogue import catalogue

    table = Table("name", box=None, pad_edge=False)
    table.add_column("size", justify="right")
    table.add_column("licence", min_width=20)
    table.add_column("model, and what it is good at")
    for entry in catalogue().values():
        licence = entry.licence if entry.commercial else f"{entry.licence} (no commercial use)"
        note = "; cannot be built yet" if entry.missing else ""
        good_at = entry.good_at[0].upper() + entry.good_at[1:]
        table.add_row(entry.name, entry.size, licence, f"{entry.title}{note}. {good_at}")
    table_console().print(table)
    return 0


def pack(
    bundle: str, /, *, out: Annotated[Path, Parameter(name=["--out", "-o"])], quiet: Quiet = False
) -> int:
    """Write a bundle into one file, for machines without a network.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    out
        File to write, such as world.tar.
    """
    from geoloc.bundle import directory, packed
    from geoloc.errors import GeolocError

    try:
        size = packed.pack(directory.find(bundle), out)
    except GeolocError as error:
        return fail("geoloc", error)
    if not quiet:
        print(f"{out}: {size / 1e6:,.0f} MB; elsewhere:  geoloc bundle unpack {out.name}")
    return 0


def unpack(file: Path, /, *, name: Name = None, quiet: Quiet = False) -> int:
    """Install a bundle from a file that `geoloc bundle pack` wrote.

    Parameters
    ----------
    file
        The file.
    name
        Name to install it under. The default is that of the file.
    """
    from geoloc.bundle import installed, packed
    from geoloc.errors import GeolocError

    called = name or file.name.partition(".")[0]
    try:
        packed.unpack(file, installed.target(called))
    except GeolocError as error:
        return fail("geoloc", error)
    if not quiet:
        print(f"installed: geoloc locate PHOTO --bundle {called}")
    return 0


@contextmanager
def download_bar(*, hidden: bool) -> Iterator[Progress]:
    """Show the progress of downloads on standard error, if that is a terminal and not `hidden`."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn()
    disable = hidden or not console.is_terminal
    with progress.Progress(*columns, console=console, disable=disable) as bar:
        task: Any = bar.add_task("", total=None)
        yield lambda received, expected: bar.update(task, advance=received)
