"""The interface of players: `Player`, `Answer`, and helpers for players that run foreign code."""

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

_MAX_PROBLEM_CHARS = 100


@dataclass(frozen=True)
class Answer:
    """A player's answer for one place."""

    lat: float = math.nan
    """Degrees; NaN for no pin."""
    lon: float = math.nan
    seconds: float = math.nan
    """Time the answer took; NaN if it was not measured."""
    problem: str = ""
    """Why there is no pin, in a few words."""


class Player(Protocol):
    """One player of a tournament."""

    name: str
    kind: str
    """ "bundle", "baseline", "log", "command" or "http"."""

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place, in order.

        A failure at one place is an answer without a pin, not an exception.

        Args:
            places: the places to guess.
            seconds: time limit per place; a later answer has no pin.
        """
        ...


@contextmanager
def stripped_copies(views: Sequence[Path]) -> Iterator[list[Path]]:
    """Copy photos for external players: with neutral file names and without metadata.

    Yields:
        Paths of the copies, which are deleted at the end of the `with` block.

    Raises:
        PhotoError: a photo cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="geoloc-") as folder:
        copies = [Path(folder) / f"view-{i}{view.suffix.lower()}" for i, view in enumerate(views)]
        for view, copy in zip(views, copies, strict=True):
            copy.write_bytes(strip(view))
        yield copies


def parse_answer(reply: Any, seconds: float) -> Answer:  # noqa: ANN401
    """Return the answer in a JSON reply of an external player.

    A pin needs finite numbers `lat` and `lon` within -90..90 and -180..180 degrees; null for both
    is a refusal, with an optional reason in `problem`.

    Args:
        reply: the parsed JSON, of any type.
        seconds: time the reply took.
    """
    if not isinstance(reply, dict) or "lat" not in reply or "lon" not in reply:
        return Answer(seconds=seconds, problem="the reply is no JSON object with lat and lon")
    if reply["lat"] is None or reply["lon"] is None:
        reason = str(reply.get("problem", "refused"))[:_MAX_PROBLEM_CHARS]
        return Answer(seconds=seconds, problem=reason)
    if any(isinstance(reply[key], bool | str | list | dict) for key in ("lat", "lon")):
        return Answer(seconds=seconds, problem="lat and lon are no numbers")
    try:
        lat, lon = float(reply["lat"]), float(reply["lon"])
    except OverflowError:  # an integer of a thousand digits
        lat = lon = math.inf
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):  # also refuses NaN
        return Answer(seconds=seconds, problem=f"{lat:g}, {lon:g} is no place on Earth")
    return Answer(lat, lon, seconds)
