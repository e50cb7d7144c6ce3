"""Photos of one place brought together, on the disk: the memory stays flat."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from geoloc.batch.items import Item
from geoloc.errors import GeolocError

FOLDER = "folder"
"""Instead of a column: photos of one folder, or of one tar shard, show one place."""

MOST_TOGETHER = 4096
"""Photos of one place at most: more are taken for the wrong column."""

Group = tuple[str | None, list[Item]]
"""What the photos have in common, and the photos; None for a photo that stands alone."""


def group(photos: Iterable[Item], by: str) -> Iterator[Group]:
    """Groups in the order of their first photos; a photo without a value stands alone.

    Args:
        photos: in any order.
        by: a column of the input list, or FOLDER.

    Raises:
        GeolocError: there is no such column, or a group has more than MOST_TOGETHER photos.
    """
    value = _folder if by == FOLDER else _column(by)
    table = sqlite3.connect("")  # a file without a name, in the system's temporary folder
    try:
        table.execute("CREATE TABLE photo (first INTEGER, number INTEGER, name TEXT, item TEXT)")
        table.executemany(
            "INSERT INTO photo VALUES (?, ?, ?, ?)",
            (
                (None, number, _text(value(item)), json.dumps(item.to_json()))
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
            yield _checked(by, [(row[2], row[3]) for row in members])
    except sqlite3.Error as error:
        raise GeolocError(
            f"photos cannot be brought together ({error}); free some space in the temporary folder"
        ) from error
    finally:
        table.close()


def _checked(by: str, members: list[tuple[str | None, str]]) -> Group:
    name = members[0][0]
    if len(members) > MOST_TOGETHER:
        raise GeolocError(
            f"--group-by {by}: {len(members):,} photos have {name}; of one place there can be"
            f" {MOST_TOGETHER:,}, is it the right column?"
        )
    return None if name is None else json.loads(name), [
        Item.from_json(json.loads(item)) for _, item in members
    ]


def _text(value: str | None) -> str | None:
    """Escaped, for bytes that are no text."""
    return None if value is None else json.dumps(value)


def _folder(item: Item) -> str:
    return os.path.dirname(item.name) or "."


def _column(name: str) -> Callable[[Item], str | None]:
    def value(item: Item) -> str | None:
        if name not in item.columns:
            known = ", ".join(item.columns) or "none"
            raise GeolocError(f"--group-by {name}: {item.name!r} has no such column (has: {known})")
        found = item.columns[name]
        return None if found is None or found == "" else str(found)

    return value
