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
from geoloc.output.svg_map import (
    MAX_TILES,
    TILE,
    WORLD_PX,
    mercator,
    project,
    svg_path,
    tile,
    world,
)
from geoloc.output.text import exif_note, km, percent
from geoloc.output.thumbnails import thumbnail

MAX_PICTURES = 2_000
MAX_PICTURE_BYTES = 16_000_000
"""Photos beyond either limit are dots without a picture: the page stays usable with 100,000."""

PICTURE_PX = 128
QUALITY = 70

_CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


class PageSink:
    """Writes the page; photos wait in a scratch file until `close`, so that memory stays flat."""

    def __init__(self, out: AtomicFile, cells: CellTable) -> None:
        """Start without photos."""
        self._out, self._cells = out, cells
        self._row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
        self._photos = out.scratch()
        self._pictures = self._picture_bytes = 0
        self._photos_in_tile: Counter[tuple[int, int]] = Counter()
        self._drawn_cells: set[int] = set()

    def write(self, record: Record) -> None:
        """Add a photo, with its picture within the limits of pictures."""
        line = script_json(self._values(record)).encode("utf-8", "backslashreplace")
        with self._out.errors_name_path():
            self._photos.write(line + b"\n")
        x, y = mercator(np.array([[record.guess.lat, record.guess.lon]]))[0] // TILE
        self._photos_in_tile[int(x), int(y)] += 1

    def close(self) -> None:
        """Render the page and give the file its name."""
        cells = sorted(self._drawn_cells)
        most = self._photos_in_tile.most_common(MAX_TILES)
        data = {
            "world": world(),
            "tiles": [tile(*at) for at, _ in most],
            "cells": dict(zip(cells, _outlines(self._cells, cells), strict=True)),
            "levels": list(CREDIBLE_LEVELS),
            "confidences": list(_CONFIDENCES),
            "pictures": self._pictures,
            "size": WORLD_PX,
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
            self._region(guess) if picture else [],
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

    def _region(self, guess: Guess) -> list[list[int]]:
        """Return the rows of the cells of each credible level, and note that they are drawn."""
        rows = [
            [self._row_of[cell.cell_id] for cell in guess.region if cell.level == level]
            for level in CREDIBLE_LEVELS
        ]
        self._drawn_cells.update(*rows)
        return rows


def _label(guess: Guess) -> str:
    """Return the name of the most precise place that the answer claims, "" where it is not sure."""
    place = guess.place
    names = {"city": place.town, "region": place.region, "country": place.country}
    return names.get(guess.confidence, "")


def _outlines(cells: CellTable, rows: list[int]) -> list[str]:
    """Return path data of cells, each simplified in proportion to its size."""
    shapes = project(cells.polygon[rows])
    simple = shapely.simplify(shapes, np.sqrt(shapely.area(shapes)) / 100)
    return [svg_path(shapely.get_parts(shape)) for shape in simple]
