"""Answers on a map in one HTML file that loads nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geocells.table import CellTable
from geoloc.guess import Guess
from geoloc.io.atomic import atomic_write_text
from geoloc.output.html import render
from geoloc.output.map.base import base_map, tiles_around
from geoloc.output.map.shown import map_data
from geoloc.output.similar import alike, credited
from geoloc.output.text import best_guess, exif_note, percent, sentence


def write_map(guesses: Sequence[Guess], cells: CellTable, path: str | os.PathLike[str]) -> Path:
    """Write the map page atomically and return its path. It contains none of the photos.

    Args:
        guesses: answers, at least one; with pictures of similar photos if they have thumbnails.
        cells: the geocells that the answers refer to.
        path: the HTML file; 0.4 to 0.7 MB for one answer.

    Raises:
        OSError: the file cannot be written.
    """
    tiles = [at for guess in guesses for at in tiles_around(guess.lat, guess.lon)]
    data = {"base": base_map(tiles), "photos": [_photo(guess, cells) for guess in guesses]}
    return atomic_write_text(path, render("answers.html", data=data))


def _photo(guess: Guess, cells: CellTable) -> dict[str, Any]:
    """Return the data of one answer that answers.js reads."""
    return {
        "name": Path(guess.photo).name,
        "sentence": sentence(guess),
        "best": best_guess(guess),
        "note": exif_note(guess.exif, guess.exif_distance_km),
        "places": [
            {
                "lat": candidate.lat,
                "lon": candidate.lon,
                "place": str(candidate.place),
                "probability": percent(candidate.probability),
            }
            for candidate in guess.candidates
        ],
        "alike": alike(guess),
        "similar": [credited(neighbour) for neighbour in guess.neighbours],
        "map": map_data(guess, cells),
    }
