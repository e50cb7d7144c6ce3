"""Photo tables read row by row: CSV, TSV, semicolon-separated text, JSON lines, Parquet, lists.

Memory stays flat, whatever the size of the table. `geoloc.photos.tables` reads the same formats by
the same rules into one Arrow table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from geoloc.errors import TableError
from geoloc.photos import storage
from geoloc.photos.columns import count_known, find_name

Row = dict[str, Any]

Format = Literal["delimited", "lines", "json", "parquet"]

FORMATS: dict[str, Format] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "lines",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
"""How each kind of table is read, by the ending of its name."""

YFCC100M = (
    "photoid nsid nickname date_taken date_uploaded device title description tags machine_tags"
    " longitude latitude accuracy page url license license_url server farm secret secret_original"
    " extension marker"
).split()
"""The columns of yfcc100m_dataset, which has no header."""

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}

_SAMPLE_BYTES = 1 << 16
_PARQUET_ROWS = 4096


@dataclass(frozen=True)
class Dialect:
    """How the cells of a text table are written."""

    delimiter: str
    quoted: bool
    """Whether cells may stand in double quotes, which then may hold delimiters and line breaks."""
    columns: tuple[str, ...]
    """Unique names."""
    has_header: bool

    def reader(self, lines: Iterable[str]) -> Any:  # noqa: ANN401
        """Return a `csv.reader` of this dialect."""
        if not self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self.delimiter, strict=True)


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


def read_rows(place: str) -> Iterator[Row]:
    """Yield the rows of a table.

    Cells of text formats are text, None where a row is shorter than the header; those of JSON and
    Parquet keep their types. Bytes that are not UTF-8 are kept as surrogates (PEP 383), because
    file names may hold any bytes.

    Args:
        place: a path, or an address that fsspec understands.

    Raises:
        TableError: it is not such a table; names the file and the line.
        OSError: it cannot be read.
    """
    kind = format_of(place)
    if kind == "parquet":
        yield from _parquet_rows(place)
        return
    with open_buffered(place) as file:
        dialect = None if kind == "json" else sniff(peek(file), place)
        text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        if kind == "json":
            yield from json_rows(text, place)
        elif dialect is None:
            yield from ({"file": line.rstrip("\r\n")} for line in text if line.strip())
        else:
            yield from delimited_rows(text, dialect, place)


def json_rows(lines: Iterable[str | bytes], name: str) -> Iterator[Row]:
    """Yield JSON objects, one a line; `name` is that of the source in error messages."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TableError(
                f"{name}: line {number} is no JSON ({error}); write one object a line"
            ) from error
        if not isinstance(row, dict):
            raise TableError(f"{name}: line {number} is no JSON object; write one object a line")
        yield row


def delimited_rows(lines: Iterable[str], dialect: Dialect, name: str) -> Iterator[Row]:
    """Yield the rows of a text table; `name` is that of the source in error messages."""
    rows = dialect.reader(lines)
    header_pending = dialect.has_header
    width = len(dialect.columns)
    try:
        for cells in rows:
            if not cells:
                continue
            if header_pending:
                header_pending = False
                continue
            if len(cells) > width:
                raise TableError(
                    f"{name}: line {rows.line_num} has more cells than the header; quote cells that"
                    " hold the delimiter"
                )
            yield dict(zip(dialect.columns, cells + [None] * (width - len(cells)), strict=True))
    except csv.Error as error:
        raise TableError(
            f"{name}: line {rows.line_num} is not valid CSV ({error}); correct or remove it"
        ) from error


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
    return io.BufferedReader(file, _SAMPLE_BYTES)


def peek(file: io.BufferedReader) -> bytes:
    """Return the first bytes of a file that has just been opened, without consuming them."""
    return file.peek(_SAMPLE_BYTES)


def sniff(sample: bytes, place: str) -> Dialect | None:
    """Return how a text table is written, judged by its name and its first bytes.

    Returns:
        None for a plain list of names, one a line.

    Raises:
        TableError: the header cannot be understood.
    """
    text = sample.decode("utf-8-sig", "surrogateescape").lstrip("\r\n")
    if len(sample) >= _SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1] or text
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    delimiter = _delimiter(first, "\t" if suffix(place) == ".tsv" else ",")
    cells = first.split("\t")
    if len(cells) == len(YFCC100M) and find_name(cells, "lat") is None:
        return Dialect("\t", False, tuple(YFCC100M), False)
    if format_of(place) == "lines":
        known = count_known(_cells(first, delimiter))
        if delimiter not in first or known < (1 if delimiter == "\t" else 2):
            return None
    quoted = delimiter != "\t" or _is_quoted(text, delimiter)
    header = Dialect(delimiter, quoted, (), True)
    try:
        names: list[str] = next(header.reader(io.StringIO(text, newline="")), [])
    except csv.Error as error:
        raise TableError(f"{place}: line 1 is not a valid header ({error}); correct it") from error
    return replace(header, columns=_unique(names))


def _delimiter(header: str, usual: str) -> str:
    """The delimiter that makes the most known column names of a header."""
    options = [usual, *(option for option in ",\t;" if option != usual)]
    return max(options, key=lambda option: count_known(_cells(header, option)))  # first of equals


def _cells(header: str, delimiter: str) -> list[str]:
    return next(csv.reader([header], delimiter=delimiter), [])


def _is_quoted(text: str, delimiter: str) -> bool:
    """Whether quotation marks at the start of cells enclose them, rather than being text."""
    if '"' not in text:
        return True
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        width = len(next(rows, []))
        return all(len(cells) <= width for cells in rows)
    except csv.Error:
        return False


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns; repeated ones get a number."""
    count: dict[str, int] = {}
    unique = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        unique.append(f"{name} ({count[name]})" if count[name] > 1 else name)
    return tuple(unique)


def _parquet_rows(place: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.opened(place) as file, pq.ParquetFile(file) as table:
            for rows in table.iter_batches(_PARQUET_ROWS):
                yield from rows.to_pylist()
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
