"""Photo tables read row by row: CSV, TSV, semicolon-separated text, JSON, Parquet, lists.

Memory stays flat, whatever the size of the table, except for an array of JSON.
`geoloc.photos.tables` reads the same formats by the same rules into one Arrow table.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any, Literal

from geoloc.errors import TableError
from geoloc.photos import storage
from geoloc.photos.tabular.delimited import SAMPLE_BYTES, Row, delimited_rows, sniff, unique_names
from geoloc.photos.tabular.encoding import Readable, Report, detect, notice, text_of
from geoloc.photos.tabular.json_rows import Parse, json_rows, typed

Format = Literal["delimited", "lines", "json", "parquet"]

FORMATS: dict[str, Format] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "lines",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".geojson": "json",
    ".parquet": "parquet",
}
"""How each kind of table is read, by the ending of its name."""

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}

_PARQUET_ROWS = 4096


def suffix(place: str) -> str:
    """Return the ending of a name in lower case, without that of a compression."""
    stem, ending = os.path.splitext(place)
    return suffix(stem) if ending.lower() in _COMPRESSED else ending.lower()


def format_of(place: str) -> Format:
    """Return how a table is read, by its ending; text with delimiters for unknown endings."""
    return FORMATS.get(suffix(place), "delimited")


def is_table(place: str) -> bool:
    """Return whether a file is named like a table."""
    return suffix(place) in FORMATS


def read_rows(place: str, problem: Report = notice, parse: Parse = typed) -> Iterator[Row]:
    """Yield the rows of a table that are not empty.

    Cells of text formats are text, None where a row is shorter than the header; those of JSON and
    Parquet keep their types.

    Args:
        place: a path, or an address that fsspec understands.
        problem: receives a line about rows that are left out.
        parse: reads JSON.

    Raises:
        TableError: it is not such a table; names the file and the line.
        OSError: it cannot be opened.
    """
    kind = format_of(place)
    if kind == "parquet":
        yield from _parquet_rows(place)
        return
    with open_buffered(place) as file:
        try:
            yield from text_rows(file, place, kind, problem, parse)
        except OSError as error:  # of a decompression
            raise TableError(f"{place}: is damaged ({error}); copy it again") from error


def text_rows(
    file: io.BufferedReader, place: str, kind: Format, problem: Report, parse: Parse = typed
) -> Iterator[Row]:
    """Yield the rows of a text or JSON table that has just been opened; see `read_rows`.

    A plain list of names has the column `file`.
    """
    sample = peek(file)
    ending = ".txt" if kind == "lines" else suffix(place)
    dialect = None if kind == "json" else sniff(sample, place, ending)
    text = text_of(file, detect(sample, place))
    if kind == "json":
        rows = json_rows(text, place, parse, problem)
    elif dialect is None:
        rows = ({"file": name} for line in text if (name := line.rstrip("\r\n")).strip())
    else:
        rows = delimited_rows(text, dialect, place, problem)
    readable = Readable()
    yield from map(readable.row, rows)
    readable.report(place)


def open_buffered(place: str) -> io.BufferedReader:
    """Open a file or address to read from its beginning, decompressed, and able to peek.

    Raises:
        OSError: it cannot be opened.
    """
    file: Any = storage.opened(place)
    compression = _COMPRESSED.get(os.path.splitext(place)[1].lower())
    if compression:
        import pyarrow as pa

        file = pa.CompressedInputStream(pa.PythonFile(file, "r"), compression)
    return io.BufferedReader(file, SAMPLE_BYTES)


def peek(file: io.BufferedReader) -> bytes:
    """Return the first bytes of a file that has just been opened, without consuming them."""
    return file.peek(SAMPLE_BYTES)


def _parquet_rows(place: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.opened(place) as file, pq.ParquetFile(file) as table:
            names = unique_names(table.schema_arrow.names)
            for batch in table.iter_batches(_PARQUET_ROWS):
                yield from batch.rename_columns(names).to_pylist()
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            f"{place}: not a readable Parquet table ({reason}); write it again"
        ) from error


def scalar(value: Any) -> str | int | float | bool | None:  # noqa: ANN401
    """Return a value that every output can hold; lists, objects and dates become text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
