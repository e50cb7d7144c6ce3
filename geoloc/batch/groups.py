"""Grouping of photos that show one place; sorted on disk, so that memory use does not grow."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from geoloc.batch.items import Item
from geoloc.errors import GeolocError

FOLDER = "folder"
"""Value of --group-by that groups photos by folder or tar shard instead of a column."""

MAX_GROUP = 4096
"""A larger group means that the column does not identify places."""

Group = tuple[str | None, list[Item]]
"""The common value of a group and its photos; None for a photo without a value."""


def group(photos: Iterable[Item], by: str) -> Iterator[Group]:
    """Yield groups in the order of their first photos; a photo without a value is its own group.

    Args:
        photos: in any order.
        by: a column of the input list, or FOLDER.

    Raises:
        GeolocError: there is no such column, a group has more than MAX_GROUP photos, or the
            temporary folder is full.
    """
    value = _folder if by == FOLDER else _column(by)
    table = sqlite3.connect("")  # a database in a temporary file, deleted on close
    try:
        table.execute("CREATE TABLE photo (first INTEGER, number INTEGER, name TEXT, item TEXT)")
        table.executemany(
            "INSERT INTO photo VALUES (?, ?, ?, ?)",
            (
                (None, number, _escape(value(item)), json.dumps(item.to_json()))
                for number, item in enumerate(photos)
            ),
        )
        table.execute("CREATE INDEX by_name ON photo (name, number)")
        rows = table.execute(
            "SELECT COALESCE(MIN(number) OVER (PARTITION BY name), number) AS first, number, name,"
            " item FROM photo WHERE name IS NOT NULL UNION ALL"
            " SELECT number, number, NULL, item FROM photo WHERE name IS NULL ORDER BY 1, 2"
        )
        for _, members in groupby(rows, key=lambda row: row[0]):
            yield _to_group(by, [(row[2], row[3]) for row in members])
    except sqlite3.Error as error:
        raise GeolocError(
            f"--group-by {by}: photos cannot be sorted ({error}); free some space in the temporary"
            " folder"
        ) from error
    finally:
        table.close()


def _to_group(by: str, members: list[tuple[str | None, str]]) -> Group:
    """Return the group of rows of the table; raises GeolocError if it is too large."""
    name = members[0][0]
    if len(members) > MAX_GROUP:
        raise GeolocError(
            f"--group-by {by}: {len(members):,} photos have the value {name}, and a group has at"
            f" most {MAX_GROUP:,}; check that this column identifies places"
        )
    return None if name is None else json.loads(name), [
        Item.from_json(json.loads(item)) for _, item in members
    ]


def _escape(value: str | None) -> str | None:
    """Return text that SQLite can store: surrogates (PEP 383) are escaped."""
    return None if value is None else json.dumps(value)


def _folder(item: Item) -> str:
    return os.path.dirname(item.name) or "."


def _column(name: str) -> Callable[[Item], str | None]:
    def value(item: Item) -> str | None:
        if name not in item.columns:
            available = ", ".join(item.columns) or "none"
            raise GeolocError(
                f"--group-by {name}: {item.name!r} has no such column (has: {available})"
            )
        cell = item.columns[name]
        return None if cell is None or cell == "" else str(cell)

    return value
