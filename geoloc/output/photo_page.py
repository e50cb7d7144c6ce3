"""Answers of a batch on one HTML page that loads nothing: clusters, small pictures, search."""

from __future__ import annotations

import base64
import io
from collections import Counter
from typing import Any, get_args

import numpy as np
import shapely
from PIL import Image

from geocells.table import CellTable
from geoloc.belief.fusion import CREDIBLE_LEVELS
from geoloc.errors import PhotoError
from geoloc.guess import Confidence, Guess
from geoloc.io.atomic import WholeFile
from geoloc.output.formats import Record, carried, finite
from geoloc.output.svg_map import (
    WORLD_PX,
    detail,
    mercator,
    page,
    project,
    script_json,
    svg_path,
    world,
)
from geoloc.output.text import exif_note, km, percent
from geoloc.photos import decode

MOST_PICTURES = 2_000
MOST_PICTURE_BYTES = 16_000_000
"""Photos beyond either are on the page as dots, so that it stays usable with 100,000."""

PICTURE_PX = 128
QUALITY = 70

TILE = WORLD_PX / 64
MOST_TILES = 60
"""Squares with most photos, whose borders are drawn finely: about 2 MB at most."""

_HERE = "/*PHOTOS*/"
"""Where the template takes the photos, one JSON array a line."""

_CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


class PageSink:
    """The page; photos go into it one by one, what they share at the end."""

    def __init__(self, out: WholeFile, cells: CellTable) -> None:
        """Write what comes before the photos."""
        self._out, self._cells = out, cells
        self._row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
        self._photos = self._pictures = self._picture_bytes = 0
        self._tiles: Counter[tuple[int, int]] = Counter()
        self._drawn: set[int] = set()
        out.write_text(page("photos.html").partition(_HERE)[0])

    def write(self, record: Record) -> None:
        """Add a photo, with its picture while there is room for pictures."""
        values = self._values(record)
        self._out.write_text((",\n" if self._photos else "") + script_json(values))
        self._photos += 1
        point = mercator(np.array([[record.guess.lat, record.guess.lon]]))[0] // TILE
        self._tiles[int(point[0]), int(point[1])] += 1

    def close(self) -> None:
        """Write borders, cells and what makes the page move."""
        drawn = sorted(self._drawn)
        data = {
            "world": world(),
            "tiles": [_tile(*tile) for tile, _ in self._tiles.most_common(MOST_TILES)],
            "cells": dict(zip(drawn, _outlines(self._cells, drawn), strict=True)),
            "levels": list(CREDIBLE_LEVELS),
            "confidences": list(_CONFIDENCES),
            "pictures": self._pictures,
        }
        self._out.write_text(page("photos.html", **data).partition(_HERE)[2])
        self._out.finish()

    def _values(self, record: Record) -> list[Any]:
        """What the page knows of a photo, in the order of `FIELDS` in photos.js."""
        guess = record.guess
        picture = self._picture(record.source)
        return [
            guess.photo,
            round(guess.lat, 5),
            round(guess.lon, 5),
            round(guess.radius_km, 3),
            km(guess.radius_km),
            _CONFIDENCES.index(guess.confidence),
            str(guess.place),
            _label(guess),
            percent(guess.candidates[0].probability),
            exif_note(guess.exif, guess.exif_distance_km),
            finite(carried(record.columns)),
            picture,
            self._region(guess) if picture else [],
        ]

    def _picture(self, source: str | None) -> str:
        """The photo as a small JPEG in a data URI; "" where there is none or no more room."""
        if source is None or self._pictures >= MOST_PICTURES:
            return ""
        try:
            small = decode.load(source, min_side=PICTURE_PX // 2).image
        except PhotoError:  # it has changed since it was answered
            return ""
        small.thumbnail((PICTURE_PX, PICTURE_PX), Image.Resampling.BILINEAR)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=QUALITY)
        uri = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
        if self._picture_bytes + len(uri) > MOST_PICTURE_BYTES:
            return ""
        self._pictures += 1
        self._picture_bytes += len(uri)
        return uri

    def _region(self, guess: Guess) -> list[list[int]]:
        """Rows of the cells of each credible level."""
        rows = [
            [self._row_of[cell.cell_id] for cell in guess.region if cell.level == level]
            for level in CREDIBLE_LEVELS
        ]
        self._drawn.update(*rows)
        return rows


def _label(guess: Guess) -> str:
    """The shortest name of what is claimed, to stand on the map."""
    place = guess.place
    names = {"city": place.town, "region": place.region, "country": place.country}
    return names.get(guess.confidence, "")


def _tile(column: int, row: int) -> list[Any]:
    """Left, top, right, bottom of a square of the world, and its borders."""
    left, top = column * TILE, row * TILE
    box = [left, top, left + TILE, top + TILE]
    return [*box, detail(box, TILE / 1500)]


def _outlines(cells: CellTable, rows: list[int]) -> list[str]:
    """Path data of cells, each as fine as its size needs."""
    shapes = project(cells.polygon[rows])
    simple = shapely.simplify(shapes, np.sqrt(shapely.area(shapes)) / 100)
    return [svg_path(shapely.get_parts(shape)) for shape in simple]
