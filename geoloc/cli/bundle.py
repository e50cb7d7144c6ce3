"""The command `geoloc bundle`: list, get, build and verify models on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import Quiet, fail, fail_writing, table_console

if TYPE_CHECKING:
    from geoloc.bundle.download import Progress

BUILDERS = "geoloc.bundles"
"""Group of entry points that build a bundle; each has the name of its bundle."""

COMMANDS = "geoloc.bundle"
"""Group of entry points that change a bundle; each has the name of its command."""

_HELP = {
    "geoclip": "Build the world model: GeoCLIP's weights (MIT) on OpenAI's CLIP (MIT).",
}
"""Help of known builders, which are not imported to list them."""

_COMMAND_HELP = {
    "add": "Add geotagged photos, or a pack of a region, to a bundle.",
    "calibrate": "Fit radii and claims of a bundle on geotagged photos.",
    "remove": "Remove added photos, or a pack, from a bundle.",
}
"""Help of known commands, which are not imported to list them."""

app = App(name="bundle", help="Manage bundles (models): list, get, build and verify them.")
build = App(name="build", help="Build a bundle from published weights.")
app.command(build)
for _builder in entry_points(group=BUILDERS):
    _help = _HELP.get(_builder.name, f"Build the bundle {_builder.name}.")
    build.command(_builder.value, name=_builder.name, help=_help)
for _command in entry_points(group=COMMANDS):
    app.command(_command.value, name=_command.name, help=_COMMAND_HELP.get(_command.name, ""))


@app.command(name="list")
def show() -> int:
    """List the installed bundles; the first one is the default of --bundle."""
    from rich.table import Table

    from geoloc.bundle import directory, installed
    from geoloc.errors import GeolocError

    table = Table("name", "encoder", "photos or points", box=None, pad_edge=False)
    table.add_column("licences", overflow="fold")
    table.add_column("MB", justify="right")
    failed = 0
    for name in sorted(directory.names(), key=lambda name: name != installed.default_name()):
        path = directory.find(name)
        try:
            table.add_row(name, *_describe(path))
        except GeolocError as error:
            failed = fail("geoloc", error)
    table_console().print(table)
    return failed


def _describe(path: Path) -> list[str]:
    """Return the encoder, gallery size, licences and megabytes of a bundle."""
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
    source: str,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    quiet: Quiet = False,
) -> int:
    """Install a bundle: "geoclip" (the world model), or a published one.

    Parameters
    ----------
    source
        geoclip, the address of a folder with the files of a bundle (https://…/NAME/), or
        hf:OWNER/NAME for one on the Hugging Face Hub.
    name
        Name to install it under. The default is the last part of the address.
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
                if not quiet:
                    print(f"{called} is installed already: geoloc locate PHOTO --bundle {called}")
                return 0
            if source == installed.WORLD and (missing := installed.missing_for_world()):
                return fail(
                    "geoloc",
                    f"{source}: {missing[0]} is not installed; run  {installed.world_command()}",
                )
            return int(builder.load()(out=target, quiet=quiet) or 0)
        with _download_bar(hidden=quiet or source.startswith(HUB)) as progress:
            fetch(source, target, progress)
        directory.load(target)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, called)
    if not quiet:
        print(f"installed: geoloc locate PHOTO --bundle {called}")
    return 0


@app.command
def verify(bundle: str, /, *, quiet: Quiet = False) -> int:
    """Check every file of a bundle against its checksum.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    """
    from geoloc.bundle import directory as bundles
    from geoloc.errors import GeolocError

    try:
        path = bundles.find(bundle)
        checked = bundles.verify(path)["sha256"]
    except GeolocError as error:
        return fail("geoloc", error)
    if not quiet:
        print(f"{path}: {len(checked)} files match their checksums")
    return 0


@contextmanager
def _download_bar(*, hidden: bool) -> Iterator[Progress]:
    """Show the progress of a download on standard error, if that is a terminal.

    Args:
        hidden: show nothing: asked for, or because huggingface_hub has its own progress bar.
    """
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn()
    disable = hidden or not console.is_terminal
    with progress.Progress(*columns, console=console, disable=disable) as bar:
        task = bar.add_task("", total=None)
        yield lambda received, expected: bar.update(task, advance=received)
