"""Where a batch writes its answers, by the ending of the file: record by record, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from geocells.table import CellTable
from geoloc.errors import GeolocError
from geoloc.guess import Guess
from geoloc.io.atomic import AtomicFile
from geoloc.output import formats
from geoloc.output.formats import Record
from geoloc.output.photo_page import PageSink
from geoloc.output.tables import CsvSink, ParquetSink


class Sink(Protocol):
    """An output that is being written."""

    def write(self, record: Record) -> None:
        """Add an answer; raises OSError, which names the file."""
        ...

    def close(self) -> None:
        """Finish the file under its final name; leaving without it leaves nothing."""
        ...


class TextSink:
    """A file made of one piece of text after the other."""

    def __init__(
        self,
        out: AtomicFile,
        piece: Callable[[Guess, formats.Columns], str],
        start: str = "",
        between: str = "",
        end: str = "",
    ) -> None:
        """Begin with `start`."""
        self._out, self._piece, self._between, self._end = out, piece, between, end
        self._before = ""
        out.write_text(start)

    def write(self, record: Record) -> None:
        """Add a piece."""
        self._out.write_text(self._before + self._piece(record.guess, record.columns))
        self._before = self._between

    def close(self) -> None:
        """End the text."""
        self._out.write_text(self._end)
        self._out.commit()


def _jsonl(out: AtomicFile, cells: CellTable) -> Sink:
    return TextSink(out, lambda guess, columns: formats.to_json(guess, columns) + "\n")


def _geojson(out: AtomicFile, cells: CellTable) -> Sink:
    start, end = '{"type":"FeatureCollection","features":[\n', "\n]}\n"
    return TextSink(out, formats.feature_lines, start, ",\n", end)


def _kml(out: AtomicFile, cells: CellTable) -> Sink:
    return TextSink(out, formats.placemark, formats.KML_START, end=formats.KML_END)


SINKS: dict[str, Callable[[AtomicFile, CellTable], Sink]] = {
    ".jsonl": _jsonl,
    ".csv": lambda out, cells: CsvSink(out),
    ".geojson": _geojson,
    ".kml": _kml,
    ".parquet": lambda out, cells: ParquetSink(out),
    ".html": PageSink,
}
"""How each kind of file is written, by its ending."""


def check_ending(path: Path) -> None:
    """Refuse an output whose kind is not known, before any work is done.

    Raises:
        GeolocError: it has none of the endings of SINKS.
    """
    if path.suffix.lower() not in SINKS:
        raise GeolocError(f"{path}: unknown kind of output; its name must end in {_endings()}")


@contextmanager
def open_sink(path: Path, cells: CellTable) -> Iterator[Sink]:
    """The output at `path`, to be written and closed within the `with` block.

    Args:
        path: the file; an older one of that name is replaced when the new one is complete.
        cells: the geocells that answers name.

    Raises:
        GeolocError: see `check_ending`.
        OSError: it cannot be written; names the file.
    """
    check_ending(path)
    with AtomicFile(path) as out:
        yield SINKS[path.suffix.lower()](out, cells)


def _endings() -> str:
    *others, last = SINKS
    return f"{', '.join(others)} or {last}"
