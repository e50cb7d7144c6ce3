"""Decisions of a review: which photo has which place, read and compared with the library."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, get_args

import numpy as np

from geoloc.answer.explain import describe
from geoloc.errors import GeolocError
from geoloc.guess import Confidence
from geoloc.io.digests import sha256
from geoloc.output.tagging import Estimate
from geoloc.output.text import km
from geoloc.photos.discover import photos_below
from geoloc.photos.position import is_position
from geoloc.trips.trip import SCHEMA_VERSION, Kind

MAX_RADIUS_KM = 20_040.0
"""Half the circumference of the Earth."""

TOWN_KM, REGION_KM, COUNTRY_KM = 5.0, 25.0, 100.0
"""Largest 80 % radii with which the name of a town, a region or a country is written: more names
would claim what the radius does not."""


Choice = Literal["accepted", "corrected", "moved"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


@dataclass(frozen=True, slots=True)
class Decision:
    """The place of one photo, as a person has accepted or corrected it."""

    photo: str
    """Path in the library, with forward slashes."""
    sha256: str
    """Of the file that was reviewed."""
    lat: float
    lon: float
    radius_80_km: float
    kind: Kind
    """How the place was estimated before the review."""
    decision: Choice
    """ "corrected": placed by hand; "moved": accepted where it had followed a corrected one."""
    how: str

    @classmethod
    def from_dict(cls, values: Any) -> Self:  # noqa: ANN401
        """Return the decision of a JSON object.

        Raises:
            ValueError: a value is missing, unknown or impossible; says which.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, dict) or not values.keys() >= set(names):
            raise ValueError(f"it must have {', '.join(names)}")
        decision = cls(**{name: values[name] for name in names})
        texts = (decision.photo, decision.sha256, decision.kind, decision.decision, decision.how)
        numbers = (decision.lat, decision.lon, decision.radius_80_km)
        if not all(isinstance(each, str) for each in texts):
            raise ValueError("a text is missing")
        if not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
            raise ValueError("lat, lon and radius_80_km must be numbers")
        if not is_position(np.array([[decision.lat, decision.lon]], np.float64))[0]:
            raise ValueError(f"{decision.lat}, {decision.lon} is no position")
        if not 0.0 <= decision.radius_80_km <= MAX_RADIUS_KM:
            raise ValueError(f"radius_80_km is {decision.radius_80_km}")
        if decision.decision not in CHOICES:
            raise ValueError(f"the decision is {decision.decision!r}")
        return decision


@dataclass(frozen=True, slots=True)
class Decisions:
    """A file of decisions."""

    library: str
    """Folder of the photos, as it was given when they were placed."""
    photos: tuple[Decision, ...]
    problems: tuple[str, ...]
    """One line for each entry that cannot be used."""


def read_decisions(path: Path) -> Decisions:
    """Read a file of decisions.

    Raises:
        GeolocError: the file is missing, or holds no decisions of this version.
    """
    remedy = "export it again from the review page"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, library, photos = (content[k] for k in ("schema_version", "library", "photos"))
        entries = list(photos)
    except OSError as error:
        raise GeolocError(
            f"{path}: {error.strerror}; give the file that the page saved, which browsers keep with"
            " the downloads"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise GeolocError(f"{path}: holds no decisions; {remedy}") from error
    if version != SCHEMA_VERSION or not isinstance(library, str):
        raise GeolocError(f"{path}: decisions of another version ({version!r}); {remedy}")
    good: dict[str, Decision] = {}
    problems = []
    for number, entry in enumerate(entries, start=1):
        try:
            decision = Decision.from_dict(entry)
        except (ValueError, TypeError) as error:
            problems.append(f"{path}: entry {number} cannot be used: {error}; {remedy}")
            continue
        if decision.photo in good:
            problems.append(
                f"{path}: entry {number} repeats {decision.photo}; the first one counts"
            )
        good.setdefault(decision.photo, decision)
    return Decisions(library, tuple(good.values()), tuple(problems))


@dataclass(frozen=True, slots=True)
class Fitting:
    """A decision whose photo is in the library, or the reason why it is not."""

    decision: Decision
    file: Path | None
    """None if the decision does not fit."""
    problem: str = ""


def match_library(decisions: Decisions, library: Path) -> Iterator[Fitting]:
    """Yield each decision with its file, or with the reason why it does not fit any more.

    A file is the reviewed one if it has the same content. A photo that has been moved or renamed
    within the library is found by its content.

    Raises:
        GeolocError: `library` is no folder.
    """
    if not library.is_dir():
        raise GeolocError(f"{library}: no such folder; give the library with --library FOLDER")
    moved: dict[str, Path] | None = None
    for decision in decisions.photos:
        relative = PurePosixPath(decision.photo)
        if relative.is_absolute() or ".." in relative.parts:
            problem = f"{decision.photo}: lies outside the library, and is left out"
            yield Fitting(decision, None, problem)
            continue
        file = library / relative
        found = _digest(file)
        if found == decision.sha256:
            yield Fitting(decision, file)
            continue
        if moved is None:
            moved = {_digest(Path(each)): Path(each) for each in photos_below(library)}
        elsewhere = moved.get(decision.sha256)
        gone = "has changed since the review" if found else "is not in the library any more"
        problem = f"{decision.photo}: {gone}; place the library again"
        yield Fitting(decision, elsewhere, "" if elsewhere else problem)


def _digest(file: Path) -> str:
    """Return the sha256 of a file, "" if it cannot be read."""
    try:
        return sha256(file)
    except OSError:
        return ""


def estimates(decisions: list[Decision]) -> list[Estimate]:
    """Return decided places as they are written into metadata."""
    if not decisions:
        return []
    places = describe(np.array([(each.lat, each.lon) for each in decisions], np.float64))
    return [
        Estimate(
            each.lat, each.lon, each.radius_80_km, _claim(each.radius_80_km), place, _note(each)
        )
        for each, place in zip(decisions, places, strict=True)
    ]


def _claim(radius_80_km: float) -> Confidence:
    """Return the level to which a radius allows to name the place."""
    if radius_80_km <= TOWN_KM:
        return "city"
    if radius_80_km <= REGION_KM:
        return "region"
    return "country" if radius_80_km <= COUNTRY_KM else "not sure"


def _note(decision: Decision) -> str:
    """Return a comment that describes the position, in ASCII."""
    if decision.decision == "corrected":
        accuracy = km(decision.radius_80_km)
        text = f"Position placed by hand in a review with planet-geoloc, to {accuracy}."
    else:
        text = (
            f"Position estimated by planet-geoloc ({decision.how}): 8 of 10 such photos lie within "
            f"{km(decision.radius_80_km)} of it."
        )
    return text.encode("ascii", "replace").decode()
