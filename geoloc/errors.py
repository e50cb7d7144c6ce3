"""Errors that a user can act on: each message names the file, the reason and the remedy."""

from __future__ import annotations

from typing import Self


class GeolocError(Exception):
    """Base class of errors caused by input rather than by a bug; commands print one line."""


class PhotoError(GeolocError):
    """A photo cannot be read.

    Attributes:
        name: of the photo.
        kind: what is wrong and what to do, without names and numbers, to count photos by it.
    """

    def __init__(self, line: str, *, name: str = "", kind: str = "") -> None:
        """Hold the line that is printed; without a kind it is one of its own."""
        super().__init__(line)
        self.name, self.kind = name, kind or line

    @classmethod
    def about(cls, name: str, problem: str, remedy: str, detail: str = "") -> Self:
        """Return an error of one kind: all photos with this problem and this remedy."""
        shown = f"{problem} ({detail})" if detail else problem
        return cls(f"{name}: {shown}; {remedy}", name=name, kind=f"{problem}; {remedy}")


class FileError(PhotoError):
    """The file of a photo cannot be opened; the photo itself may be good, so a retry can work."""


class ConstraintError(GeolocError):
    """A constraint on the location is not valid, or excludes every geocell of the bundle."""


class WitnessError(GeolocError):
    """What a user states as evidence, such as a measured shadow, is not valid."""


class TableError(GeolocError):
    """A table or folder of photos cannot be used."""


class BundleError(GeolocError):
    """A bundle is missing, damaged or of another schema version."""


class MissingExtraError(GeolocError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the missing package and the extra of planet-geoloc that installs it."""
        super().__init__(f"{package} is not installed: run  pip install 'planet-geoloc[{extra}]'")
