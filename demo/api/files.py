"""Answers of batches as the files that `geoloc batch` writes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from geocells.table import CellTable
from geoloc.guess import Guess
from geoloc.output.formats import NO_COLUMNS, Record
from geoloc.output.sinks import open_sink

Ending = Literal["jsonl", "csv", "geojson", "kml", "parquet", "html"]

MEDIA_TYPES: dict[Ending, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "kml": "application/vnd.google-earth.kml+xml",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html",
}


def answers_file(guesses: Iterable[Guess], cells: CellTable, ending: Ending) -> bytes:
    """Return the content of a file of answers.

    The file is written to a temporary folder, which is gone before this returns.

    Args:
        guesses: the answers, in the order of their rows.
        cells: the geocells of their bundle.
        ending: of the file; selects the format.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"answers.{ending}"
        with open_sink(path, cells) as sink:
            for guess in guesses:
                sink.write(Record(guess, NO_COLUMNS, None))
            sink.close()
        return path.read_bytes()
