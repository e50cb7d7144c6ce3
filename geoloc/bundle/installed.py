"""Installed bundles: their folder, their names, and the bundle used by default."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from geoloc.errors import BundleError

WORLD = "geoclip"
"""Name of the world model, which is used by default where it is installed."""

STARTER = "starter"
"""Name of the bundle inside the package: greater Sydney and some landmarks."""

GEOCLIP_PACKAGE = "geoclip==1.3.0"
"""The package that carries its authors' weights; its own dependencies are not needed."""

_WORLD_MODULES = ("onnxruntime", "faiss")
"""What building the world model imports, beside what every installation has."""


def folder() -> Path:
    """Return the folder of installed bundles; on Linux it follows XDG_DATA_HOME."""
    return platformdirs.user_data_path("planet-geoloc", appauthor=False) / "bundles"


def target(name: str) -> Path:
    """Return the folder that a bundle of this name is installed to.

    Raises:
        BundleError: the name is not a plain folder name.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise BundleError(f"{name!r}: not a name for a bundle; use letters, digits and dashes")
    return folder() / name


def names() -> list[str]:
    """Return the names of the installed bundles, sorted."""
    try:
        paths = list(folder().glob("[!.]*/bundle.json"))  # hidden folders are unfinished downloads
    except OSError:  # an unreadable home folder
        return []
    return sorted(path.parent.name for path in paths)


def default_name() -> str:
    """Return the name of the default bundle: the world model if installed, else the starter."""
    return WORLD if WORLD in names() else STARTER


def choose_default(*, quiet: bool = False) -> str:
    """Return `default_name()`; the first time this is the starter, print a hint on its limits.

    The hint is printed once per machine, on standard error and only if that is a terminal; never
    if `quiet`.
    """
    name = default_name()
    if name == STARTER and not quiet and sys.stderr is not None and sys.stderr.isatty():
        marker = folder().parent / "starter-hint-shown"
        if not marker.exists():
            print(starter_hint(), file=sys.stderr)
            try:
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
            except OSError:  # a read-only home folder: the hint appears again
                pass
    return name


def starter_hint() -> str:
    """Return one line on the limits of the starter, and the command that installs a world model."""
    return (
        "geoloc: using the starter bundle, which covers greater Sydney and some landmarks;"
        f" for the whole world run  {world_command()}"
    )


def missing_for_world() -> list[str]:
    """Return the modules that building the world model needs and that are not installed."""
    return [name for name in _WORLD_MODULES if find_spec(name) is None]


def world_command() -> str:
    """Return the shell command that installs the world model from the current environment."""
    get = f"geoloc bundle get {WORLD}"
    if not missing_for_world():
        return get
    root = Path(__file__).parents[2]
    if (root / "Makefile").is_file() and (root / "pyproject.toml").is_file():  # a clone
        return f"make setup && .venv/bin/{get}"
    return f"pip install 'planet-geoloc[cpu]' && {get}"
