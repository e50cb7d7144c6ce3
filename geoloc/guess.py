"""What an answer is: a ranked list of places, a radius that can be trusted, and the evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

SCHEMA_VERSION = 2

Confidence = Literal["city", "region", "country", "not sure"]
"""The finest statement the calibration stands behind; see `geoloc.answer.calibration`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A coordinate in words."""

    country_code: str
    """ISO 3166-1 alpha-2, or "" on the open sea."""
    country: str
    region: str
    town: str
    town_distance_km: float

    def __str__(self) -> str:
        return (
            ", ".join(part for part in (self.town, self.region, self.country) if part) or "at sea"
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer."""

    lat: float
    """Degrees."""
    lon: float
    """Degrees, -180 <= lon < 180."""
    probability: float
    """Belief that the photo lies in this candidate's geocell; sums to at most 1 over candidates."""
    cell_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known photo that speaks for the answer."""

    lat: float
    lon: float
    similarity: float
    """Cosine similarity of the embeddings, -1..1."""
    source: str
    licence: str
    author: str


@dataclass(frozen=True, slots=True)
class RegionCell:
    """One geocell of the credible region."""

    cell_id: str
    probability: float
    level: float
    """The smallest credible level (0.5, 0.8 or 0.95) whose region contains the cell."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something else that the photo tells of its place."""

    name: str
    """ "driving side", "climate", ..."""
    value: str
    """ "left", "Cfb", "120 m", ..."""
    probability: float | None = None
    """Belief in that value; None for a number, which is a mean."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why the answer is what it is."""

    cell_path: tuple[str, ...]
    """Country, region and id of the answer's geocell."""
    attributes: tuple[Attribute, ...]
    prior: float
    """How far each source was trusted; the three sum to 1."""
    classifier: float
    retrieval: float


@dataclass(frozen=True, slots=True)
class Exif:
    """What the file itself says; shown beside the guess, never used for it."""

    lat: float | None = None
    lon: float | None = None
    taken_at: str | None = None
    """ISO 8601 local time without zone, as cameras write it."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Where a photo was taken, how sure we are, and why."""

    photo: str
    """Name of the photo as the caller gave it."""
    lat: float
    lon: float
    radius_km: float
    """The truth lies within this distance of (lat, lon) for 80 % of photos like this one."""
    radii_km: dict[str, float]
    """Radius by coverage: keys "50", "80", "95"."""
    confidence: Confidence
    localisability: float
    """Chance that the answer is right within 200 km: how much the photo tells of its place."""
    place: Place
    candidates: tuple[Candidate, ...]
    """Best first; the first one is the answer."""
    region: tuple[RegionCell, ...]
    """Cells of the 95 % credible region, most probable first; at most 100 of them."""
    neighbours: tuple[Neighbour, ...]
    """Known photos that decided, most similar first."""
    evidence: Evidence
    exif: Exif
    exif_distance_km: float | None
    """Distance between the answer and the file's own GPS position, if it has one."""
    bundle: str
    photos: int = 1
    """How many photos of one place the answer is for."""
    agreement: float = 1.0
    """Of several photos: how much belief they have in common, 0..1; near 0 they contradict each
    other, and the answer is worth little."""
    within: str = ""
    """What was known beforehand: the answer lies there."""
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON."""
        values: dict[str, Any] = _plain(self)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Guess:
        """The inverse of `to_dict`, also after a way through JSON.

        Raises:
            KeyError, TypeError: fields are missing, or there are others, as in another schema.
        """
        evidence = values["evidence"]
        nested = {
            "place": Place(**values["place"]),
            "candidates": tuple(
                Candidate(**{**each, "place": Place(**each["place"])})
                for each in values["candidates"]
            ),
            "region": tuple(RegionCell(**each) for each in values["region"]),
            "neighbours": tuple(Neighbour(**each) for each in values["neighbours"]),
            "evidence": Evidence(
                **{
                    **evidence,
                    "cell_path": tuple(evidence["cell_path"]),
                    "attributes": tuple(Attribute(**each) for each in evidence["attributes"]),
                }
            ),
            "exif": Exif(**values["exif"]),
        }
        return cls(**{**values, **nested})


def _plain(value: Any) -> Any:  # noqa: ANN401
    """What `dataclasses.asdict` gives, without copying what cannot change: much quicker."""
    kind = type(value)
    if kind in _FLAT:
        return dict(zip(*_FLAT[kind](value), strict=True))
    if kind in _NESTED:
        return {name: _plain(getattr(value, name)) for name in _NESTED[kind]}
    if kind is tuple:
        return tuple(map(_plain, value))
    return dict(value) if kind is dict else value


def _names(kind: Any) -> tuple[str, ...]:  # noqa: ANN401
    return tuple(field.name for field in dataclasses.fields(kind))


def _flat(kind: Any) -> Any:  # noqa: ANN401
    names = _names(kind)
    values = attrgetter(*names)
    return lambda value: (names, values(value))


_FLAT = {kind: _flat(kind) for kind in (Place, Neighbour, RegionCell, Attribute, Exif)}
"""Dataclasses of plain values: a function that gives their names and values."""

_NESTED = {kind: _names(kind) for kind in (Candidate, Evidence, Guess)}
