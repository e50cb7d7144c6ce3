"""JSON tables: one object a line, or one array of objects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from geoloc.errors import TableError
from geoloc.photos.tabular.delimited import Row, unique_names
from geoloc.photos.tabular.encoding import Report

Parse = Callable[[str], Any]
"""Makes a value of one JSON text."""


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """A JSON object; repeated keys get a number."""
    row = dict(pairs)
    if len(row) == len(pairs):
        return row
    values = (value for _, value in pairs)
    return dict(zip(unique_names(key for key, _ in pairs), values, strict=True))


def _finite(text: str) -> float | str:
    """A number; an ID such as 12e4567, which is too large for one, stays text."""
    return value if math.isfinite(value := float(text)) else text


typed: Parse = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite).decode
"""Makes numbers of numbers."""

written: Parse = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str
).decode
"""Keeps numbers as they are written, because IDs may be written as numbers."""


_REMEDY = "write one object a line, or an array of objects"


def json_rows(text: TextIO, name: str, parse: Parse, problem: Report) -> Iterator[Row]:
    """Yield the objects of a JSON table.

    Args:
        text: one object a line, or an array of objects, which is read as a whole.
        name: of the source in messages.
        parse: `typed` or `written`.
        problem: receives a line about what is no object and is left out.

    Raises:
        TableError: nothing in it is an object.
    """
    good, bad, reason = 0, 0, ""
    for place, value, error in _values(text, parse):
        if isinstance(value, dict):
            good += 1
            yield value
        else:
            bad += 1
            reason = reason or f"{place} is no JSON {f'({error})' if error else 'object'}"
    if bad and not good:
        raise TableError(f"{name}: {reason}; {_REMEDY}")
    if bad:
        count = f"{bad:,} of {good + bad:,} rows are left out"
        problem(f"{name}: {count}; {reason}; {_REMEDY}")


def _values(text: TextIO, parse: Parse) -> Iterator[tuple[str, Any, str]]:
    """Yield where each value of a table is, the value, and why it cannot be parsed."""
    first = True
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        begins, first = first, False
        if begins and line.lstrip().startswith("["):
            value, error = _parsed(line + text.read(), parse)
            elements = value if isinstance(value, list) else [value]
            for place, element in enumerate(elements, start=1):
                yield f"element {place}", element, error
            return
        yield f"line {number}", *_parsed(line, parse)


def _parsed(line: str, parse: Parse) -> tuple[Any, str]:
    try:
        return parse(line.strip()), ""
    except (ValueError, RecursionError) as error:
        return None, str(error).splitlines()[0]
