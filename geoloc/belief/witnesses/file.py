"""`FileWitness`: time zone, height, camera and captions in the metadata of a photo's file.

Each statement has a probability of being wrong, because cameras keep the time zone of home on a
journey, phones do not. The position in the file is no part of it: that is the answer itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.belief.witnesses.camera_markets import market_of, script_of
from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.file_tags import Clock, FileTags, read_tags, shown_offset
from geoloc.belief.witnesses.text.language import language_of
from geoloc.belief.witnesses.text.speakers import language_name, language_rates
from geoloc.guess import Finding
from geoloc.observation import Observation
from geoloc.photos.decode import Photo, printable
from geoloc.types import Float64Array

PHONES = "apple google samsung xiaomi huawei honor oneplus oppo vivo realme motorola hmd nothing"

WRONG = {
    "Pixel file name": 0.04,
    "GPS time": 0.06,
    "Google Takeout": 0.2,
    "file name": 0.15,
    "offset tag": 0.3,
    "XMP": 0.4,
}
"""Probability that the offset of a source is not that of the place, the most reliable first."""

WRONG_ON_PHONES = 0.04
"""The same for the offset tag of a phone, which follows the network."""

STALE_SUMMER_TIME = 0.1
"""Share of right clocks that were not changed between winter and summer time."""

TYPICAL_SHARE = 0.05
"""Share of a time zone of all photos."""

HEIGHT_ERROR_M, HEIGHT_WRONG, HIGHEST_M = 80.0, 0.1, 9000.0
"""Standard deviation of GPS heights and of heights within a cell, how often a height is wrong or
that of an aircraft, and the range of those."""

MARKET_RATIO, SCRIPT_RATIO, LANGUAGE_RATIO = 8.0, 6.0, 3.0
"""How many times likelier a camera of a market, or a caption in a script or language, is at home.
Assumed: the development photos have no metadata."""

READ_BY_MANY = 0.3
"""Rate from which on a country's captions are often in a language; see `language_rates`."""

SHOWN_COUNTRIES = 5


