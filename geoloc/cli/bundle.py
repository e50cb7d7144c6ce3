"""The command `geoloc bundle`: list, build and verify models on this machine."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from cyclopts import App

from geoloc.cli.console import Quiet, fail, table_console

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
app.command(
    "geoloc.cli.obtain:get",
    help="Install a bundle: an open model of the catalogue, or a published bundle.",
    usage="Usage: geoloc bundle get [OPTIONS] SOURCE",
)
app.command("geoloc.cli.obtain:pack", help="Write a bundle into one file, to carry it elsewhere.")
app.command("geoloc.cli.obtain:unpack", help="Install a bundle from a packed file.")
app.command("geoloc.cli.publish:push", name="push", help="Publish a bundle on the Hub.")


@app.command(name="list")
def show(*, available: bool = False) -> int:
    """List the installed bundles; the first one is the default of --bundle.

    Parameters
    ----------
    available
        List the open models that `geoloc bundle get` can build instead, with size and licence.
    """
    if available:
        from geoloc.cli.obtain import available as print_catalogue

        return print_catalogue()
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
    from geoloc.bundle import directory
    from geoloc.retrieval.tables import count_members, members_file

    manifest = directory.verify(path, remembered=True)
    try:
        encoder = "{model} ({kind})".format(**manifest["encoder"])
        licences = list(manifest["licences"])
    except (KeyError, TypeError) as error:
        raise directory.damaged(path / "bundle.json", f"{type(error).__name__}: {error}") from error
    more = f" and {len(licences) - 2} more" if len(licences) > 2 else ""
    size = sum(file.stat().st_size for file in path.iterdir())
    members = count_members(members_file(path))
    return [
        encoder,
        f"{members:,}",
        "; ".join(licences[:2]) + more,
        f"{size / 1e6:,.0f}",
    ]


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
