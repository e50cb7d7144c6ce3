"""Text tables with delimiters: commas, tabs or semicolons, quoted or not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geoloc.errors import TableError
from geoloc.photos.columns import count_known, find_name
from geoloc.photos.tabular.encoding import Report, decode_start, notice, readable

Row = dict[str, Any]

YFCC100M = (
    "photoid nsid nickname date_taken date_uploaded device title description tags machine_tags"
    " longitude latitude accuracy page url license license_url server farm secret secret_original"
    " extension marker"
).split()
"""The columns of yfcc100m_dataset, which has no header."""

SAMPLE_BYTES = 1 << 16
"""Of a file, from which its dialect is recognised."""

BLANK = " \t\r\n"
"""Characters of cells that hold nothing."""

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]+', re.IGNORECASE)
"""The first line that Excel reads, and writes, to name the delimiter."""

_WORKBOOKS = ("PK\x03\x04", "\udcd0\udccf\x11")
"""The first characters of Excel workbooks."""


@dataclass(frozen=True)
class Dialect:
    """How the cells of a text table are written."""

    delimiter: str
    quoted: bool
    """Whether cells may stand in double quotes, which then may hold delimiters and line breaks."""
    columns: tuple[str, ...]
    """Unique names."""
    has_header: bool
    first_line: bool = True
    """Whether the first line is the header or a row, rather than empty or the name of a
    delimiter."""

    def reader(self, lines: Iterable[str]) -> Any:  # noqa: ANN401
        """Return a `csv.reader` of this dialect."""
        if not self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self.delimiter, strict=True)


def delimited_rows(
    lines: Iterable[str], dialect: Dialect, name: str, problem: Report
) -> Iterator[Row]:
    """Yield the rows of a text table that are not empty; a cell that is missing is None.

    Args:
        lines: the text.
        dialect: how it is written.
        name: of the source in messages.
        problem: receives a line about rows with more cells than the header, which are left out.

    Raises:
        TableError: quotation marks do not match, or all rows have more cells than the header.
    """
    rows = dialect.reader(lines)
    skip_first = not dialect.first_line
    header_pending = dialect.has_header
    width, good, too_long = len(dialect.columns), 0, list[int]()
    try:
        for cells in rows:
            if not any(cell.strip(BLANK) for cell in cells):
                continue
            if skip_first and _SEPARATOR_LINE.match(f"{dialect.delimiter.join(cells)}\n"):
                skip_first = False
            elif header_pending:
                header_pending = False
            elif any(cell.strip(BLANK) for cell in cells[width:]):
                too_long.append(rows.line_num)
            else:
                good += 1
                filled = cells[:width] + [None] * (width - len(cells))
                yield dict(zip(dialect.columns, filled, strict=True))
    except csv.Error as error:
        raise TableError(
            f"{name}: line {rows.line_num} is not valid CSV ({error}); correct or remove it"
        ) from error
    if too_long:
        reason = "more cells than the header; quote cells that hold the delimiter"
        if not good:
            raise TableError(f"{name}: line {too_long[0]} has {reason}")
        problem(
            f"{name}: {len(too_long):,} rows are left out; they have {reason} (line {too_long[0]}"
            f"{', …' if len(too_long) > 1 else ''})"
        )


def sniff(sample: bytes, place: str, ending: str) -> Dialect | None:
    """Return how a text table is written, judged by its name and its first bytes.

    Args:
        sample: the first bytes, SAMPLE_BYTES if there are as many.
        place: of the table, for messages.
        ending: of its name, in lower case: ".tsv" is separated by tabs unless another delimiter
            makes more sense, ".txt" may be a plain list of names.

    Returns:
        None for a plain list of names, one a line.

    Raises:
        TableError: the header cannot be understood.
    """
    whole = decode_start(sample)
    if whole.startswith(_WORKBOOKS):
        raise TableError(f"{place}: is an Excel workbook; save it as CSV UTF-8")
    text = whole.lstrip("\r\n")
    if len(sample) >= SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1] or text
    separator = _SEPARATOR_LINE.match(text)
    text = text[separator.end() :] if separator else text
    at_once = bool(whole[:1].strip("\r\n")) and not separator
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    delimiter = separator[1] if separator else _delimiter(first, "\t" if ending == ".tsv" else ",")
    cells = first.split("\t")
    if len(cells) == len(YFCC100M) and find_name(cells, "lat") is None:
        return Dialect("\t", False, tuple(YFCC100M), False, at_once)
    if ending == ".txt" and not separator:
        known = count_known(_cells(first, delimiter))
        if delimiter not in first or known < (1 if delimiter == "\t" else 2):
            return None
    quoted = delimiter != "\t" or _is_quoted(text, delimiter)
    header = Dialect(delimiter, quoted, (), True, at_once)
    try:
        names: list[str] = next(header.reader(io.StringIO(text, newline="")), [])
    except csv.Error as error:
        raise TableError(f"{place}: line 1 is not a valid header ({error}); correct it") from error
    return replace(header, columns=unique_names(map(readable, names)))


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of columns; repeated ones get a number, so that the first keeps its name."""
    unique: dict[str, None] = {}
    for name in names:
        count, numbered = 1, name
        while numbered in unique:
            count += 1
            numbered = f"{name} ({count})"
        unique[numbered] = None
    return tuple(unique)


def report_repeated(names: Sequence[str], place: str) -> None:
    """Give a notice about names of columns that a table has twice."""
    repeated = [name for name in dict.fromkeys(names) if f"{name} (2)" in names and name.strip()]
    if repeated:
        notice(f"{place}: column {', '.join(repeated)} is there twice; the first one is read")


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