class FileWitness:
    """Reads the metadata of files: always shown, evidence only if the user asks for it."""

    name = "file"

    def __init__(self, samples: CellSamples, *, counted: bool) -> None:
        """Take the cells of a bundle, and whether findings are evidence or only shown."""
        self._samples, self._counted = samples, counted
        self._country = samples.cells.country

    def evidence(self, photo: Photo) -> Observation | None:
        """Return what the metadata of a photo say; None if they say nothing."""
        if photo.content is None:
            return None
        tags = read_tags(photo)
        found = [*self._clocks(tags), *self._height(tags), *self._camera(tags)]
        found += self._captions(tags)
        if not found:
            return None
        findings = tuple(replace(each, reading=printable(each.reading)) for each, _ in found)
        rows = [row for _, row in found if row is not None]
        if not rows or not self._counted:
            return Observation(self.name, findings)
        return Observation(self.name, findings, np.sum(rows, axis=0).astype(np.float32))

    def _clocks(self, tags: FileTags) -> list[tuple[Finding, Float64Array | None]]:
        """Return the offsets; the most reliable is evidence, and others are compared with it."""
        wrong = {each: self._wrong(each, tags) for each in tags.clocks}
        clocks = sorted(tags.clocks, key=lambda clock: wrong[clock])
        best = next((each for each in clocks if each.offset_min is not None), None)
        return [self._clock(each, best, tags, wrong[each]) for each in clocks]

    def _wrong(self, clock: Clock, tags: FileTags) -> float:
        phone = tags.make.lower().split(" ")[0] in PHONES.split()
        return WRONG_ON_PHONES if phone and clock.source == "offset tag" else WRONG[clock.source]

    def _clock(
        self, clock: Clock, best: Clock | None, tags: FileTags, wrong: float
    ) -> tuple[Finding, Float64Array | None]:
        if clock.offset_min is None or best is None:
            meaning = f"{clock.source}: no time zone has this difference; the clock was wrong"
            return Finding(clock.source, clock.reading, meaning, used=False), None
        zone = shown_offset(clock.offset_min)
        if clock is not best:
            same = clock.offset_min == best.offset_min
            meaning = f"{clock.source}: {'also ' if same else 'but '}{zone}"
            return Finding(clock.source, clock.reading, meaning, used=False), None
        when = tags.taken_at or datetime(2020, 7, 1)
        utc = when.replace(tzinfo=UTC) - timedelta(minutes=clock.offset_min)
        offsets = self._samples.offsets_min(utc)
        match = (offsets == clock.offset_min).mean(axis=1)
        stale = (np.abs(offsets - clock.offset_min) == 60).mean(axis=1)
        right = (1.0 - STALE_SUMMER_TIME) * match + STALE_SUMMER_TIME * stale
        row = np.log((1.0 - wrong) * right + wrong * TYPICAL_SHARE)
        date = f" on {when:%d %B %Y}".replace(" 0", " ") if tags.taken_at else ""
        places = self._countries(match >= 0.5) or "no land"
        doubt = f"{wrong:.0%} of such clocks show the time of another place"
        meaning = f"{clock.source}: {zone}{date}, as in {places}; {doubt}"
        return Finding(clock.source, clock.reading, meaning, used=self._counted), row

    def _height(self, tags: FileTags) -> list[tuple[Finding, Float64Array | None]]:
        found: list[tuple[Finding, Float64Array | None]] = []
        if tags.altitude_m is not None:
            deviation = HEIGHT_ERROR_M + 0.1 * abs(tags.altitude_m)
            z = (self._samples.heights_m - tags.altitude_m) / deviation
            density = (np.exp(-0.5 * z**2) / (deviation * np.sqrt(2 * np.pi))).mean(axis=1)
            row = np.log((1.0 - HEIGHT_WRONG) * density + HEIGHT_WRONG / HIGHEST_M)
            meaning = f"GPS height: {tags.altitude_m:.0f} m above sea level"
            reading = f"{tags.altitude_m:.0f} m"
            found.append((Finding("GPS height", reading, meaning, used=self._counted), row))
        if tags.heading_deg is not None:
            meaning = "direction of the camera, clockwise from north; no evidence by itself"
            reading = f"{tags.heading_deg:.0f}°"
            found.append((Finding("GPS heading", reading, meaning, used=False), None))
        return found

    def _camera(self, tags: FileTags) -> list[tuple[Finding, Float64Array | None]]:
        market = market_of(tags.model)
        if market is None:
            return []
        meaning = f"a camera that is sold under this name in {market[0]}"
        finding = Finding("camera model", tags.model, meaning, used=self._counted)
        return [(finding, self._inside(market[1], MARKET_RATIO))]

    def _captions(self, tags: FileTags) -> list[tuple[Finding, Float64Array | None]]:
        text = " ".join(tags.captions)[:500]
        if script := script_of(text):
            meaning = f"caption or keywords in {script[0]}"
            row = self._inside(script[1], SCRIPT_RATIO)
        elif (language := language_of(text)) not in (None, "en"):  # English is written everywhere
            rates = language_rates(str(language))
            countries = frozenset(code for code, rate in rates.items() if rate >= READ_BY_MANY)
            meaning = f"caption or keywords in {language_name(str(language))}"
            row = self._inside(countries, LANGUAGE_RATIO)
        else:
            return []
        return [(Finding("caption", text[:80], meaning, used=self._counted), row)]

    def _inside(self, countries: frozenset[str], ratio: float) -> Float64Array:
        """Return (C,) 0 in cells of some countries, and the log of 1 to `ratio` elsewhere."""
        return np.where(np.isin(self._country, list(countries)), 0.0, -np.log(ratio))

    def _countries(self, cells: np.ndarray) -> str:
        """Return the names of the countries that most of the given cells belong to."""
        codes, count = np.unique(self._country[cells], return_counts=True)
        country = embedded_boundaries().country
        names = dict(zip(country.codes.tolist(), country.names.tolist(), strict=True))
        order = codes[np.argsort(-count, kind="stable")].tolist()
        shown = [str(names[code]) for code in order if code in names][:SHOWN_COUNTRIES]
        more = len(order) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
