"""Published photo collections: their columns, their licences, and tables that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from geoloc.errors import TableError
from geoloc.photos.columns import column, text_column, to_floats
from geoloc.photos.matching import match_names
from geoloc.photos.tables import read_table
from training.data.table import with_column


@dataclass(frozen=True)
class Collection:
    """How a published table is recognised and read."""

    name: str
    columns: frozenset[str]
    """Names in lower case that it has, and others have not."""
    licence: str = ""
    """Of all its photos; "" if each photo has its own."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Column of the photo table -> column of the published one, in lower case, where
    `geoloc.photos.columns.SYNONYMS` is not enough."""


_STREETS = "CC BY-SA 4.0"
_MAPILLARY = {"author": "creator_username", "heading": "computed_compass_angle"}

COLLECTIONS = (
    Collection("OSV-5M", frozenset({"id", "thumb_original_url", "sequence"}), _STREETS, _MAPILLARY),
    Collection("Mapillary", frozenset({"computed_geometry", "sequence"}), _STREETS, _MAPILLARY),
    Collection("Mapillary", frozenset({"is_pano", "sequence_id"}), _STREETS, _MAPILLARY),
    Collection(
        "Global Streetscapes", frozenset({"uuid", "source", "orig_id"}), _STREETS,
        {"photo_id": "uuid", "taken_at": "datetime_local"},
    ),
    Collection(
        "iNaturalist", frozenset({"photo_uuid", "observation_uuid"}), "",
        {"author": "observer_id", "group": "observation_uuid", "taken_at": "observed_on",
         "precision_m": "positional_accuracy"},
    ),
    Collection("YFCC100M", frozenset({"photoid", "nsid"}), "", {"licence": "license_url"}),
    Collection("MP-16", frozenset({"img_id", "author", "lat", "lon"})),
    Collection(
        "Wikimedia Commons", frozenset({"licenseshortname", "artist"}), "",
        {"licence": "licenseshortname", "author": "artist", "taken_at": "datetimeoriginal",
         "lat": "gpslatitude", "lon": "gpslongitude"},
    ),
    Collection("Google Landmarks v2", frozenset({"landmark_id", "url"})),
    Collection("Google Landmarks v2", frozenset({"url", "author", "license", "title"})),
)  # fmt: skip

_KEYS = ("uuid", "photo_uuid", "observation_uuid", "observer_id")
"""Columns by which published tables refer to each other, besides IDs and names of photos."""

_MARKUP = re.compile(r"<[^>]*>")


def recognise(columns: Iterable[str]) -> Collection | None:
    """Return the published collection that has these columns, None for any other table."""
    lowered = {name.strip().lower() for name in columns}
    return next((each for each in COLLECTIONS if each.columns <= lowered), None)


def adapt(raw: pa.Table, collection: Collection | None) -> pa.Table:
    """Return a published table with the names of the photo table.

    Rows without a source get the name of the collection, and those without a licence its licence.
    """
    if collection is None:
        return raw
    there = {name.strip().lower(): name for name in raw.column_names}
    for name, published in collection.names.items():
        if published in there and name != "precision_m":
            raw = with_column(raw, name, _without_markup(raw[there[published]]))
    metres = there.get(collection.names.get("precision_m", ""))
    if metres is not None:
        precision_km = to_floats(raw[metres], len(raw)) / 1000.0
        raw = with_column(raw, "precision_km", pa.array(precision_km, from_pandas=True))
    raw = with_default(raw, "source", collection.name)
    return with_default(raw, "licence", collection.licence)


def with_default(raw: pa.Table, name: str, value: str) -> pa.Table:
    """Return a table with a column of text in which a value stands where nothing is known."""
    found = column(raw, name)
    texts = pa.nulls(len(raw), pa.string()) if found is None else text_column(found)
    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), value, texts)
    return with_column(raw, name, filled)


def _without_markup(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The text of cells; authors on Wikimedia Commons are links."""
    if not pc.any(pc.match_substring(text_column(values), "<")).as_py():
        return values
    texts = (text and _MARKUP.sub("", text).strip() for text in text_column(values).to_pylist())
    return pa.chunked_array([pa.array(texts, pa.string())])


def join(raw: pa.Table, path: Path | str, needs: str, problems: list[str]) -> pa.Table:
    """Return a table with the columns that it lacks and another table of the collection has.

    Rows are matched by a key that both tables have, or else by the IDs or names of photos.

    Args:
        raw: the table of photos.
        path: of the other table.
        needs: which columns are needed, for messages.
        problems: receives a line about rows of the other table that cannot be read.

    Raises:
        TableError: it is no table, or nothing refers to it.
    """
    other = read_table(path, needs, problem=problems.append)
    ours = {name.strip().lower(): name for name in raw.column_names}
    theirs = {name.strip().lower(): name for name in other.column_names}
    key = next((each for each in _KEYS if each in ours and each in theirs), None)
    if key is not None:
        row = pc.index_in(
            text_column(raw[ours[key]]).combine_chunks(),
            value_set=text_column(other[theirs[key]]).combine_chunks(),
            skip_nulls=True,
        )
    else:
        names = [column(table, name) for table in (raw, other) for name in ("photo_id", "file")]
        left, right = (next((c for c in pair if c is not None), None)
                       for pair in (names[:2], names[2:]))  # fmt: skip
        if left is None or right is None:
            raise TableError(f"{path}: no column refers to the photos; it needs their IDs")
        matched = match_names(left, right).row
        row = pa.array(matched, mask=matched < 0)
    if row.null_count == len(raw):
        raise TableError(f"{path}: none of its rows belongs to one of the photos")
    for lowered, name in theirs.items():
        if lowered not in ours:
            raw = raw.append_column(name, other[name].take(row))
    return raw
