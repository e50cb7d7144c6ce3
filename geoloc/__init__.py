"""Where was this photo taken? `Geolocator.from_bundle("starter").locate("photo.jpg")`."""

from typing import Any

__all__ = ["Geolocator", "Guess", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import the public names on first use: `import geoloc` stays cheap."""
    if name == "Geolocator":
        from geoloc.geolocator import Geolocator

        return Geolocator
    if name == "Guess":
        from geoloc.guess import Guess

        return Guess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
