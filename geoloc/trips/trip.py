"""`Trip`: where every photo of a library was taken, how that was found, and by which clocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from geoloc.guess import Place

SCHEMA_VERSION = 1
"""Of trips and decisions as JSON."""

RIGHT_S = 60.0
"""A clock that is wrong by less is left as it is."""

Kind = Literal["measured", "interpolated", "recognised", "guessed", "not a place"]
"""How the place of a photo is known: its own GPS position; from positions and tracks at other
times; from a photo of the same scene; by sight; or not at all, because it shows no place."""


@dataclass(frozen=True, slots=True)
class PlacedPhoto:
    """One photo of a library with its place."""

    photo: str
    """Path of the file in the library, with forward slashes."""
    sha256: str
    """Of the file, hexadecimal; a decision holds for this content only."""
    camera: str
    """Make, model and serial number, "" if unknown; photos of one camera share a clock."""
    taken_at: str | None
    """ISO 8601 with offset, after the correction of the clock; None without a time."""
    kind: Kind
    lat: float | None
    """Degrees; None for "not a place" without evidence of its own."""
    lon: float | None
    radius_50_km: float | None
    """Distance from (lat, lon) within which 50 % of such photos have their true location."""
    radius_80_km: float | None
    radius_95_km: float | None
    probability: float
    """Calibrated probability that the photo was taken within 25 km of (lat, lon)."""
    how: str
    """How the place was found, for people: "between two geotagged photos 11 minutes apart"."""
    place: Place | None
    stay: int | None
    """Number of the stay in `Trip.stays`; None without a time."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Consecutive photos of one place."""

    journey: int
    """Number of the journey, in order of time, that the stay belongs to."""
    lat: float
    lon: float
    radius_80_km: float
    start: str
    """ISO 8601 with offset."""
    end: str
    photos: int
    """How many photos were taken here."""
    frequent: bool
    """Whether the library returns to this place on many days, as to a home."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one camera."""

    camera: str
    offset_s: float
    """Seconds to add to the camera's times."""
    low_s: float
    """Lower end of the 95 % interval of the offset."""
    high_s: float
    drift_s_per_day: float
    applied: bool
    """Whether the correction was sure enough to be applied, or given by the user."""
    evidence: str
    """For people: "14 scenes photographed by both cameras"."""
    zone_shift_s: float = 0.0
    """Seconds that are applied beside the offset, because the camera shows local time of a zone
    that its files do not state: no error of its clock."""

    @property
    def doubtful(self) -> bool:
        """Whether the clock seems wrong, but not so surely that the correction was applied."""
        excluded = not self.low_s <= 0.0 <= self.high_s
        return not self.applied and excluded and abs(self.offset_s) >= RIGHT_S


@dataclass(frozen=True, slots=True)
class Trip:
    """A library with the places of all its photos."""

    library: str
    bundle: str
    photos: tuple[PlacedPhoto, ...]
    """In order of time; photos without a time last, by name."""
    stays: tuple[Stay, ...] = ()
    clocks: tuple[Clock, ...] = ()
    tracks: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Tracks that were used, thinned for display: (lat, lon) in degrees."""
    problems: tuple[str, ...] = ()
    """One line for each file that could not be used, and for each doubt."""
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts, tuples, strings and numbers, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trip:
        """Return the trip of a dict made by `to_dict`, also after a round trip through JSON.

        Raises:
            KeyError, TypeError: a field is missing or unknown, as in another schema version.
        """
        photos = (
            PlacedPhoto(**{**each, "place": Place(**each["place"]) if each["place"] else None})
            for each in values["photos"]
        )
        tracks = tuple(tuple((lat, lon) for lat, lon in track) for track in values["tracks"])
        nested = {
            "photos": tuple(photos),
            "stays": tuple(Stay(**each) for each in values["stays"]),
            "clocks": tuple(Clock(**each) for each in values["clocks"]),
            "tracks": tracks,
            "problems": tuple(values["problems"]),
        }
        return cls(**{**values, **nested})
