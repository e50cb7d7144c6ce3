"""Tables and folders of photos as people publish them: how columns and files are recognised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geoloc.errors import TableError
from geoloc.types import Float64Array, StrArray

SYNONYMS = {
    "photo_id": ("img_id", "image_id", "photoid", "photo", "id", "key", "__key__"),
    "file": ("path", "filepath", "filename", "file_name", "image", "image_path"),
    "lat": ("latitude",),
    "lon": ("lng", "long", "longitude"),
    "taken_at": ("captured_at", "date_taken", "datetaken", "datetime", "timestamp"),
    "heading": ("compass_angle", "computed_compass_angle", "bearing"),
    "location_id": ("pano_id", "panoid", "panorama"),
    "view": (),
    "author": ("user_id", "user_nsid", "nsid", "owner", "creator", "username", "photographer"),
    "group": ("sequence", "sequence_id", "sequence_key", "album"),
    "source": (),
    "licence": ("license", "license_name"),
    "precision_km": (),
    "split": (),
}
"""What published tables call the columns of a photo table, in lower case."""

# scalars made from columns: `pa.scalar` would import pandas, see `geocells.columns`
_NAN = to_numbers(np.array([np.nan]), pa.float64())[0]
_EMPTY = to_strings([""])[0]

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_FOLDERS_AND_ENDING = r"^.*/|\.[A-Za-z0-9]{2,5}$"


def read_table(path: Path, wanted: str) -> pa.Table:
    """Read a CSV or Parquet table, whatever its columns.

    Args:
        path: the file.
        wanted: which columns it needs, for the error message.

    Raises:
        TableError: it is missing or no table.
    """
    if not path.is_file():
        raise TableError(f"{path}: no such table; give a CSV or Parquet file with {wanted}")
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        options = csv.ConvertOptions(null_values=[""], strings_can_be_null=False)  # "NA" is a name
        return csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            f"{path}: not a readable CSV or Parquet table ({reason}); it needs {wanted}"
        ) from error


def column(
    table: pa.Table, name: str, synonyms: tuple[str, ...] | None = None
) -> pa.ChunkedArray | None:
    """A column by its name or a synonym of it, in any case."""
    wanted = (name, *(SYNONYMS.get(name, ()) if synonyms is None else synonyms))
    found = {present.lower(): present for present in reversed(table.column_names)}
    for known in wanted:
        if known in found:
            return table[found[known]]
    return None


def floats(values: pa.ChunkedArray | None, count: int) -> Float64Array:
    """A column as numbers (N,); NaN for what is none, or if there is no column."""
    import pyarrow.compute as pc

    if values is None:
        return np.full(count, np.nan)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        is_number = pc.match_substring_regex(values, _NUMBER)
        values = pc.if_else(is_number, pc.utf8_trim_whitespace(values), pa.NULL)
    elif not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return np.full(count, np.nan)
    known = pc.fill_null(values.cast(pa.float64()), _NAN)
    return np.array(numbers(known), np.float64)  # a copy, to be changed


def strings(values: pa.ChunkedArray | None, count: int) -> StrArray:
    """A column as text (N,); "" for what is missing, or if there is no column."""
    import pyarrow.compute as pc

    if values is None:
        return np.full(count, "", dtype=object)
    return objects(pc.fill_null(values.cast(pa.string()), _EMPTY))


def stems(names: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """File names without folders and ending: how photos of other copies are recognised."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(names, _FOLDERS_AND_ENDING, "")
