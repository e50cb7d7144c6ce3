"""Output files of a batch by their ending, written record by record in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from geocells.table import CellTable
from geoloc.errors import GeolocError
from geoloc.io.atomic import AtomicFile
from geoloc.output import formats
from geoloc.output.formats import Record
from geoloc.output.photo_page import PageSink
from geoloc.output.tables import CsvSink, ParquetSink


class Sink(Protocol):
    """An output file that is being written."""

    def write(self, record: Record) -> None:
        """Add an answer.

        Raises:
            OSError: the file cannot be written; names the file.
        """
        ...

    def close(self) -> None:
        """Complete the file and rename it to its final name; without this call it is deleted."""
        ...


class TextSink:
    """A file of one piece of text per record."""

    def __init__(
        self,
        out: AtomicFile,
        piece: Callable[[Record], str],
        start: str = "",
        between: str = "",
        end: str = "",
    ) -> None:
        """Write the beginning of the file.

        Args:
            out: the file.
            piece: returns the text of one record.
            start: before the first record.
            between: between two records.
            end: after the last record.
        """
        self._out, self._piece, self._between, self._end = out, piece, between, end
        self._separator = ""
        out.write_text(start)

    def write(self, record: Record) -> None:
        """Add the text of a record."""
        self._out.write_text(self._separator + self._piece(record))
        self._separator = self._between

    def close(self) -> None:
        """Write the end of the file and commit it."""
        self._out.write_text(self._end)
        self._out.commit()


def _jsonl(out: AtomicFile, cells: CellTable) -> Sink:
    return TextSink(out, lambda each: formats.with_columns(each.answer, each.columns) + "\n")


def _geojson(out: AtomicFile, cells: CellTable) -> Sink:
    start, end = formats.GEOJSON_START, formats.GEOJSON_END
    return TextSink(
        out, lambda each: formats.feature_lines(each.guess, each.columns), start, ",\n", end
    )


def _kml(out: AtomicFile, cells: CellTable) -> Sink:
    return TextSink(
        out,
        lambda each: formats.placemark(each.guess, each.columns),
        formats.KML_START,
        end=formats.KML_END,
    )


SINKS: dict[str, Callable[[AtomicFile, CellTable], Sink]] = {
    ".jsonl": _jsonl,
    ".csv": lambda out, cells: CsvSink(out),
    ".geojson": _geojson,
    ".kml": _kml,
    ".parquet": lambda out, cells: ParquetSink(out),
    ".html": PageSink,
}
"""File ending -> function that opens the sink."""


def check_ending(path: Path) -> None:
    """Check that an output file has a known ending, before any work is done.

    Raises:
        GeolocError: the name has none of the endings in SINKS.
    """
    if path.suffix.lower() not in SINKS:
        raise GeolocError(f"{path}: unknown output format; the name must end in {_endings()}")


@contextmanager
def open_sink(
    path: Path, cells: CellTable, before_rename: Callable[[Path], None] | None = None
) -> Iterator[Sink]:
    """Open the output at `path`, to be written and closed within the `with` block.

    Args:
        path: the file; an older one is replaced when the new one is complete.
        cells: the geocells that the answers refer to.
        before_rename: see `AtomicFile`.

    Raises:
        GeolocError: see `check_ending`.
        OSError: the file cannot be written; names the file.
    """
    check_ending(path)
    with AtomicFile(path, before_rename) as out:
        yield SINKS[path.suffix.lower()](out, cells)


def _endings() -> str:
    *others, last = SINKS
    return f"{', '.join(others)} or {last}"
