"""Protocol between a tournament and its players."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from geoloc.game.places import Places
from geoloc.photos.decode import strip


@dataclass(frozen=True)
class Answer:
    """What a player said of one place."""

    lat: float = math.nan
    """Degrees; NaN for no pin."""
    lon: float = math.nan
    seconds: float = math.nan
    """How long it took; NaN where nobody knows."""
    problem: str = ""
    """Why there is no pin, in a few words."""


class Player(Protocol):
    """One player of a tournament."""

    name: str
    kind: str
    """ "bundle", "baseline", "log", "command" or "http"."""

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Answer about every place, in their order.

        Whatever goes wrong with one place is an answer without a pin.

        Args:
            places: what to show.
            seconds: an answer that takes longer has no pin.
        """
        ...


@contextmanager
def shown(views: Sequence[Path]) -> Iterator[list[Path]]:
    """Copies of photos for players whose code is not ours: neutral names, and no metadata.

    Raises:
        PhotoError: one of them cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="geoloc-") as folder:
        copies = [Path(folder) / f"view-{i}{view.suffix.lower()}" for i, view in enumerate(views)]
        for view, copy in zip(views, copies, strict=True):
            copy.write_bytes(strip(view))
        yield copies


def to_answer(reply: Any, seconds: float) -> Answer:  # noqa: ANN401
    """The answer in a JSON object of somebody else's program: finite `lat` and `lon` in range."""
    if not isinstance(reply, dict) or "lat" not in reply or "lon" not in reply:
        return Answer(seconds=seconds, problem="the reply is no JSON object with lat and lon")
    if reply["lat"] is None or reply["lon"] is None:
        return Answer(seconds=seconds, problem=str(reply.get("problem", "refused"))[:100])
    if any(isinstance(reply[key], bool | str | list | dict) for key in ("lat", "lon")):
        return Answer(seconds=seconds, problem="lat and lon are no numbers")
    try:
        lat, lon = float(reply["lat"]), float(reply["lon"])
    except OverflowError:  # an integer of a thousand digits
        lat = lon = math.inf
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):  # NaN neither
        return Answer(seconds=seconds, problem=f"{lat:g}, {lon:g} is no place on Earth")
    return Answer(lat, lon, seconds)
