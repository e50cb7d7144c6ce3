"""`Guess` and its parts: candidates, place names, calibrated radii, region and evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

SCHEMA_VERSION = 4
"""Of answers in every format; see geoloc/output/README.md."""

Confidence = Literal["city", "region", "country", "not sure"]
"""The finest claim whose calibrated probability is high enough; see `geoloc.answer.calibration`."""


@dataclass(frozen=True, slots=True)
class Place:
    """The names of the place at a coordinate."""

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
    """One candidate for the location of a photo."""

    lat: float
    """Degrees."""
    lon: float
    """Degrees, -180 <= lon < 180."""
    probability: float
    """Calibrated probability that the photo was taken within 25 km of this place."""
    cell_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A gallery photo that is similar to the photo, with its attribution."""

    lat: float
    lon: float
    similarity: float
    """Cosine similarity of the embeddings, -1..1."""
    source: str
    licence: str
    author: str
    thumbnail: str | None = None
    """Small picture as a data URI; None unless it was asked for and its licence allows it."""


@dataclass(frozen=True, slots=True)
class RegionCell:
    """One geocell of the credible region."""

    cell_id: str
    probability: float
    level: float
    """The smallest credible level (0.5, 0.8 or 0.95) whose region contains the cell."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A predicted property of the place or the photo."""

    name: str
    """ "driving side", "climate", ..."""
    value: str
    """ "left", "Cfb", "120 m", ..."""
    probability: float | None = None
    """Probability of the value; None for a number, which is a mean."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence behind an answer."""

    cell_path: tuple[str, ...]
    """Country, region and id of the answer's geocell."""
    attributes: tuple[Attribute, ...]
    prior: float
    """Weight of the world's photo density; the weights of the three sources sum to 1."""
    classifier: float
    retrieval: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found in a photo or its file, and what it means."""

    kind: str
    """ "phone number", "time zone", "shadow"..."""
    reading: str
    """What was read, as it stands there: "+49 30 1234567". It may hold any characters."""
    meaning: str
    """For people, one sentence without a full stop: "a telephone number of Berlin, Germany"."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom in the upright photo, as shares of its width and height."""
    used: bool = True
    """Whether it counts as evidence; False for what is only shown, such as burnt-in dates."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one witness found, and what it changed in the answer."""

    witness: str
    """ "text", "file", "sun"."""
    findings: tuple[Finding, ...]
    counted: bool
    """Whether it is part of the evidence, or only shown."""
    bits: float = 0.0
    """Information that it added to the other evidence: Kullback-Leibler divergence of the belief
    with it from the belief without it."""
    lat_without: float | None = None
    """The answer without this witness, in degrees; None if it is not counted."""
    lon_without: float | None = None
    place_without: Place | None = None


@dataclass(frozen=True, slots=True)
class Exif:
    """Position and time in a file's metadata; shown beside the guess, never used for it."""

    lat: float | None = None
    lon: float | None = None
    taken_at: str | None = None
    """ISO 8601 local time without a zone, as cameras write it."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The estimated location of a photo, with its uncertainty and its evidence."""

    photo: str
    """Name of the photo, as given by the caller."""
    lat: float
    lon: float
    radius_50_km: float
    """Distance from (lat, lon) within which 50 % of such photos have their true location."""
    radius_80_km: float
    """The same for 80 %: the radius that texts and maps show."""
    radius_95_km: float
    """The same for 95 %."""
    confidence: Confidence
    chance_200km: float
    """Calibrated probability that the answer is right within 200 km."""
    probability: float
    """Calibrated probability that the photo was taken within 25 km of (lat, lon)."""
    place: Place
    candidates: tuple[Candidate, ...]
    """Places, most probable first. The first one is the answer if it has a probability of at least
    15 %, or if the point with the highest expected GeoGuessr score is less than 25 km away;
    otherwise the answer is that point."""
    region: tuple[RegionCell, ...]
    """Cells of the 95 % credible region, most probable first; at most 100 of them."""
    neighbours: tuple[Neighbour, ...]
    """Gallery photos that are similar, most similar first."""
    evidence: Evidence
    exif: Exif
    exif_distance_km: float | None
    """Distance between the answer and the GPS position in the file; None without one."""
    bundle: str
    photos: tuple[str, ...] = ()
    """Names of the photos of one place that were located together, or of the only photo."""
    agreement: float = 1.0
    """Probability that several photos show one place, with odds beforehand for which one set of
    photos of one place in twenty is below 0.5; 1 for one photo."""
    contradictory: bool = False
    """Whether several photos contradict each other: `agreement` is below 0.5. Nothing is claimed
    then, and the radii are those of a single photo."""
    within: str | None = None
    """Name of the constraint on the location; None without one."""
    calibrated: bool = True
    """Whether radii, claims and probabilities were calibrated on questions of this kind: one photo
    or several, with or without a constraint."""
    copy_of: Neighbour | None = None
    """The gallery photo that this photo is a copy of, whose place is the answer; None for none."""
    frame_of: Neighbour | None = None
    """The gallery photo whose scene this photo shows, as the next frame of a walk does; its place
    is the answer. None for none."""
    witnesses: tuple[Account, ...] = ()
    """What each witness found beside the embedding: signs, the clock of the file, the sun."""
    schema_version: int = SCHEMA_VERSION

    @property
    def is_first_place(self) -> bool:
        """Whether the answer is the first of the candidates."""
        first = self.candidates[:1]
        return [(each.lat, each.lon) for each in first] == [(self.lat, self.lon)]

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts, tuples, strings and numbers, ready for JSON."""
        values: dict[str, Any] = _plain(self)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Guess:
        """Return the guess of a dict made by `to_dict`, also after a round trip through JSON.

        Raises:
            KeyError, TypeError: a field is missing or unknown, as in another schema version.
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
            **{
                name: Neighbour(**values[name]) if values.get(name) else None
                for name in ("copy_of", "frame_of")
            },
            "witnesses": tuple(map(_account, values.get("witnesses", ()))),
        }
        return cls(**{**values, **nested, "photos": tuple(values["photos"])})


def _account(values: Mapping[str, Any]) -> Account:
    findings = tuple(
        Finding(**{**each, "box": tuple(each["box"]) if each["box"] else None})
        for each in values["findings"]
    )
    without = values["place_without"]
    place = Place(**without) if without else None
    return Account(**{**values, "findings": findings, "place_without": place})


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Do what `dataclasses.asdict` does, without copying immutable values, which is much faster."""
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


_FLAT = {kind: _flat(kind) for kind in (Place, Neighbour, RegionCell, Attribute, Exif, Finding)}
"""Functions that return the names and values of dataclasses of plain values."""

_NESTED = {kind: _names(kind) for kind in (Candidate, Evidence, Account, Guess)}
