"""The answers of a batch on one HTML page that loads nothing: map, thumbnails, list and search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import shapely
from markupsafe import Markup
from PIL import Image

from geocells.table import CellTable
from geoloc.belief.fusion import CREDIBLE_LEVELS
from geoloc.guess import Confidence, Guess
from geoloc.io.atomic import AtomicFile
from geoloc.output.formats import Record, output_columns, replace_nonfinite
from geoloc.output.html import script_json, stream
from geoloc.output.map.base import Tile, base_map, most_used, tiles_of
from geoloc.output.map.outlines import TILE_STEPS, mercator, svg_path
from geoloc.output.map.regions import Regions, regions_of
from geoloc.output.text import exif_note, km, percent
from geoloc.output.thumbnails import thumbnail
from geoloc.types import GeometryArray

MAX_PICTURES = 2_000
MAX_PICTURE_BYTES = 16_000_000
"""Photos beyond either limit are dots without a picture: the page stays usable with 100,000."""

PICTURE_PX = 128
QUALITY = 70

LEVELS = sorted(CREDIBLE_LEVELS, reverse=True)
"""Levels of the regions, the largest first."""

SMALLEST_SHARE = 0.01
"""Parts with a smaller share of the area of their region are left out."""

DETAIL = 100.0
"""Regions are simplified to this part of their width."""

_CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


class PageSink:
    """Writes the page; photos wait in a scratch file until `close`, so that memory stays flat."""

    def __init__(self, out: AtomicFile, cells: CellTable) -> None:
        """Start without photos."""
        self._out, self._cells = out, cells
        self._photos = out.scratch()
        self._pictures = self._picture_bytes = 0
        self._photos_in_tile: Counter[Tile] = Counter()

    def write(self, record: Record) -> None:
        """Add a photo, with its picture within the limits of pictures."""
        line = script_json(self._values(record)).encode("utf-8", "backslashreplace")
        with self._out.errors_name_path():
            self._photos.write(line + b"\n")
        self._photos_in_tile += tiles_of([record.guess.lat, record.guess.lon])

    def close(self) -> None:
        """Render the page and give the file its name."""
        data = {
            "base": base_map(most_used(self._photos_in_tile)),
            "levels": LEVELS,
            "confidences": list(_CONFIDENCES),
            "pictures": self._pictures,
        }
        for part in stream("photos.html", data=data, photos=self._photo_lines()):
            self._out.write_text(part)
        self._out.commit()

    def _photo_lines(self) -> Iterator[Markup]:
        """Yield the JSON array of each photo."""
        with self._out.errors_name_path():
            self._photos.seek(0)
            for line in self._photos:
                yield Markup(line.decode().rstrip("\n"))

    def _values(self, record: Record) -> list[Any]:
        """Return the values of a photo, in the order of `FIELDS` in photos.js."""
        guess = record.guess
        picture = self._picture(record.source)
        regions = regions_of(guess, self._cells) if picture else None
        return [
            guess.photo,
            round(guess.lat, 5),
            round(guess.lon, 5),
            round(guess.radius_80_km, 3),
            km(guess.radius_80_km),
            _CONFIDENCES.index(guess.confidence),
            str(guess.place),
            _label(guess),
            percent(guess.probability),
            exif_note(guess.exif, guess.exif_distance_km),
            replace_nonfinite(output_columns(record.columns)),
            picture,
            _paths(regions) if regions else [],
            regions is None or regions.circle_is_fair,
        ]

    def _picture(self, source: str | None) -> str:
        """Return the photo as a data URI, "" without a readable file or beyond the limits."""
        if source is None or self._pictures >= MAX_PICTURES:
            return ""
        # the file was readable when it was answered, but may have changed since
        uri = thumbnail(source, PICTURE_PX, QUALITY, Image.Resampling.BILINEAR)
        if not uri or self._picture_bytes + len(uri) > MAX_PICTURE_BYTES:
            return ""
        self._pictures += 1
        self._picture_bytes += len(uri)
        return uri


def _label(guess: Guess) -> str:
    """Return the name of the most precise place that the answer claims, "" where it is not sure."""
    place = guess.place
    names = {"city": place.town, "region": place.region, "country": place.country}
    return names.get(guess.confidence, "")


def _paths(regions: Regions) -> list[str]:
    """Return path data of the regions of LEVELS, simplified to what a page with many can hold."""
    return [_path(regions.outlines[level]) for level in LEVELS]


def _path(outlines: GeometryArray) -> str:
    """Return path data of one region, without its smallest parts."""
    drawn = shapely.transform(outlines, lambda lonlat: mercator(lonlat[:, ::-1]))
    area = shapely.area(drawn)
    large = area >= SMALLEST_SHARE * area.sum()
    simple = shapely.simplify(drawn[large], np.sqrt(area[large]) / DETAIL)
    return svg_path(shapely.get_parts(simple), TILE_STEPS)
