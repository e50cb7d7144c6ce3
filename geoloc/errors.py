"""Errors a user can act on: each message names the file, the reason and the remedy."""

from __future__ import annotations


class GeolocError(Exception):
    """Base of every error caused by input rather than by a bug; printed as one line."""


class PhotoError(GeolocError):
    """A photo cannot be read."""


class FileError(PhotoError):
    """The file of a photo cannot be opened; what is in it is not known, and it may work later."""


class TableError(GeolocError):
    """A table or folder of photos cannot be used."""


class BundleError(GeolocError):
    """A bundle is missing, damaged or of another schema version."""


class MissingExtraError(GeolocError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'planet-geoloc[{extra}]'")
