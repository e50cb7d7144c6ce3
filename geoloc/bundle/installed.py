"""Bundles that were fetched or built on this machine, beside the embedded one."""

from __future__ import annotations

import os
from pathlib import Path

from geoloc.errors import BundleError

WORLD = "geoclip"
"""The world model: used where it is installed and nothing else is asked for."""

STARTER = "starter"


def folder() -> Path:
    """Where installed bundles are, by the XDG convention."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "planet-geoloc" / "bundles"


def target(name: str) -> Path:
    """Where the bundle of a name is to be installed.

    Raises:
        BundleError: the name cannot be that of a folder.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise BundleError(f"{name!r}: not a name for a bundle; use letters, digits and dashes")
    return folder() / name


def names() -> list[str]:
    """Names of the installed bundles."""
    try:
        paths = list(folder().glob("[!.]*/bundle.json"))  # a hidden one is on its way
    except OSError:  # a home that may not be looked into
        return []
    return sorted(path.parent.name for path in paths)


def best() -> str:
    """Name of the bundle that knows most of the world."""
    return WORLD if WORLD in names() else STARTER
