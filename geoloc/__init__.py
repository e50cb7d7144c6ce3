"""Planet-scale photo geolocation: `Geolocator.from_bundle().locate("photo.jpg")`.

The public names are imported on first use, so that `import geoloc` loads neither numpy nor Pillow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoloc.bundle.directory import load as load_bundle
    from geoloc.bundle.directory import names as list_bundles
    from geoloc.errors import ConstraintError, GeolocError, PhotoError
    from geoloc.geolocator import Geolocator
    from geoloc.guess import Candidate, Guess, Place

__all__ = [
    "Candidate",
    "ConstraintError",
    "GeolocError",
    "Geolocator",
    "Guess",
    "PhotoError",
    "Place",
    "__version__",
    "list_bundles",
    "load_bundle",
]

__version__ = "0.1.0"

_ORIGINS = {
    "Candidate": ("geoloc.guess", "Candidate"),
    "ConstraintError": ("geoloc.errors", "ConstraintError"),
    "Geolocator": ("geoloc.geolocator", "Geolocator"),
    "GeolocError": ("geoloc.errors", "GeolocError"),
    "Guess": ("geoloc.guess", "Guess"),
    "PhotoError": ("geoloc.errors", "PhotoError"),
    "Place": ("geoloc.guess", "Place"),
    "list_bundles": ("geoloc.bundle.directory", "names"),
    "load_bundle": ("geoloc.bundle.directory", "load"),
}
"""Module and name in it of each public name."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name on first use."""
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, original = _ORIGINS[name]
    value = getattr(import_module(module), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names beside the module's own."""
    return sorted({*globals(), *__all__})
