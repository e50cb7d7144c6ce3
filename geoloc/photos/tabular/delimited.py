"""Text tables with delimiters: commas, tabs or semicolons, quoted or not."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geoloc.errors import TableError
from geoloc.photos.columns import count_known, find_name
from geoloc.photos.coordinate_columns import are_answers
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

_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]|'*[\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def escape_formula(text: str) -> str:
    """Return a cell for a text: with an apostrophe in front if a spreadsheet would run it.

    So does a text that already looks like a formula with an apostrophe. Numbers do not.
    """
    formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text


def unescape_formula(cell: str) -> str:
    """Return the text that `escape_formula` made a cell of."""
    return cell[1:] if cell[:1] == "'" and escape_formula(cell[1:]) == cell else cell


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

    @property
    def escaped(self) -> bool:
        """Whether cells were written with `escape_formula`, as in tables of answers."""
        return are_answers(self.columns)

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
        problem: receives a line about rows that are left out: those with more cells than the
            header, and those whose quotation marks do not match.

    Raises:
        TableError: all rows are left out.
    """
    skip_first = not dialect.first_line
    header_pending = dialect.has_header
    escaped = dialect.escaped
    width, good = len(dialect.columns), 0
    bad: dict[str, list[int]] = {_TOO_LONG: [], _BAD_QUOTES: []}
    for number, cells in _rows(lines, dialect):
        if cells is None:
            bad[_BAD_QUOTES].append(number)
        elif not any(cell.strip(BLANK) for cell in cells):
            continue
        elif skip_first and _SEPARATOR_LINE.match(f"{dialect.delimiter.join(cells)}\n"):
            skip_first = False
        elif header_pending:
            header_pending = False
        elif any(cell.strip(BLANK) for cell in cells[width:]):
            bad[_TOO_LONG].append(number)
        else:
            good += 1
            texts = map(unescape_formula, cells) if escaped else cells
            filled = [*texts, *([None] * (width - len(cells)))]
            yield dict(zip(dialect.columns, filled, strict=False))
    for reason, numbers in bad.items():
        if numbers and not good:
            raise TableError(f"{name}: line {numbers[0]} has {reason}")
        if numbers:
            count = "1 row is" if len(numbers) == 1 else f"{len(numbers):,} rows are"
            problem(
                f"{name}: {count} left out (line {numbers[0]}{', …' if numbers[1:] else ''}):"
                f" {reason}"
            )


_TOO_LONG = "more cells than the header; quote cells that hold the delimiter"
_BAD_QUOTES = "quotation marks that do not match; write one in a quoted cell twice"


class _Lines:
    """Lines of a text; those of a row that is damaged can be read again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again = deque[str]()
        self._row: list[str] = []
        self.number = 1
        """Of the first line of the current row."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        return line

    def end_row(self) -> None:
        """Begin the next row."""
        self.number += len(self._row)
        self._row.clear()

    def leave_out(self) -> None:
        """Begin the next row after the first line of a damaged one.

        Lines with an odd number of quotation marks belong to the damage: they may be the rest of a
        cell that spans lines.
        """
        rest = self._row[1:]
        self.number += 1
        while rest and rest[0].count('"') % 2:
            rest.pop(0)
            self.number += 1
        self._again.extendleft(reversed(rest))
        self._row.clear()


def _rows(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the number of the first line of each row, and its cells; None for a damaged row."""
    source = _Lines(lines)
    reader = dialect.reader(source)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield source.number, None
            source.leave_out()
            reader = dialect.reader(source)
        else:
            yield source.number, cells
            source.end_row()


def well_quoted(lines: Iterable[str], dialect: Dialect) -> bool:
    """Return whether the quotation marks of all rows match."""
    return all(cells is not None for _, cells in _rows(lines, dialect))


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
    if whole.lstrip().startswith("<"):
        raise TableError(f"{place}: is a page or XML; give a CSV, Parquet, JSON or GeoJSON table")
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
    columns = map(unescape_formula, names) if are_answers(names) else names
    return replace(header, columns=unique_names(map(readable, columns)))


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
