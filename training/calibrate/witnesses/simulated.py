"""Simulated clocks and shadows of photos with known places, with a share of mistakes.

The development photos have no metadata to speak of, so the evidence of files and shadows is made
from the true place: the UTC offset there on a random date, the sun's elevation at a random hour.
A mistaken one is that of the place of another photo, as from a clock left at home.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import ExifTags, Image

from geocells.attributes import time_zone
from geocells.table import CellTable
from geocells.time_zones import utc_offset_min
from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.file import FileWitness
from geoloc.belief.witnesses.file_tags import shown_offset
from geoloc.belief.witnesses.shadow import Shadow
from geoloc.belief.witnesses.solar import sun_position
from geoloc.belief.witnesses.sun import SunWitness
from geoloc.guess import Exif
from geoloc.photos.decode import NO_PIXELS, Photo
from geoloc.types import BoolArray, Float32Array, Float64Array

FIRST_YEAR, YEARS = 2010, 15

RATIO_ERROR = 0.05
"""Standard deviation of a measured ratio of an object and its shadow."""

LOWEST_DEG, HIGHEST_DEG = 8.0, 80.0
"""Elevations of the sun at which shadows are measured."""

PHONE_SHARE = 0.6
"""Share of the files that a phone made, whose clock is less often wrong."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """The evidence of one witness for N photos."""

    witness: str
    log_likelihood: Float32Array
    """(N, C) before it is tempered; rows of 0 for none."""
    is_mistaken: BoolArray
    """(N,) whether the evidence is that of another place."""

    def take(self, rows: BoolArray) -> Simulated:
        """Return the evidence for some photos (N,)."""
        return Simulated(self.witness, self.log_likelihood[rows], self.is_mistaken[rows])


def simulated_clocks(
    cells: CellTable, latlon: Float64Array, mistaken: float, rng: np.random.Generator
) -> Simulated:
    """Return the evidence of the offset tags of files.

    Args:
        cells: C geocells.
        latlon: (N, 2) degrees of the photos.
        mistaken: share of clocks of another place.
        rng: of dates, cameras and mistakes.
    """
    witness = FileWitness(CellSamples(cells), counted=True)
    claimed, wrong = claimed_places(latlon, mistaken, rng)
    zones = time_zone(claimed)
    rows = np.zeros((len(latlon), len(cells)), np.float32)
    for i, zone in enumerate(zones.tolist()):
        when = _random_time(rng)
        offset = int(utc_offset_min([zone], when)[0])
        phone = rng.random() < PHONE_SHARE
        observed = witness.evidence(_photo(when, offset, "Apple" if phone else "Canon"))
        if observed is not None and observed.log_likelihood is not None:
            rows[i] = observed.log_likelihood
    return Simulated("file", rows, wrong)


def simulated_shadows(
    cells: CellTable, latlon: Float64Array, mistaken: float, rng: np.random.Generator
) -> Simulated:
    """Return the evidence of measured shadows at known times; see `simulated_clocks`."""
    claimed, wrong = claimed_places(latlon, mistaken, rng)
    samples = CellSamples(cells)
    rows = np.zeros((len(latlon), len(cells)), np.float32)
    for i, place in enumerate(claimed):
        when, elevation = _daylight(place, rng)
        tangent = np.tan(np.radians(elevation)) * (1.0 + RATIO_ERROR * rng.standard_normal())
        shadow = Shadow.parse(f"{max(tangent, 0.05):.4f}:1±{RATIO_ERROR:.0%}", when.isoformat())
        observed = SunWitness(samples, shadow).evidence(Photo("", NO_PIXELS, Exif(), ""))
        if observed is not None and observed.log_likelihood is not None:
            rows[i] = observed.log_likelihood
    return Simulated("sun", rows, wrong)


def claimed_places(
    latlon: Float64Array, mistaken: float, rng: np.random.Generator
) -> tuple[Float64Array, BoolArray]:
    """Return the places (N, 2) that the evidence is made from, and (N,) the mistaken ones."""
    wrong = rng.random(len(latlon)) < mistaken
    claimed = latlon.copy()
    claimed[wrong] = latlon[rng.integers(len(latlon), size=int(wrong.sum()))]
    return claimed, wrong


def _random_time(rng: np.random.Generator) -> datetime:
    hours = rng.integers(YEARS * 365 * 24)
    return datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) + timedelta(hours=int(hours))


def _daylight(place: Float64Array, rng: np.random.Generator) -> tuple[datetime, float]:
    """Return a time of daylight at a place, and the elevation of the sun."""
    while True:
        when = _random_time(rng)
        elevation = float(sun_position(place[None], when)[0][0])
        if LOWEST_DEG <= elevation <= HIGHEST_DEG:
            return when, elevation


def _photo(when: datetime, offset: int, make: str) -> Photo:
    """Return a photo whose file has a local time, its offset and a camera."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = make
    local = when + timedelta(minutes=offset)
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: f"{local:%Y:%m:%d %H:%M:%S}",
            ExifTags.Base.OffsetTimeOriginal: shown_offset(offset).removeprefix("UTC"),
        }
    )
    out = io.BytesIO()
    NO_PIXELS.resize((16, 16)).save(out, "JPEG", exif=exif)
    return Photo("", NO_PIXELS, Exif(), "", content=out.getvalue())
