"""Text and JSON tables as one Arrow table whose columns are text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import numbers, to_numbers
from geoloc.photos.columns import NUMERIC, find_name
from geoloc.photos.coordinate_columns import coordinate_columns
from geoloc.photos.tabular import rows as by_rows
from geoloc.photos.tabular.delimited import (
    BLANK,
    Dialect,
    Row,
    report_repeated,
    sniff,
    unescape_formula,
    well_quoted,
)
from geoloc.photos.tabular.encoding import UTF8, Report, detect
from geoloc.photos.tabular.json_rows import written

_ROWS_AT_ONCE = 50_000
_BLOCK_BYTES = 1 << 24
"""Of text that Arrow parses at once; a row has to fit into it."""

_NOTHING = to_numbers(np.zeros(1, np.int32), pa.int32())[0]

_DECIMAL_COMMA = r"^\s*([-+]?\d*),(\d+)\s*$"


class EmptyError(Exception):
    """A file has no header."""


def read_text(place: str, problem: Report) -> pa.Table:
    """Read a text table: by Arrow, or row by row where Arrow refuses it; see `read_table`."""
    with by_rows.open_buffered(place) as file:
        sample = by_rows.peek(file)
        dialect = sniff(sample, place, by_rows.suffix(place))
        if dialect is None:
            return _texts_of_rows(by_rows.read_rows(place, problem), ("file",))
        if not dialect.columns:
            raise EmptyError("it is empty")
        report_repeated(dialect.columns, place)
        try:
            if not dialect.first_line or detect(sample) != UTF8:
                raise pa.ArrowInvalid("Arrow would take the first line for the header")
            if dialect.quoted and not _is_well_quoted(place, dialect):
                raise pa.ArrowInvalid("Arrow would read other cells without saying so")
            table = _without_empty_rows(_read_by_arrow(file, dialect))
            table = _without_apostrophes(table) if dialect.escaped else table
        except pa.ArrowException:
            table = _texts_of_rows(by_rows.read_rows(place, problem), dialect.columns)
    return _without_decimal_commas(table, dialect.delimiter)


def read_json(place: str, problem: Report) -> pa.Table:
    """Read a JSON table; numbers keep the form in which they are written."""
    read = list(by_rows.read_rows(place, problem, written))
    columns = list(dict.fromkeys(name for row in read for name in row))
    report_repeated(columns, place)
    if not columns:
        raise EmptyError("it is empty")
    texts = (
        {
            name: None if row.get(name) is None else str(by_rows.scalar(row[name]))
            for name in columns
        }
        for row in read
    )
    return _texts_of_rows(texts, columns)


def _is_well_quoted(place: str, dialect: Dialect) -> bool:
    """Whether all quotation marks of a table enclose cells."""
    with by_rows.open_buffered(place) as file:
        if not any(b'"' in block for block in iter(lambda: file.read(_BLOCK_BYTES), b"")):
            return True
    with by_rows.open_buffered(place) as file:  # of Latin-1, every byte is a character
        return well_quoted(io.TextIOWrapper(file, "latin-1", newline=""), dialect)


def _read_by_arrow(file: io.BufferedReader, dialect: Dialect) -> pa.Table:
    return csv.read_csv(
        file,
        csv.ReadOptions(
            column_names=dialect.columns,
            skip_rows_after_names=int(dialect.has_header),
            block_size=_BLOCK_BYTES,
        ),
        csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if dialect.quoted else False,
            newlines_in_values=dialect.quoted,
        ),
        csv.ConvertOptions(
            column_types={name: pa.string() for name in dialect.columns},
            null_values=[],  # "NA" is an author, and the code of Namibia
            strings_can_be_null=False,
        ),
    )


def _without_empty_rows(table: pa.Table) -> pa.Table:
    """The rows that have a cell with more than spaces."""
    import pyarrow.compute as pc

    empty = np.ones(len(table), bool)
    for values in table.columns:
        if not empty.any():
            return table
        blank = pc.equal(pc.binary_length(pc.utf8_trim(values, BLANK)), _NOTHING)
        empty &= numbers(pc.cast(blank, pa.uint8())).astype(bool)
    return table.filter(pc.cast(to_numbers((~empty).astype(np.uint8), pa.uint8()), pa.bool_()))


def _without_apostrophes(table: pa.Table) -> pa.Table:
    """The texts of cells that were written with `escape_formula`."""
    import pyarrow.compute as pc

    for index, values in enumerate(table.columns):
        if pc.any(pc.starts_with(values, "'")).as_py():
            texts = pa.array(map(unescape_formula, values.to_pylist()), pa.string())
            table = table.set_column(index, table.column_names[index], texts)
    return table


def _texts_of_rows(rows: Iterable[Row], columns: Sequence[str]) -> pa.Table:
    """Columns of text, null where a row is shorter than the header."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    parts = [schema.empty_table()]
    rows = iter(rows)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        columns_of_part = {
            name: pa.array([row[name] for row in part], pa.string()) for name in columns
        }
        parts.append(pa.table(columns_of_part))
    return pa.concat_tables(parts)


def _without_decimal_commas(table: pa.Table, delimiter: str) -> pa.Table:
    """Numbers with decimal points, as in tables of countries that write 48,85."""
    import pyarrow.compute as pc

    pairs = coordinate_columns(table.column_names)
    coordinates = [name for pair in pairs for name in (pair.lat, pair.lon) if name is not None]
    others = [find_name(table.column_names, name) for name in NUMERIC]
    commas = False
    for name in dict.fromkeys([*coordinates, *others]):
        if name is None or not (delimiter == ";" or commas or name in coordinates):
            continue  # 1,234 can be a thousand where coordinates have points
        points = pc.replace_substring_regex(table[name], _DECIMAL_COMMA, r"\1.\2")
        commas = commas or not points.equals(table[name])
        table = table.set_column(table.column_names.index(name), name, points)
    return table
